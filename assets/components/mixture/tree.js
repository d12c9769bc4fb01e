// A soft tree: each gate with its own curve along x, the share of its first branch, and the experts as leaves below.
import { parse, rgba } from "../shared/theme.js";

export const ROW = 64;

// Height of a tree of so many levels of gates.
export const tall = (levels) => levels * ROW + 34;

export function drawTree(view, ctx, width) {
  const { now: m, theme } = view, colours = view.look.colours.map(parse), levels = Math.round(Math.log2(m.E));
  ctx.clearRect(0, 0, width, tall(levels));
  let node = 0;
  for (let level = 0; level < levels; level++) {
    const count = 2 ** level, wide = width / count;
    for (let i = 0; i < count; i++, node++) {
      const x = (i + 0.5) * wide, w = Math.min(120, wide - 10), y = level * ROW + 4;
      for (const side of [-1, 1]) {
        const to = x + (side * wide) / 4, down = (level + 1) * ROW + (level + 1 < levels ? 4 : 8);
        ctx.lineWidth = 1.5;
        ctx.strokeStyle = theme.border;
        ctx.beginPath();
        ctx.moveTo(x + (side * w) / 4, y + 34);
        ctx.lineTo(to, down);
        ctx.stroke();
      }
      gate(ctx, view, m.splits[node], x - w / 2, y, w, 34);
    }
  }
  for (let e = 0; e < m.E; e++) {
    const x = ((e + 0.5) * width) / m.E, y = levels * ROW + 18, rgb = colours[e % colours.length];
    ctx.beginPath();
    ctx.roundRect(x - 13, y - 10, 26, 20, 5);
    ctx.fillStyle = rgba(rgb, 1);
    ctx.fill();
    ctx.font = `600 12px ${theme.font}`;
    ctx.fillStyle = view.inks[e % view.inks.length];
    ctx.textAlign = "center";
    ctx.textBaseline = "alphabetic";
    ctx.fillText(String(e + 1), x, y + 4);
  }
}

// The share of the first branch along x: a ramp that becomes a step as the fit goes on.
function gate(ctx, view, shares, x, y, w, h) {
  const { theme } = view;
  ctx.fillStyle = rgba(theme.background, 1);
  ctx.fillRect(x, y, w, h);
  ctx.beginPath();
  ctx.moveTo(x, y + h);
  shares.forEach((share, i) => ctx.lineTo(x + (i / (shares.length - 1)) * w, y + h - share * h));
  ctx.lineTo(x + w, y + h);
  ctx.closePath();
  ctx.fillStyle = rgba(theme.text, 0.3);
  ctx.fill();
  ctx.strokeStyle = theme.ink;
  ctx.lineWidth = 1;
  ctx.strokeRect(x, y, w, h);
}
