// Images as tiles of square patches: how large they are drawn, what their pixels are, and the outlines around neighbouring patches
// of one expert.
import { context2d } from "../shared/context.js";

// The server sends pixels only until the page has answered that it holds them. A few pictures are kept: the probe's, the reader's own.
const pictures = (globalThis.moeVizPictures ??= new Map());
const MOST_KEPT = 12;
const ANSWER_AGAIN_MS = 1500;

export function holdPictures(view, images) {
  if (images.pixels) {
    pictures.set(images.id, images.pixels);
    for (const oldest of [...pictures.keys()].slice(0, Math.max(0, pictures.size - MOST_KEPT))) pictures.delete(oldest);
  }
  const answer = pictures.has(images.id) ? images.id : "", now = performance.now();
  const due = answer !== view.answer || now - view.answered >= ANSWER_AGAIN_MS;
  if ((images.pixels || !answer) && due) {
    view.answer = answer;
    view.answered = now;
    view.send("pictures", answer);
  }
  images.arrived = Boolean(answer);
  images.pixels = pictures.get(images.id) || new Array(images.n).fill("");
}

export function countFrom(m, t) {
  let n = t;
  while (n < m.T && m.sequence[n] === m.sequence[t]) n++;
  return n - t;
}

// Patches are square, so an image's shape says how many of them lie side by side.
export function columnsOf(m, patches) {
  return Math.max(1, Math.round(Math.sqrt(patches * m.images.width / m.images.height)));
}

export function bitmap(images, pixels) {
  const raw = Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0));
  const canvas = document.createElement("canvas");
  canvas.width = images.width;
  canvas.height = images.height;
  const ctx = context2d(canvas), image = ctx.createImageData(images.width, images.height);
  for (let i = 0; i < images.width * images.height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = images.colour ? raw[3 * i + c] : raw[i];
    image.data[4 * i + 3] = 255;
  }
  ctx.putImageData(image, 0, 0);
  return canvas;
}

// Images as large as lets all of them be seen at once, within reason; below that the panel scrolls.
export function sizeTiles(b, m) {
  const n = m.images.pixels.length, width = b.node.clientWidth, height = b.node.clientHeight;
  const shape = m.images.width / m.images.height, patches = columnsOf(m, countFrom(m, 0));
  const least = Math.max(112, 12 * patches), half = width / 2 - 20;
  const most = Math.min(55 * patches, n > 1 && least <= half ? half : width - 20);
  let tile = width < 400 ? most : 0;
  for (let columns = 1; columns <= n; columns++) tile = Math.max(tile, Math.min(width / columns - 20, shape * (height / Math.ceil(n / columns) - 40)));
  b.list.style.setProperty("--tile", `${Math.floor(Math.max(Math.min(least, most), Math.min(most, tile)))}px`);
}

// For each patch which sides are a border, where the neighbour went to another expert or fared otherwise: [top, right, bottom, left].
export function borders(m) {
  const all = [];
  for (let first = 0; first < m.T; first = all.length) {
    const count = countFrom(m, first), columns = columnsOf(m, count);
    for (let at = 0; at < count; at++) {
      const t = first + at, column = at % columns;
      const border = (inside, other) => !inside || m.owner[other] !== m.owner[t] || m.state[other] !== m.state[t];
      all.push([
        border(at >= columns, t - columns), border(column < columns - 1 && at + 1 < count, t + 1),
        border(at + columns < count, t + columns), border(column > 0, t - 1),
      ]);
    }
  }
  return all;
}

// One outline around all neighbouring patches of one expert, drawn inside them so that two experts' lines lie side by side.
export function outline(ctx, x, y, w, h, colour, state, [top, right, bottom, left]) {
  const line = w < 24 ? 2 : 3, mid = line / 2;
  ctx.lineWidth = line;
  ctx.strokeStyle = colour;
  if (state === "partial") ctx.setLineDash([4, 3]);
  ctx.beginPath();
  if (top) { ctx.moveTo(x, y + mid); ctx.lineTo(x + w, y + mid); }
  if (right) { ctx.moveTo(x + w - mid, y); ctx.lineTo(x + w - mid, y + h); }
  if (bottom) { ctx.moveTo(x, y + h - mid); ctx.lineTo(x + w, y + h - mid); }
  if (left) { ctx.moveTo(x + mid, y); ctx.lineTo(x + mid, y + h); }
  ctx.stroke();
  ctx.setLineDash([]);
}
