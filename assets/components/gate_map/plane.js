// Draws the plane: the field, the predicted classes' borders, the points in their shapes, the experts' numbers, the cursor.
import { ownerAt } from "./field.js";
import { fit, inkOn, parse, rgba } from "../shared/theme.js";

export function draw(view, ctx) {
  const size = view.size;
  ctx.clearRect(0, 0, size, size);
  ctx.imageSmoothingEnabled = true;
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(view.field.canvas, 0, 0, size, size);
  if (view.answers) drawAnswers(view, ctx);
  for (const [x, y, label] of view.points) drawPoint(ctx, view, (x * size) / (view.grid - 1), size - (y * size) / (view.grid - 1), label);
  for (const part of numbered(view)) drawNumber(ctx, view, part);
  if (view.cursor) drawCursor(ctx, view);
}

// While borders glide, a number stands only where its expert owns the place on screen; the old one until the new one does.
function numbered(view) {
  const holds = (part) => ownerAt(view.field, part.x, part.y) === part.owner;
  const now = view.parts.filter(holds), there = new Set(now.map((part) => part.owner));
  return now.concat(view.oldParts.filter((part) => !there.has(part.owner) && holds(part)));
}

export function canvasContext(view) {
  return fit(view.canvas, view.size, view.size);
}

// One shape and filling per class, in ink and paper: colours belong to the experts.
export function drawPoint(ctx, view, x, y, label, r = 4.2) {
  const { theme } = view;
  ctx.beginPath();
  if (label === 0) ctx.arc(x, y, r, 0, 2 * Math.PI);
  else if (label === 1) shape(ctx, x, y, r * 1.3, [[0, -1], [0.95, 0.75], [-0.95, 0.75]]);
  else if (label === 2) ctx.rect(x - r * 0.92, y - r * 0.92, r * 1.84, r * 1.84);
  else shape(ctx, x, y, r * 1.35, [[0, -1], [1, 0], [0, 1], [-1, 0]]);
  const filled = label % 2 === 1;
  ctx.fillStyle = rgba(filled ? theme.text : theme.background, 1);
  ctx.strokeStyle = rgba(filled ? theme.background : theme.text, 1);
  ctx.lineWidth = 1.2;
  ctx.fill();
  ctx.stroke();
}

function shape(ctx, x, y, r, corners) {
  corners.forEach(([dx, dy], i) => ctx[i ? "lineTo" : "moveTo"](x + dx * r, y + dy * r));
  ctx.closePath();
}

function drawNumber(ctx, view, { owner, x, y }) {
  const px = ((x + 1) * view.size) / 2, py = ((1 - y) * view.size) / 2;
  const rgb = parse(view.look.colours[(owner - 1) % view.look.colours.length]), text = String(owner);
  ctx.font = `600 14px ${view.theme.font}`;
  const w = Math.max(22, ctx.measureText(text).width + 12);
  ctx.beginPath();
  ctx.roundRect(px - w / 2, py - 11, w, 22, 6);
  ctx.fillStyle = rgba(rgb, 1);
  ctx.strokeStyle = rgba(view.theme.background, 1);
  ctx.lineWidth = 2;
  ctx.fill();
  ctx.stroke();
  ctx.fillStyle = inkOn(rgb);
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText(text, px, py + 0.5);
}

function drawAnswers(view, ctx) {
  const { R, prediction } = view.model, step = view.size / R;
  ctx.beginPath();
  for (let row = 0; row < R; row++) {
    for (let column = 0; column < R; column++) {
      const i = row * R + column, x = (column + 1) * step, y = view.size - (row + 1) * step;
      if (column + 1 < R && prediction[i] !== prediction[i + 1]) ctx.moveTo(x, y), ctx.lineTo(x, y + step);
      if (row + 1 < R && prediction[i] !== prediction[i + R]) ctx.moveTo(x - step, y), ctx.lineTo(x, y);
    }
  }
  ctx.setLineDash([2, 3]);
  ctx.lineWidth = 2;
  ctx.strokeStyle = view.theme.ink;
  ctx.stroke();
  ctx.setLineDash([]);
}

function drawCursor(ctx, view) {
  const px = ((view.cursor.x + 1) * view.size) / 2, py = ((1 - view.cursor.y) * view.size) / 2;
  for (const [width, colour] of [[4, rgba(view.theme.background, 0.9)], [1.6, view.theme.ink]]) {
    ctx.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      ctx.moveTo(px + 4 * dx, py + 4 * dy);
      ctx.lineTo(px + 12 * dx, py + 12 * dy);
    }
    ctx.lineWidth = width;
    ctx.strokeStyle = colour;
    ctx.stroke();
  }
}
