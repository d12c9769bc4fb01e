// Colours: the page's theme read from its CSS variables, each expert's colour from the payload's look, and a pattern for
// each further round through the colours, so that colour never carries an expert's identity alone.
import { context2d } from "./context.js";

export function readTheme(root) {
  const style = getComputedStyle(root);
  const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
  // A contrast theme: the reader's own colours, see view.css. Canvases are the only part that a browser leaves to itself.
  const forced = matchMedia("(forced-colors: active)").matches && !root.dataset.drawing;
  const theme = {
    text: parse(forced ? style.color : read("--st-text-color", "#31333f")),
    background: parse(forced ? style.backgroundColor : read("--st-background-color", "#ffffff")),
    accent: forced ? style.outlineColor : read("--st-primary-color", "#0b6fa4"),
    font: read("--st-font", "sans-serif"),
    code: read("--st-code-font", "monospace"),
  };
  theme.dark = luminance(theme.background) < 0.5;
  // Strongest tint behind text: with these every palette colour leaves body text above 4.5:1.
  theme.tint = theme.dark ? 0.48 : 0.5;
  theme.border = rgba(theme.text, theme.dark ? 0.28 : 0.22);
  theme.faint = rgba(theme.text, 0.08);
  theme.ink = rgba(theme.text, 1);
  return theme;
}

export function palette(colours) {
  const parsed = colours.map(parse);
  return (e) => parsed[e % parsed.length];
}

export function parse(colour) {
  const hex = /^#([0-9a-f]{6}|[0-9a-f]{3})/i.exec(colour);
  if (hex) {
    const digits = hex[1].length === 3 ? [...hex[1]].map((d) => d + d) : hex[1].match(/../g) ?? [];
    return digits.map((d) => parseInt(d, 16));
  }
  const numbers = colour.match(/[\d.]+/g);
  return numbers && numbers.length >= 3 ? numbers.slice(0, 3).map(Number) : [128, 128, 128];
}

export function rgba([r, g, b], a) {
  return `rgba(${Math.round(r)},${Math.round(g)},${Math.round(b)},${a.toFixed(3)})`;
}

const names = new Map();

// An opaque colour's CSS text, remembered: with globalAlpha it spares building a string per cell and frame.
export function solid(r, g, b) {
  const key = (Math.round(r) << 16) | (Math.round(g) << 8) | Math.round(b);
  let name = names.get(key);
  if (!name) {
    if (names.size > 5000) names.clear();
    names.set(key, (name = `#${key.toString(16).padStart(6, "0")}`));
  }
  return name;
}

export function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Ink that reads on a solid expert colour.
export function inkOn(rgb) {
  return luminance(rgb) > 0.18 ? "#000" : "#fff";
}

// Each further round through the palette has the next pattern.
export function patternOf(e, look) {
  return look.patterns[Math.floor(e / look.colours.length) % look.patterns.length];
}

// A chip shows the pattern along one edge, so that its number stays legible.
export function paintChip(node, e, rgb, look) {
  const line = inkOn(rgb), kind = patternOf(e, look);
  node.picture = (ctx, w, h) => {
    ctx.fillStyle = rgba(rgb, 1);
    ctx.beginPath();
    ctx.roundRect(0, 0, w, h, 3);
    ctx.fill();
    drawPattern(ctx, kind, 0, 0, SIDE, h, parse(line), 1);
  };
  node.style.color = line;
  node.style.background = kind === "solid" ? rgba(rgb, 1) : `url(${tile(kind, line).toDataURL()}) left / 6px 6px repeat-y, ${rgba(rgb, 1)}`;
}

const tiles = new Map();

// Fills a rectangle with a pattern; each pattern and colour is drawn once, as a small tile.
export function drawPattern(ctx, kind, x, y, w, h, rgb, alpha) {
  if (kind === "solid" || w <= 0 || h <= 0) return;
  if (ctx.pattern) {  // an ink that writes a file: see shared/ink.js
    ctx.pattern(kind, STROKES[kind] || "r", SIDE, x, y, w, h, rgb, alpha);
    return;
  }
  const name = `${kind} ${rgb}`;
  if (!tiles.has(name)) tiles.set(name, ctx.createPattern(tile(kind, rgba(rgb, 1)), "repeat"));
  ctx.globalAlpha = alpha;
  ctx.fillStyle = tiles.get(name);
  ctx.fillRect(x, y, w, h);
  ctx.globalAlpha = 1;
}

const SIDE = 6;
const STROKES = { diagonal: "r", backdiagonal: "f", cross: "rf", horizontal: "h", vertical: "v", grid: "hv", dots: "d" };

// One seamless tile: r rising and f falling lines (drawn beyond the edges so that corners meet), h, v, and d for a dot.
function tile(kind, colour) {
  const canvas = document.createElement("canvas"), ctx = context2d(canvas), strokes = STROKES[kind] || "r";
  canvas.width = canvas.height = SIDE;
  ctx.fillStyle = ctx.strokeStyle = colour;
  if (strokes.includes("d")) ctx.fillRect(2, 2, 2, 2);
  if (strokes.includes("h")) ctx.fillRect(0, 2, SIDE, 1);
  if (strokes.includes("v")) ctx.fillRect(2, 0, 1, SIDE);
  for (const d of [-SIDE, 0, SIDE]) {
    if (strokes.includes("r")) line(ctx, d - 1, SIDE + 1, d + SIDE + 1, -1);
    if (strokes.includes("f")) line(ctx, d - 1, -1, d + SIDE + 1, SIDE + 1);
  }
  return canvas;
}

function line(ctx, x1, y1, x2, y2) {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

// The sign of a dropped route, wherever one is drawn.
export function cross(ctx, x, y, arm, colour) {
  ctx.strokeStyle = colour;
  ctx.beginPath();
  ctx.moveTo(x - arm, y - arm); ctx.lineTo(x + arm, y + arm);
  ctx.moveTo(x + arm, y - arm); ctx.lineTo(x - arm, y + arm);
  ctx.stroke();
}

// The sign of a token that no expert has: hatched if it was dropped, dotted if no expert asked for it, in a dashed frame.
export function lostToken(ctx, x, y, w, h, ink, presence, dropped) {
  drawPattern(ctx, dropped ? "backdiagonal" : "dots", x, y, w, h, ink, 0.3 * presence);
  ctx.globalAlpha = 0.75 * presence;
  ctx.setLineDash([3, 2]);
  ctx.strokeStyle = solid(...ink);
  ctx.lineWidth = 1;
  ctx.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
}

// A canvas that fits its CSS box at the screen's resolution; returns its context scaled to CSS pixels.
export function fit(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const w = Math.max(1, Math.round(width * ratio)), h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const ctx = context2d(canvas);
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  return ctx;
}

export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
