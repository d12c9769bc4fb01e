// How the buffers fill: every route flies from its token to its expert, slot after slot, in the order in which the drop policy
// served that expert; when the buffer is full the rest turn away beyond its end. The order is the trace's own slot order:
// rank n of every expert takes off at the same moment.
import { element, fit, rgba } from "../shared/theme.js";
import { tokenOf } from "./model.js";

const FLIGHT = 520, SHORTEST = 1400, LONGEST = 5000, PER_RANK = 70, LARGEST = 26;

export function makeFilling(view) {
  const canvas = element("canvas", "beams filling");
  canvas.setAttribute("aria-hidden", "true");
  canvas.hidden = true;
  const s = { node: canvas, frame: 0 };
  s.start = () => start(s, view);
  s.stop = () => stop(s, view);
  return s;
}

function start(s, view) {
  stop(s, view);
  const m = view.model, x = view.experts;
  if (!view.motion || !m.total || view.tab !== "batch") return;
  const most = Math.max(...m.load), span = Math.max(SHORTEST, Math.min(LONGEST, most * PER_RANK));
  s.flights = [];
  for (let e = 0; e < m.E; e++) {
    m.held[e].concat(m.lost[e]).forEach((r, rank) => s.flights.push({ r, e, begin: (rank / most) * span, held: rank < m.held[e].length }));
  }
  x.override = { held: new Float32Array(m.E), lost: new Int32Array(m.E) };
  s.node.hidden = false;
  view.root.dataset.replaying = "true";
  const began = performance.now();
  const step = (now) => {
    const elapsed = now - began;
    draw(s, view, elapsed);
    if (elapsed < span + FLIGHT) s.frame = requestAnimationFrame(step);
    else stop(s, view);
  };
  s.frame = requestAnimationFrame(step);
}

function stop(s, view) {
  cancelAnimationFrame(s.frame);
  s.node.hidden = true;
  delete view.root.dataset.replaying;
  if (!view.experts.override) return;
  view.experts.override = null;
  view.experts.retint();
  view.experts.draw(1);
}

function draw(s, view, elapsed) {
  const home = view.body.getBoundingClientRect(), ctx = fit(s.node, home.width, home.height);
  const left = corner(view.batch.content, home), right = corner(view.experts.inner, home), x = view.experts;
  ctx.clearRect(0, 0, home.width, home.height);
  x.override.held.fill(0);
  x.override.lost.fill(0);
  for (const f of s.flights) {
    const u = (elapsed - f.begin) / FLIGHT;
    if (u >= 1) (f.held ? x.override.held : x.override.lost)[f.e]++;
    else if (u > 0) drawFlight(ctx, view, f, u * u * (3 - 2 * u), left, right);
  }
  x.retint();
  x.draw(1);
}

function drawFlight(ctx, view, f, u, left, right) {
  const from = view.batch.rect(tokenOf(view.model, f.r)), to = view.experts.cell(f.r);
  if (!from || !to) return;
  const w0 = Math.min(from.w, LARGEST), h0 = Math.min(from.h, LARGEST);
  const ax = left.x + from.x + (from.w - w0) / 2, ay = clamp(left.y + from.y + (from.h - h0) / 2, left.top, left.bottom - h0);
  const bx = right.x + to.x, by = clamp(right.y + to.y, right.top, right.bottom - to.h);
  const px = ax + (bx - ax) * u, py = ay + (by - ay) * u - Math.sin(u * Math.PI) * 14;
  const w = w0 + (to.w - w0) * u, h = h0 + (to.h - h0) * u;
  // An overflowing route loses its colour as it passes the buffer it found full.
  ctx.fillStyle = rgba(view.colour(f.e), f.held ? 0.85 : 0.85 * (1 - u));
  ctx.fillRect(px, py, w, h);
  if (f.held) return;
  ctx.strokeStyle = rgba(view.theme.text, 0.9);
  ctx.setLineDash([3, 2]);
  ctx.strokeRect(px + 0.5, py + 0.5, w - 1, h - 1);
  ctx.setLineDash([]);
}

function corner(node, home) {
  const r = node.getBoundingClientRect(), frame = node.parentElement.getBoundingClientRect();
  return { x: r.left - home.left, y: r.top - home.top, top: frame.top - home.top, bottom: frame.bottom - home.top };
}

function clamp(v, low, high) {
  return Math.max(low, Math.min(high, v));
}
