// Gate probabilities as a score: tokens run along the line in reading order, one row per expert beneath them, and wrap like
// text. One hue for the probability on the fixed domain 0 to 1; a coloured outline marks a chosen expert, a cross a dropped route.
import { element, fit, rgba, solid } from "../shared/theme.js";
import { glyph, inSight } from "./model.js";
import { say } from "../shared/words.js";

const HEAD = 42, GAP = 10, SPACE = 10, LEFT = 30;

export function makeGrid(view) {
  const node = element("div", "grid"), canvas = element("canvas");
  canvas.setAttribute("role", "img");
  node.append(canvas);
  /** @type {Record<string, any>} */
  const g = { node, canvas, columns: [], stale: true };
  canvas.picture = (ctx) => paint(ctx, g, view);
  g.update = (m) => canvas.setAttribute("aria-label", say(m, "grid"));
  g.layout = () => {
    if (view.tab === "grid") arrange(g, view.model, node.clientWidth);
    g.stale = true;
  };
  g.retint = () => (g.stale = true);
  // Nothing tweens here, so that a frame without news costs nothing.
  g.draw = () => {
    if (g.stale && g.context) paint(g.context, g, view);
    g.stale = false;
  };
  g.at = (px, py) => cellAt(g, view.model, px, py);
  g.bottoms = () => g.columns.map((c) => c.y + HEAD + view.model.E * g.row);
  g.rect = (t) => g.columns[t] && { x: g.columns[t].x, y: g.columns[t].y, w: g.cell, h: HEAD + view.model.E * g.row };
  return g;
}

function arrange(g, m, width) {
  g.width = width;
  const longest = longestSequence(m);
  g.cell = Math.max(15, Math.min(22, Math.floor((width - LEFT) / longest)));
  g.row = m.E <= 8 ? 15 : m.E <= 16 ? 12 : m.E <= 32 ? 8 : 6;
  const band = HEAD + m.E * g.row + GAP;
  let x = LEFT, y = 0;
  g.columns = [];
  for (let t = 0; t < m.T; t++) {
    if (t && m.sequence[t] !== m.sequence[t - 1]) {
      let n = t;
      while (n < m.T && m.sequence[n] === m.sequence[t]) n++;
      const length = (n - t) * g.cell, fits = LEFT + length <= width;
      x += SPACE;
      if (x + length > width && (fits || x > width / 2)) { x = LEFT; y += band; }
    }
    if (x + g.cell > width) { x = LEFT; y += band; }
    g.columns.push({ x, y });
    x += g.cell;
  }
  if (m.way) turn(g, m);
  g.height = y + band;
  g.context = fit(g.canvas, width, g.height);
}

// Text from right to left, line by line, in the places that it has.
function turn(g, m) {
  for (let first = 0, end = 0; first < m.T; first = end) {
    while (end < m.T && m.sequence[end] === m.sequence[first] && g.columns[end].y === g.columns[first].y) end++;
    const { x, y } = g.columns[first];
    inSight(m, first, end).forEach((t, i) => (g.columns[t] = { x: x + i * g.cell, y }));
  }
}

function paint(ctx, g, view) {
  const m = view.model, theme = view.theme, active = view.active();
  if (g.columns.length !== m.T) return;
  ctx.clearRect(0, 0, g.width, g.height);
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const lit = view.lit();
  let line = -1;
  for (let t = 0; t < m.T; t++) {
    const c = g.columns[t];
    if (c.y !== line) {
      line = c.y;
      ctx.font = `12px ${theme.font}`;
      if (g.row >= 11) for (let e = 0; e < m.E; e++) {
        ctx.fillStyle = rgba(theme.text, 0.75);
        ctx.fillText(String(e + m.base), LEFT / 2 - 2, c.y + HEAD + (e + 0.5) * g.row);
      }
    }
    if (!t || m.sequence[t] !== m.sequence[t - 1]) {
      ctx.font = `13px ${theme.font}`;
      const back = m.way?.base[t];
      ctx.textAlign = back ? "right" : "left";
      ctx.fillStyle = rgba(theme.text, 0.78);
      ctx.fillText(m.groups[m.group[t]], back ? c.x + g.cell - 1 : c.x + 1, c.y + 10);
      ctx.textAlign = "center";
    }
    const faded = lit && !lit.has(t) ? 0.45 : 1;
    ctx.font = `13px ${theme.code}`;
    ctx.fillStyle = rgba(theme.text, (active && active.kind === "token" && active.index === t ? 1 : 0.8) * (faded < 1 ? 0.7 : 1));
    const shown = m.kind === "text" ? glyph(m.tokens[t]).text : String(m.position[t] + 1);
    ctx.fillText([...shown].length > 2 ? [...shown][0] + "…" : shown, c.x + g.cell / 2, c.y + HEAD - 12, g.cell);
    ctx.fillStyle = solid(...theme.text);
    for (let e = 0; e < m.E; e++) {
      const p = m.probs[t * m.E + e], y = c.y + HEAD + e * g.row;
      // From a faint ground, which keeps a probability of 0 visible as a cell, to nearly full ink.
      ctx.globalAlpha = p > 0 ? 0.05 + 0.8 * p * faded : 0.05;
      ctx.fillRect(c.x, y, g.cell - 1, g.row - 1);
    }
    ctx.globalAlpha = 1;
    for (let r = t * m.K; r < (t + 1) * m.K; r++) if (m.expert[r] >= 0) mark(ctx, g, view, c, r, faded);
    if (active && active.kind === "token" && active.index === t) {
      ctx.strokeStyle = theme.ink;
      ctx.lineWidth = 1;
      ctx.strokeRect(c.x - 1.5, c.y + HEAD - 22.5, g.cell + 2, 22 + m.E * g.row + 1);
    }
  }
}

function mark(ctx, g, view, c, r, faded) {
  const m = view.model, e = m.expert[r], y = c.y + HEAD + e * g.row, w = g.cell - 1, h = g.row - 1;
  ctx.strokeStyle = rgba(view.colour(e), faded);
  ctx.lineWidth = 2;
  ctx.strokeRect(c.x + 1, y + 1, w - 2, h - 2);
  if (m.kept[r]) return;
  ctx.strokeStyle = rgba(view.theme.text, faded);
  ctx.lineWidth = 1.4;
  ctx.beginPath();
  ctx.moveTo(c.x + 2, y + 2); ctx.lineTo(c.x + w - 2, y + h - 2);
  ctx.moveTo(c.x + w - 2, y + 2); ctx.lineTo(c.x + 2, y + h - 2);
  ctx.stroke();
}

function cellAt(g, m, px, py) {
  for (let t = 0; t < g.columns.length; t++) {
    const c = g.columns[t];
    if (px >= c.x && px < c.x + g.cell && py >= c.y + HEAD - 22 && py < c.y + HEAD + m.E * g.row) return t;
  }
  return -1;
}

function longestSequence(m) {
  let most = 1, n = 0;
  for (let t = 0; t < m.T; t++) {
    n = t && m.sequence[t] === m.sequence[t - 1] ? n + 1 : 1;
    most = Math.max(most, n);
  }
  return most;
}
