// The probe batch on the left: text as one focusable span per token, images as tiles of patches, or points in the plane.
// The spans carry text and focus only; tints, outlines and hatching are drawn on a canvas beneath them, so that a tween
// repaints one layer instead of restyling hundreds of elements.
import { drawPattern, element, fit, lostToken, patternOf, solid } from "../shared/theme.js";
import { glyph, nameOf } from "./model.js";
import { say } from "../shared/words.js";
import { bitmap, borders, columnsOf, countFrom, outline, sizeTiles } from "./tiles.js";

export function makeBatch(view) {
  const scroll = element("div", "batch");
  const content = element("div", "content");
  const canvas = element("canvas", "under");
  const list = element("div", "list");
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-orientation", "horizontal");
  content.append(canvas, list);
  scroll.append(content);
  const b = { node: scroll, content, list, canvas, spans: [], rects: [], shape: "", current: null, from: null, target: null };

  b.update = (m) => {
    const shape = JSON.stringify([m.kind, m.groups, m.group, m.sequence, m.images && [m.images.id, m.images.arrived], m.way && [[...m.way.base], [...m.way.run]], m.languages]);
    b.stale = shape !== b.shape;
    if (b.stale) build(b, m);
    b.shape = shape;
    for (let t = 0; t < m.T; t++) b.stale = refreshSpan(b.spans[t], m, t, view.numbers) || b.stale;
    const summary = say(m, "batch", { source: say(m, "source"), tokens: m.T, dropped: m.droppedTokens });
    if (list.getAttribute("aria-label") !== summary) list.setAttribute("aria-label", summary);
    aim(b, m, view);
  };
  canvas.picture = (ctx) => paintAll(ctx, b, view);
  b.layout = () => measure(b, view.model);
  b.draw = (u) => paint(b, view, u);
  b.retint = () => view.model && aim(b, view.model, view);
  b.rect = (t) => b.rects[t];
  b.bottoms = () => (b.tiles?.length ? b.tiles : b.rects).map((r) => r.y + r.h);
  return b;
}

function build(b, m) {
  b.list.replaceChildren();
  b.spans = [];
  b.list.dataset.kind = m.kind;
  b.bitmaps = m.images ? m.images.pixels.map((pixels) => bitmap(m.images, pixels)) : [];
  let line = b.list, run = line, sequence = -1, group = -1;
  for (let t = 0; t < m.T; t++) {
    if (t === 0 || m.sequence[t] !== sequence) {
      const first = t, block = element("div", "sequence");
      block.setAttribute("role", "group");
      const label = m.groups[m.group[first]] || "";
      block.setAttribute("aria-label", label || say(m, "batch", { source: say(m, "source"), tokens: m.T, dropped: m.droppedTokens }));
      const caption = element("div", "group", m.kind === "text" && m.group[first] === group ? "" : label);
      line = run = element("div", "line");
      const language = m.languages[m.group[first]];
      if (typeof language === "string") line.lang = language;
      if (m.way) line.dir = m.way.base[t] ? "rtl" : "ltr";
      if (m.kind === "image") {
        line.style.setProperty("--side", columnsOf(m, countFrom(m, t)));
        line.style.setProperty("--shape", `${m.images.width} / ${m.images.height}`);
      }
      if (m.kind !== "point" || !b.spans.length) {
        block.append(caption, line);
        b.list.append(block);
        b.plane = line;
      } else line = run = b.plane;
      if (m.kind === "point") caption.textContent = "";
      sequence = m.sequence[t];
      group = m.group[t];
    }
    const span = element("span", "tok");
    span.dataset.t = t;
    span.tabIndex = -1;
    span.setAttribute("role", "option");
    span.setAttribute("aria-selected", "false");
    if (m.way && (t === 0 || run === line || m.way.run[t] !== m.way.run[t - 1])) run = runOf(line, m, t);
    run.append(span);
    b.spans.push(span);
  }
  if (!m.T) b.list.append(element("p", "note", say(m, "empty")));
  if (b.spans.length) b.spans[0].tabIndex = 0;
  b.current = null;
  b.rects = [];
}

// What the next tokens of a line are put into: the line itself, or a part of it that is written in the other direction.
function runOf(line, m, t) {
  if (m.way.run[t] === m.way.base[t]) return line;
  const run = element("span", "run");
  run.dir = m.way.run[t] ? "rtl" : "ltr";
  line.append(run);
  return run;
}

// Returns whether the span may have changed its size.
function refreshSpan(span, m, t, numbers) {
  let moved = m.kind === "point";
  if (m.kind === "text") {
    const shown = glyph(m.tokens[t]);
    moved = span.textContent !== shown.text;
    if (moved) span.textContent = shown.text;
    if (moved) span.classList.toggle("quiet", shown.quiet);
  } else if (m.kind === "image") {
    span.setAttribute("aria-label", nameOf(m, t));
  } else {
    span.style.left = `${3 + m.points[2 * t] * 0.094}%`;
    span.style.top = `${3 + m.points[2 * t + 1] * 0.094}%`;
    span.setAttribute("aria-label", nameOf(m, t));
  }
  if (span.dataset.state !== m.state[t]) span.dataset.state = m.state[t];
  const number = m.owner[t] < 0 ? "–" : String(m.owner[t] + m.base);
  if (span.dataset.x !== number) {
    span.dataset.x = number;
    moved ||= numbers;
  }
  return moved;
}

function measure(b, m) {
  if (m && m.kind === "image") sizeTiles(b, m);
  const home = b.content.getBoundingClientRect();
  b.width = home.width;
  b.height = b.list.offsetHeight;
  b.rects = b.spans.map((span) => {
    const r = span.getBoundingClientRect();
    return { x: r.left - home.left, y: r.top - home.top, w: r.width, h: r.height };
  });
  b.tiles = m && m.kind === "image" ? [...b.list.querySelectorAll(".line")].map((line) => {
    const r = line.getBoundingClientRect();
    return { x: r.left - home.left, y: r.top - home.top, w: r.width, h: r.height };
  }) : [];
  b.context = fit(b.canvas, b.width, b.height);
  b.whole = true;
  b.stale = false;
}

// Five numbers per token: red, green, blue, gate weight, and how present it is while others are lit.
// Tweens run from what is on screen to the new target.
const NUMBERS = 5;

function aim(b, m, view) {
  const target = new Float32Array(NUMBERS * m.T), lit = view.lit();
  for (let t = 0; t < m.T; t++) {
    const held = m.state[t] === "kept" || m.state[t] === "partial";
    target.set(m.owner[t] < 0 ? view.theme.text : view.colour(m.owner[t]), NUMBERS * t);
    target[NUMBERS * t + 3] = held ? 0.06 + 0.94 * Math.min(1, m.ownerWeight[t] || 0) : 0;
    target[NUMBERS * t + 4] = lit && !lit.has(t) ? 0.2 : 1;
  }
  b.target = target;
  b.borders = m.kind === "image" ? borders(m) : [];
  b.from = b.current && b.current.length === target.length ? b.current : target;
  b.current = b.from.slice();
  b.from = b.from.slice();
  b.changed = [];
  for (let i = 0; i < target.length; i++) {
    if (b.from[i] === target[i]) continue;
    const t = Math.floor(i / NUMBERS);
    b.changed.push(t);
    i = NUMBERS * (t + 1) - 1;
  }
  b.whole = true;
}

// Text is repainted token by token while it tweens; images and points, which overlap, as a whole.
function paint(b, view, u) {
  const m = view.model, ctx = b.context;
  if (!ctx || !b.target || b.rects.length !== m.T) return;
  if (!b.whole && !b.changed.length) return;
  for (const t of b.changed) {
    for (let i = NUMBERS * t; i < NUMBERS * (t + 1); i++) b.current[i] = b.from[i] + (b.target[i] - b.from[i]) * u;
  }
  if (b.whole || m.kind !== "text") {
    ctx.clearRect(0, 0, b.width, b.height);
    paintAll(ctx, b, view);
  } else {
    for (const t of b.changed) {
      const r = b.rects[t];
      ctx.clearRect(r.x - 1, r.y, r.w + 1, r.h + 1);
      drawToken(ctx, b, view, t);
    }
  }
  b.whole = false;
  if (u >= 1) b.changed = [];
}

function paintAll(ctx, b, view) {
  ctx.imageSmoothingEnabled = false;
  b.tiles.forEach((r, i) => b.bitmaps[i] && ctx.drawImage(b.bitmaps[i], r.x, r.y, r.w, r.h));
  for (let t = 0; t < view.model.T; t++) drawToken(ctx, b, view, t);
}

function drawToken(ctx, b, view, t) {
  const m = view.model, r = b.rects[t], at = NUMBERS * t, c = b.current;
  const colour = solid(c[at], c[at + 1], c[at + 2]), weight = c[at + 3], presence = c[at + 4];
  const state = m.state[t], image = m.kind === "image";
  if (state === "dropped" || state === "unrouted") {
    const box = m.kind === "point" ? { x: r.x + r.w / 2 - 6, y: r.y + r.h / 2 - 6, w: 12, h: 12 } : { ...r, w: r.w - (image ? 0 : 1) };
    lostToken(ctx, box.x, box.y, box.w, box.h, image ? [255, 255, 255] : view.theme.text, presence, state === "dropped");
  } else if (m.kind === "point") drawPoint(ctx, view, r, colour, weight, presence);
  else {
    const w = r.w - (image ? 0 : 1), h = r.h;
    ctx.fillStyle = colour;
    ctx.globalAlpha = view.theme.tint * weight * presence * (image ? 0.7 : 1);  // the picture must shine through
    ctx.fillRect(r.x, r.y, w, h);
    drawPattern(ctx, patternOf(m.owner[t], view.look), r.x, r.y, w, h - 3, view.colour(m.owner[t]), 0.55 * presence);
    ctx.globalAlpha = presence;
    if (image) outline(ctx, r.x, r.y, w, h, colour, state, b.borders[t]);
    else underline(ctx, r.x, r.y + h - 3, w, colour, state);
  }
  ctx.globalAlpha = 1;
}

function underline(ctx, x, y, w, colour, state) {
  ctx.fillStyle = colour;
  if (state === "partial") for (let d = 0; d < w; d += 4) ctx.fillRect(x + d, y, Math.min(2, w - d), 3);
  else ctx.fillRect(x, y, w, 3);
}

function drawPoint(ctx, view, r, colour, weight, presence) {
  ctx.beginPath();
  ctx.arc(r.x + r.w / 2, r.y + r.h / 2, 5.5, 0, 2 * Math.PI);
  ctx.fillStyle = colour;
  ctx.globalAlpha = (0.25 + 0.6 * weight) * presence;
  ctx.fill();
  ctx.strokeStyle = colour;
  ctx.globalAlpha = presence;
  ctx.lineWidth = 1.5;
  ctx.stroke();
}

// The nearest token in the next or previous visual line, for the arrow keys.
export function neighbour(b, t, key) {
  const last = b.spans.length - 1;
  const back = getComputedStyle(b.spans[t].parentElement).direction === "rtl";
  if (key === (back ? "ArrowLeft" : "ArrowRight")) return Math.min(last, t + 1);
  if (key === (back ? "ArrowRight" : "ArrowLeft")) return Math.max(0, t - 1);
  if (key === "Home") return 0;
  if (key === "End") return last;
  const here = b.rects[t], down = key === "ArrowDown";
  let best = t, bestCost = Infinity;
  b.rects.forEach((r, i) => {
    const dy = down ? r.y - here.y : here.y - r.y;
    if (dy < here.h / 2) return;
    const cost = dy * 4 + Math.abs(r.x + r.w / 2 - here.x - here.w / 2);
    if (cost < bestCost) { bestCost = cost; best = i; }
  });
  return best;
}
