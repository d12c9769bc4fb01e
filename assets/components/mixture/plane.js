// Draws the points, each expert's line with its spread, the blend between them, and below them whom the gate would ask at each place.
import { parse, rgba } from "../shared/theme.js";
import { decimal } from "../shared/words.js";

export const LEFT = 46, RIGHT = 14, TOP = 24, STRIP = 46, GAP = 30, BELOW = 38;
const RADIUS = 3.4;

// Where the plane lies in a picture of this size: everything in pixels.
export function frameOf(width, height, strip) {
  const bottom = height - BELOW - (strip ? STRIP + GAP : 0);
  return { left: LEFT, right: width - RIGHT, top: TOP, bottom, strip: strip ? { top: bottom + GAP, bottom: bottom + GAP + STRIP } : null };
}

export function toScreen(view, x, y) {
  const { frame: f, limits: [x0, x1, y0, y1] } = view;
  return [f.left + ((x - x0) / (x1 - x0)) * (f.right - f.left), f.bottom - ((y - y0) / (y1 - y0)) * (f.bottom - f.top)];
}

// A place on screen on the grid of points, held within it.
export function toGrid(view, px, py) {
  const { frame: f, grid } = view, at = (share) => Math.round(Math.max(0, Math.min(1, share)) * (grid - 1));
  return [at((px - f.left) / (f.right - f.left)), at((f.bottom - py) / (f.bottom - f.top))];
}

// The middle of a place of the grid, in the units of the data.
export function fromGrid(view, gx, gy) {
  const [x0, x1, y0, y1] = view.limits;
  return [x0 + (gx / (view.grid - 1)) * (x1 - x0), y0 + (gy / (view.grid - 1)) * (y1 - y0)];
}

// Round numbers between two ends, about `wanted` of them.
export function ticks(from, to, wanted) {
  const raw = (to - from) / Math.max(1, wanted), power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((m) => m * power >= raw) ?? 10), found = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9 * step; i++) found.push(i * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

// A share u of the way from one picture to the other; where they have other parts, the new one at once.
export function between(from, to, u) {
  const fits = from && from.E === to.E && from.along.length === to.along.length && from.along[0] === to.along[0] && from.along.at(-1) === to.along.at(-1);
  if (!fits || u >= 1) return to;
  const mix = (a, b) => b.map((value, i) => a[i] + (value - a[i]) * u);
  const rows = (a, b) => b.map((row, e) => mix(a[e], row));
  const posterior = from.posterior.length === to.posterior.length ? mix(from.posterior, to.posterior) : to.posterior;
  return { ...to, lines: rows(from.lines, to.lines), spread: rows(from.spread, to.spread), gate: rows(from.gate, to.gate), blend: mix(from.blend, to.blend), posterior };
}

// The colour of who answers for a point: the experts' colours, mixed by their shares.
export function mixed(colours, shares) {
  /** @type {[number, number, number]} */
  const rgb = [0, 0, 0];
  shares.forEach((share, e) => colours[e % colours.length].forEach((value, i) => (rgb[i] += share * value)));
  return rgb;
}

export function draw(view, ctx) {
  const { frame: f, theme, now: m } = view, colours = view.look.colours.map(parse);
  ctx.clearRect(0, 0, view.width, view.height);
  axes(view, ctx);
  for (let e = 0; e < m.E; e++) ribbon(view, ctx, e, colours);
  points(view, ctx, colours);
  for (let e = 0; e < m.E; e++) line(view, ctx, e, colours);
  if (m.E > 1) dashed(view, ctx);
  numbers(view, ctx, colours);
  if (view.selected !== null) ring(view, ctx);
  if (f.strip) strip(view, ctx, colours);
  ctx.strokeStyle = theme.border;
  ctx.lineWidth = 1;
  ctx.strokeRect(f.left, f.top, f.right - f.left, f.bottom - f.top);
}

function axes(view, ctx) {
  const { frame: f, theme, limits: [x0, x1, y0, y1], axis } = view;
  const soft = rgba(theme.text, 0.78), low = f.strip ? f.strip.bottom : f.bottom;
  ctx.font = `12px ${theme.font}`;
  ctx.lineWidth = 1;
  const across = ticks(x0, x1, (f.right - f.left) / 90), up = ticks(y0, y1, (f.bottom - f.top) / 60);
  for (const x of across.found) {
    const [px] = toScreen(view, x, y0);
    stroke(ctx, theme.faint, () => { ctx.moveTo(px, f.top); ctx.lineTo(px, f.bottom); });
    text(ctx, decimal(x, across.digits), px, low + 14, soft, "center");
  }
  for (const y of up.found) {
    const [, py] = toScreen(view, x0, y);
    stroke(ctx, theme.faint, () => { ctx.moveTo(f.left, py); ctx.lineTo(f.right, py); });
    text(ctx, decimal(y, up.digits), f.left - 6, py + 4, soft, "right");
  }
  text(ctx, axis.x, (f.left + f.right) / 2, low + 31, soft, "center");
  text(ctx, axis.y, f.left, f.top - 9, soft, "left");
}

function ribbon(view, ctx, e, colours) {
  const { now: m } = view, wide = m.spread[e];
  if (!m.ribbons) return;
  clipped(view, ctx, (clamp) => {
    m.along.forEach((x, i) => {
      const [px, py] = toScreen(view, x, m.lines[e][i] + wide[i]);
      ctx[i ? "lineTo" : "moveTo"](px, clamp(py));
    });
    for (let i = m.along.length - 1; i >= 0; i--) {
      const [px, py] = toScreen(view, m.along[i], m.lines[e][i] - wide[i]);
      ctx.lineTo(px, clamp(py));
    }
    ctx.closePath();
  });
  ctx.fillStyle = rgba(colours[e % colours.length], 0.13);
  ctx.fill();
}

// An expert's line is strong where the gate would ask it, faint where it would not: drawn piece by piece.
function line(view, ctx, e, colours) {
  const { now: m, frame: f } = view, rgb = colours[e % colours.length];
  for (let i = 0; i + 1 < m.along.length; i++) {
    const [ax, ay] = toScreen(view, m.along[i], m.lines[e][i]), [bx, by] = toScreen(view, m.along[i + 1], m.lines[e][i + 1]);
    if (Math.min(ay, by) > f.bottom || Math.max(ay, by) < f.top) continue;
    const g = (m.gate[e][i] + m.gate[e][i + 1]) / 2;
    ctx.lineWidth = 1.5 + 2.5 * g;
    const clamp = (y) => Math.max(f.top, Math.min(f.bottom, y));
    stroke(ctx, rgba(rgb, 0.45 + 0.55 * g), () => { ctx.moveTo(ax, clamp(ay)); ctx.lineTo(bx, clamp(by)); });
  }
}

function dashed(view, ctx) {
  const { now: m, theme } = view;
  ctx.setLineDash([7, 5]);
  ctx.lineWidth = 2;
  ctx.strokeStyle = rgba(theme.text, 0.75);
  clipped(view, ctx, (clamp) => m.along.forEach((x, i) => {
    const [px, py] = toScreen(view, x, m.blend[i]);
    ctx[i ? "lineTo" : "moveTo"](px, clamp(py));
  }));
  ctx.stroke();
  ctx.setLineDash([]);
}

function points(view, ctx, colours) {
  const { now: m, theme } = view;
  ctx.lineWidth = 1;
  view.points.forEach((point) => {
    const [px, py] = placeOf(view, point);
    ctx.beginPath();
    ctx.arc(px, py, RADIUS, 0, 2 * Math.PI);
    const known = point.from !== undefined && (point.from + 1) * m.E <= m.posterior.length;
    ctx.fillStyle = known ? rgba(mixed(colours, m.posterior.slice(point.from * m.E, (point.from + 1) * m.E)), 0.85) : rgba(theme.background, 1);
    ctx.strokeStyle = known ? rgba(theme.background, 0.9) : theme.ink;
    ctx.fill();
    ctx.stroke();
  });
}

// Shipped points stand at their own values, one's own on the grid.
export function placeOf(view, point) {
  return toScreen(view, ...(point.exact ?? fromGrid(view, point[0], point[1])));
}

function ring(view, ctx) {
  const point = view.points[view.selected];
  if (!point) return;
  const [px, py] = placeOf(view, point);
  ctx.beginPath();
  ctx.arc(px, py, RADIUS + 4.5, 0, 2 * Math.PI);
  ctx.lineWidth = view.grabbed ? 3.5 : 2;
  ctx.strokeStyle = view.theme.ink;
  ctx.stroke();
}

// Each line's number, at the end of it that the gate asks more, moved apart where two would lie on each other.
function numbers(view, ctx, colours) {
  const { now: m, frame: f, theme } = view, taken = [];
  for (let e = 0; e < m.E; e++) {
    const last = m.along.length - 1, i = m.gate[e][last] >= m.gate[e][0] ? last - 3 : 3;
    const [px, py] = toScreen(view, m.along[i], m.lines[e][i]);
    const y = free(taken, px, Math.max(f.top + 10, Math.min(f.bottom - 10, py)), f);
    taken.push([px, y]);
    badge(ctx, view, e, px, y, colours);
  }
  ctx.lineWidth = 1;
  ctx.strokeStyle = theme.border;
}

// The nearest height at which a number hides no other; its own where there is none.
export function free(taken, x, y, f) {
  const hides = (at) => taken.some(([other, height]) => Math.abs(other - x) < 24 && Math.abs(height - at) < 19);
  for (let away = 0; away < f.bottom - f.top; away += 20) {
    for (const at of [y + away, y - away]) if (at >= f.top + 9 && at <= f.bottom - 9 && !hides(at)) return at;
  }
  return y;
}

function badge(ctx, view, e, x, y, colours) {
  const rgb = colours[e % colours.length];
  ctx.beginPath();
  ctx.roundRect(x - 10, y - 9, 20, 18, 5);
  ctx.fillStyle = rgba(rgb, 1);
  ctx.strokeStyle = rgba(view.theme.background, 1);
  ctx.lineWidth = 2;
  ctx.fill();
  ctx.stroke();
  ctx.font = `600 12px ${view.theme.font}`;
  text(ctx, String(e + 1), x, y + 4, view.inks[e % view.inks.length], "center");
}

// Whom the gate would ask along x: shares that fill the height, from the first expert below to the last on top.
function strip(view, ctx, colours) {
  const { now: m, frame: f, theme } = view, tall = f.strip.bottom - f.strip.top;
  let below = m.along.map(() => 0);
  for (let e = 0; e < m.E; e++) {
    const above = below.map((value, i) => value + m.gate[e][i]);
    ctx.beginPath();
    m.along.forEach((x, i) => ctx[i ? "lineTo" : "moveTo"](toScreen(view, x, 0)[0], f.strip.bottom - tall * Math.min(1, above[i])));
    for (let i = m.along.length - 1; i >= 0; i--) ctx.lineTo(toScreen(view, m.along[i], 0)[0], f.strip.bottom - tall * Math.min(1, below[i]));
    ctx.closePath();
    ctx.fillStyle = rgba(colours[e % colours.length], 0.8);
    ctx.fill();
    below = above;
  }
  ctx.font = `12px ${theme.font}`;
  text(ctx, view.words.asked, f.left, f.strip.top - 6, rgba(theme.text, 0.78), "left");
  ctx.strokeStyle = theme.border;
  ctx.lineWidth = 1;
  ctx.strokeRect(f.left, f.strip.top, f.right - f.left, tall);
}

function clipped(view, ctx, path) {
  const { frame: f } = view;
  ctx.beginPath();
  path((y) => Math.max(f.top, Math.min(f.bottom, y)));
}

function stroke(ctx, colour, path) {
  ctx.strokeStyle = colour;
  ctx.beginPath();
  path();
  ctx.stroke();
}

function text(ctx, words, x, y, colour, align) {
  ctx.fillStyle = colour;
  ctx.textAlign = align;
  ctx.textBaseline = "alphabetic";
  ctx.fillText(words, x, y);
}
