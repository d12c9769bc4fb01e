// Beams from the token in question to its slots (or, for an expert, from all its tokens), on a canvas over both panels.
import { element, fit, rgba } from "../shared/theme.js";
import { routesOf, tokenOf } from "./model.js";

export function makeBeams(view) {
  const canvas = element("canvas", "beams");
  canvas.setAttribute("aria-hidden", "true");
  const b = { node: canvas };
  b.draw = () => {
    canvas.hidden = view.tab !== "batch" || !view.active();
    if (canvas.hidden) return;
    const home = view.body.getBoundingClientRect(), ctx = fit(canvas, home.width, home.height);
    ctx.clearRect(0, 0, home.width, home.height);
    paint(ctx, view, home);
  };
  canvas.picture = (ctx) => paint(ctx, view, view.body.getBoundingClientRect());
  return b;
}

function paint(ctx, view, home) {
  const active = view.active(), m = view.model;
  const left = offset(view.batch.content, home), right = offset(view.experts.inner, home);
  const clip = { batch: within(view.batch.node, home), experts: within(view.experts.node, home) };
  const routes = active.kind === "token" ? routesOf(m, active.index) : m.held[active.index].concat(m.lost[active.index]);
  const stacked = clip.experts.top >= clip.batch.bottom - 1;
  for (const r of routes) {
    const from = view.batch.rect(tokenOf(m, r)), to = view.experts.cell(r);
    if (!from || !to) continue;
    // From the token's lower edge, so that the beam runs between the lines of text and does not strike them through.
    const start = { x: left.x + from.x + from.w / 2, y: left.y + from.y + from.h - (m.kind === "text" ? 1 : from.h / 2) };
    const end = { x: right.x + to.x + (m.kept[r] ? 0 : to.w / 2), y: right.y + to.y + to.h / 2 };
    // A route of a whole expert is drawn only where its token is in view; a single token's beam is held at the panel's edge.
    const hidden = start.y < clip.batch.top || start.y > clip.batch.bottom;
    if (hidden && active.kind === "expert") continue;
    start.y = clamp(start.y, clip.batch.top, clip.batch.bottom);
    end.y = clamp(end.y, clip.experts.top, clip.experts.bottom);
    curve(ctx, start, end, stacked, rgba(view.colour(m.expert[r]), active.kind === "token" ? 0.95 : 0.35), active.kind === "token" ? 1.5 + 3 * (m.weight[r] || 0) : 1, !m.kept[r]);
    if (active.kind === "token") ring(ctx, view, right, to, m.kept[r]);
  }
}

function ring(ctx, view, right, to, kept) {
  ctx.strokeStyle = view.theme.ink;
  ctx.lineWidth = 2;
  ctx.setLineDash(kept ? [] : [3, 2]);
  ctx.strokeRect(right.x + to.x - 2, right.y + to.y - 2, to.w + 3, to.h + 3);
  ctx.setLineDash([]);
}

function curve(ctx, a, z, stacked, colour, width, dashed) {
  const bend = stacked ? (z.y - a.y) * 0.5 : (z.x - a.x) * 0.55;
  ctx.beginPath();
  ctx.moveTo(a.x, a.y);
  if (stacked) ctx.bezierCurveTo(a.x, a.y + bend, z.x, z.y - bend, z.x, z.y);
  else ctx.bezierCurveTo(a.x + bend, a.y, z.x - bend, z.y, z.x, z.y);
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.setLineDash(dashed ? [5, 4] : []);
  ctx.stroke();
  ctx.setLineDash([]);
}

function offset(node, home) {
  const r = node.getBoundingClientRect();
  return { x: r.left - home.left, y: r.top - home.top };
}

function within(node, home) {
  const r = node.getBoundingClientRect();
  return { top: r.top - home.top, bottom: r.bottom - home.top };
}

function clamp(v, low, high) {
  return Math.max(low, Math.min(high, v));
}
