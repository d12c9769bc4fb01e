// The experts on the right: one row each, its buffer filled by the kept routes in slot order, overflow beyond the buffer's end: one
// cell and one cross per dropped route, in the same cells as the slots, so that all lengths of the picture can be compared.
// Without a capacity the row is a bar of its load with the fair share marked.
// Cells fill column by column, so that the filled length stays proportional to the load at any number of lines.
import { cross, drawPattern, element, fit, paintChip, patternOf, rgba, solid } from "../shared/theme.js";
import { describeExpert, tokenOf } from "./model.js";
import { percent, say } from "../shared/words.js";

const STEPS = [1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
const APART = 8;  // pixels between a buffer's end and its overflow
const LEAST_CROSS = 5;  // pixels of a cell that still shows a cross; smaller ones share a pattern of crosses

export function makeExperts(view) {
  const node = element("div", "experts"), inner = element("div", "rows");
  const canvas = element("canvas", "slots");
  canvas.setAttribute("role", "img");
  inner.append(canvas);
  node.append(inner);
  // override: while the buffers are replayed, how many routes each has received so far.
  /** @type {Record<string, any>} */
  const x = { node, inner, canvas, rows: [], shown: null, from: null, target: null, override: null, geometry: [], scale: 0 };

  x.update = (m) => {
    x.stale = x.rows.length !== m.E;
    if (x.stale) build(x, m, view);
    for (let e = 0; e < m.E; e++) refreshRow(x.rows[e], m, e);
    const head = say(m, m.C === null ? "experts_dropless" : "experts_capacity", { experts: m.E, capacity: m.C });
    canvas.setAttribute("aria-label", head);
    x.scale = chooseScale(m, x.scale);
    const target = Float32Array.from(m.held, (held) => held.length);
    x.from = x.shown && x.shown.length === m.E ? x.shown.slice() : target.slice();
    x.target = target;
    x.shown = x.from.slice();
    place(x, m);
    x.whole = true;
  };
  canvas.picture = (ctx) => paintRows(ctx, x, view, x.rows.map((_, e) => e));
  x.layout = () => measure(x, view.model);
  x.retint = () => {
    // What is lit changes at once, and a tween under way goes on from where it is.
    if (x.shown && !x.override) x.from = x.shown.slice();
    x.whole = true;
  };
  x.draw = (u) => paint(x, view, u);
  x.bottoms = () => (x.boxes || []).map((row) => row.y + row.h);
  x.cell = (r) => cellOf(x, view.model, r);
  x.routeAt = (px, py) => routeAt(x, view.model, px, py);
  return x;
}

// A row's full length in multiples of the fair share, overflow included: fixed steps, taken back only well below the next smaller
// one, so that the scale does not breathe with every batch.
function chooseScale(m, before) {
  const fair = m.total / m.E || 1, need = Math.max(Math.max(...m.load, 0) / fair, m.peak);
  const fits = STEPS.find((s) => s >= need) ?? need;
  return fits < before && need > before * 0.55 ? before : fits;
}

function build(x, m, view) {
  x.rows.forEach((row) => row.node.remove());
  x.rows = [];
  x.inner.classList.toggle("many", m.E > 8);
  for (let e = 0; e < m.E; e++) {
    const node = element("button", "row");
    node.type = "button";
    node.dataset.e = e;
    const chip = element("span", "chip", String(e + m.base)), share = element("span", "share"), note = element("span", "remark");
    paintChip(chip, e, view.colour(e), view.look);
    node.append(chip, share, element("span", "room"), note);
    x.inner.append(node);
    x.rows.push({ node, share, note, label: "" });
  }
  x.shown = null;
}

function refreshRow(row, m, e) {
  const share = percent(m.total ? m.load[e] / m.total : NaN);
  if (row.share.textContent !== share) row.share.textContent = share;
  const note = m.lost[e].length ? say(m, "dropped_n", { n: m.lost[e].length })
    : m.dead && m.dead[e] ? say(m, "dead") : m.total && !m.load[e] ? say(m, "idle") : "";
  if (row.note.textContent !== note) row.note.textContent = note;
  row.node.classList.toggle("dead", !!(m.dead && m.dead[e]) || (m.total > 0 && !m.load[e]));
  const label = describeExpert(m, e);
  if (row.label !== label) row.node.setAttribute("aria-label", row.label = label);
}

function measure(x, m) {
  const home = x.inner.getBoundingClientRect();
  x.width = home.width;
  x.height = home.height;
  x.boxes = x.rows.map((row) => {
    const r = row.node.children[2].getBoundingClientRect();
    return { x: r.left - home.left, y: r.top - home.top, w: r.width, h: r.height };
  });
  x.context = fit(x.canvas, x.width, x.height);
  if (m) place(x, m);
  x.whole = true;
  x.stale = false;
}

// Cell size, the same in all rows: as many lines as make cells nearest to square. A row has room for its buffer and for the largest load.
function place(x, m) {
  if (!x.boxes || x.boxes.length !== m.E) return;
  const bounded = m.C !== null, reach = Math.max(1, (x.scale * m.total) / m.E);
  const cells = bounded ? m.C : reach, beyond = bounded ? Math.max(0, reach - m.C) : 0;
  x.geometry = x.boxes.map((box) => {
    const pad = box.h > 26 ? 5 : 2, h = Math.max(6, Math.min(box.h - 2 * pad, 44)), length = box.w * 0.98 - (beyond ? APART : 0);
    const across = (n) => Math.ceil(cells / n) + Math.ceil(beyond / n);
    let lines = 1, best = 0;
    for (let n = 1; n <= Math.max(1, Math.floor(h / 5)); n++) {
      const side = Math.min(length / across(n), h / n, 18);
      if (side > best + 0.01) { best = side; lines = n; }
    }
    const columns = Math.ceil(cells / lines);
    const w = bounded ? Math.min(length / across(lines), 26) : length / (cells / lines), ch = Math.min(h / lines, Math.max(w * 1.6, 12));
    return { x: box.x, y: box.y + (box.h - ch * lines) / 2, w, h: ch, lines, columns, end: box.x + columns * w };
  });
}

function box(g, i) {
  return { x: g.x + Math.floor(i / g.lines) * g.w, y: g.y + (i % g.lines) * g.h, w: g.w, h: g.h };
}

function lostBox(g, i) {
  return box({ ...g, x: g.end + APART }, i);
}

function cellOf(x, m, r) {
  const e = m.expert[r], g = x.geometry[e];
  if (!g) return null;
  return m.kept[r] ? box(g, m.held[e].indexOf(r)) : lostBox(g, m.lost[e].indexOf(r));
}

function routeAt(x, m, px, py) {
  for (let e = 0; e < m.E; e++) {
    const g = x.geometry[e];
    if (!g || py < g.y || py > g.y + g.lines * g.h || px < g.x) continue;
    const inside = px < g.end, from = inside ? g.x : g.end + APART, routes = inside ? m.held[e] : m.lost[e];
    if (px < from) continue;
    const i = Math.floor((px - from) / g.w) * g.lines + Math.min(g.lines - 1, Math.floor((py - g.y) / g.h));
    if (i < routes.length) return routes[i];
  }
  return -1;
}

function paint(x, view, u) {
  const m = view.model, ctx = x.context;
  if (!ctx || x.geometry.length !== m.E || !x.target) return;
  const moving = [];
  for (let e = 0; e < m.E; e++) {
    x.shown[e] = x.override ? x.override.held[e] : x.from[e] + (x.target[e] - x.from[e]) * u;
    if (x.whole || x.from[e] !== x.target[e]) moving.push(e);
  }
  if (x.whole) ctx.clearRect(0, 0, x.width, x.height);
  else for (const e of moving) ctx.clearRect(0, x.boxes[e].y, x.width, x.boxes[e].h);
  paintRows(ctx, x, view, moving);
  x.whole = false;
}

function paintRows(ctx, x, view, rows) {
  const lit = view.lit(), m = view.model;
  for (const e of rows) paintRow(ctx, x, view, e, lit);
  if (m.C === null && m.total) for (const e of rows) paintFair(ctx, x, view, x.boxes[e]);
}

function paintRow(ctx, x, view, e, lit) {
  // on a dark page a thin tint is hardly lighter than the page itself
  const least = view.theme.dark ? 0.55 : 0.35, unlit = view.theme.dark ? 0.4 : 0.25;
  const m = view.model, g = x.geometry[e], rgb = view.colour(e), gap = g.w > 4 ? 1 : 0, gapY = g.lines > 1 ? 1 : 0;
  if (m.C !== null) {
    ctx.strokeStyle = view.theme.border;
    ctx.lineWidth = 1;
    if (g.w >= 5) for (let i = Math.floor(x.shown[e]); i < m.C; i++) {
      const c = box(g, i);
      ctx.strokeRect(c.x + 0.5, c.y + 0.5, Math.max(1, c.w - gap - 1), Math.max(1, c.h - gapY - 1));
    }
    const overflows = (x.override ? x.override.lost[e] : m.lost[e].length) > 0;
    ctx.fillStyle = overflows ? view.theme.ink : view.theme.border;
    ctx.fillRect(g.end + 1, g.y - 2, overflows ? 2 : 1, g.lines * g.h + 3);
  }
  const count = Math.ceil(x.shown[e]);
  ctx.fillStyle = solid(...rgb);
  for (let i = 0; i < count; i++) {
    const c = box(g, i), r = m.held[e][i], grown = Math.min(1, x.shown[e] - i);
    const present = lit && (r === undefined || !lit.has(tokenOf(m, r))) ? unlit : 1;
    ctx.globalAlpha = (r === undefined ? 0.6 : least + (1 - least) * Math.min(1, m.weight[r] || 0)) * present * grown;
    ctx.fillRect(c.x, c.y, Math.max(1, c.w - gap), Math.max(1, c.h - gapY));
  }
  ctx.globalAlpha = 1;
  if (count && (!lit || m.held[e].some((r) => lit.has(tokenOf(m, r))))) {
    drawPattern(ctx, patternOf(e, view.look), g.x, g.y, Math.ceil(count / g.lines) * g.w, g.lines * g.h, view.theme.text, 0.22);
  }
  paintLost(ctx, x, view, e, lit, gap, gapY);
}

function paintLost(ctx, x, view, e, lit, gap, gapY) {
  const m = view.model, g = x.geometry[e], text = view.theme.text, count = x.override ? x.override.lost[e] : m.lost[e].length;
  const w = Math.max(1, g.w - gap), h = Math.max(1, g.h - gapY), crossed = w >= LEAST_CROSS && h >= LEAST_CROSS, arm = Math.min(w, h, 10) / 2 - 1;
  ctx.lineWidth = w < 8 || h < 8 ? 1.1 : 1.4;
  for (let l = 0; l < count; l++) {
    const c = lostBox(g, l), present = lit && !lit.has(tokenOf(m, m.lost[e][l])) ? 0.25 : 0.85;
    if (crossed) cross(ctx, c.x + w / 2, c.y + h / 2, arm, rgba(text, present));
    else {
      ctx.fillStyle = rgba(text, 0.12 + 0.3 * present);
      ctx.fillRect(c.x, c.y, w, h);
    }
  }
  if (crossed || !count || (lit && !m.lost[e].some((r) => lit.has(tokenOf(m, r))))) return;
  const start = lostBox(g, 0);
  drawPattern(ctx, "cross", start.x, start.y, Math.ceil(count / g.lines) * g.w - gap, g.lines * g.h - gapY, text, 0.5);
}

function paintFair(ctx, x, view, row) {
  const m = view.model, first = x.geometry[0], at = first.x + ((m.total / m.E) / first.lines) * first.w;
  ctx.strokeStyle = view.theme.ink;
  ctx.setLineDash([2, 3]);
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(Math.round(at) + 0.5, row.y);
  ctx.lineTo(Math.round(at) + 0.5, row.y + row.h);
  ctx.stroke();
  ctx.setLineDash([]);
}
