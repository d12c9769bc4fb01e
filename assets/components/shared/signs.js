// The little signs of the legends, drawn with the same strokes as the pictures they explain.
import { cross, element, fit, lostToken, rgba } from "./theme.js";

const H = 12, WIDTH = { fair: 6, chosen: 15, cross: 15, route: 12 };

export function sign(kind, theme) {
  const canvas = element("canvas", "sign"), width = WIDTH[kind] || 26;
  canvas.setAttribute("aria-hidden", "true");
  canvas.picture = (ctx) => SIGNS[kind](ctx, width, theme);
  canvas.picture(fit(canvas, width, H));
  return canvas;
}

const SIGNS = {
  weight: (ctx, w, theme) => scale(ctx, w, theme, 0.05, 0.6),
  scale: (ctx, w, theme) => scale(ctx, w, theme, 0.05, 0.85),
  strength: (ctx, w, theme) => scale(ctx, w, theme, 0.18, 0.8),
  dropped: (ctx, w, theme) => lostToken(ctx, 0, 0, w, H, theme.text, 1, true),
  route: (ctx, w, theme) => {
    ctx.lineWidth = 1.4;
    cross(ctx, w / 2, H / 2, 4, theme.ink);
  },
  partial: (ctx, w, theme) => line(ctx, theme, [3, 3], 3, () => path(ctx, 0, H - 2, w, H - 2)),
  fair: (ctx, w, theme) => line(ctx, theme, [2, 3], 1, () => path(ctx, 2.5, 0, 2.5, H)),
  dotted: (ctx, w, theme) => line(ctx, theme, [2, 3], 2, () => path(ctx, 0, H / 2, w, H / 2)),
  chosen: (ctx, w, theme) => box(ctx, w, theme.accent),
  cross: (ctx, w, theme) => {
    box(ctx, w, theme.accent);
    line(ctx, theme, [], 1.4, () => {
      path(ctx, 2, 2, w - 2, H - 2);
      path(ctx, w - 2, 2, 2, H - 2);
    });
  },
};

// From faint to strong in the steps that a small sign can show.
function scale(ctx, w, theme, from, to) {
  const steps = 13;
  for (let i = 0; i < steps; i++) {
    ctx.fillStyle = rgba(theme.text, from + ((to - from) * i) / (steps - 1));
    ctx.fillRect((i * w) / steps, 1, w / steps, H - 2);
  }
}

function line(ctx, theme, dash, width, draw) {
  ctx.beginPath();
  draw();
  ctx.setLineDash(dash);
  ctx.lineWidth = width;
  ctx.strokeStyle = theme.ink;
  ctx.stroke();
  ctx.setLineDash([]);
}

function box(ctx, w, accent) {
  ctx.strokeStyle = accent;
  ctx.lineWidth = 2;
  ctx.strokeRect(1, 1, w - 2, H - 2);
}

function path(ctx, x1, y1, x2, y2) {
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
}
