// A drawing context that writes SVG: the part of the canvas API that the views draw with, so that the very code that paints the screen
// also writes the file, as vectors. Marks that are pictures themselves (photographs, the field of a map) become embedded images.
import { context2d } from "./context.js";

const probe = context2d(document.createElement("canvas"), { willReadFrequently: true });
const known = new Map();

// Any CSS colour as [#rrggbb, opacity]: SVG readers outside of browsers know neither rgba() nor color-mix().
export function plain(colour) {
  if (!known.has(colour)) {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = "#000";
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data;
    if (known.size > 5000) known.clear();
    known.set(colour, [`#${((1 << 24) | (r << 16) | (g << 8) | b).toString(16).slice(1)}`, a / 255]);
  }
  return known.get(colour);
}

export const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`).replace(/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/g, "·");

export function attributes(values) {
  return Object.entries(values).map(([name, value]) => (value === null || value === undefined || value === "" ? "" : ` ${name}="${escape(typeof value === "number" ? +value.toFixed(2) : value)}"`)).join("");
}

export function paint(kind, colour, alpha = 1) {
  const [name, opacity] = plain(colour), seen = opacity * alpha;
  return { [kind]: name, [`${kind}-opacity`]: seen < 0.999 ? +seen.toFixed(3) : null };
}

const ANCHOR = { center: "middle", right: "end", end: "end" };

// defs: a Map of definitions (patterns, clips, gradients) that all inks of one file share, name -> markup.
export function makeInk(defs) {
  const parts = [];
  let path = "", dash = [];
  const put = (tag, values, inside) => parts.push(`<${tag}${attributes(values)}${inside === undefined ? "/>" : `>${inside}</${tag}>`}`);
  const line = (ctx) => ({ fill: "none", ...paint("stroke", ctx.strokeStyle, ctx.globalAlpha), "stroke-width": ctx.lineWidth, "stroke-dasharray": dash.join(" ") });
  const area = (ctx) => paint("fill", ctx.fillStyle, ctx.globalAlpha);
  const n = (value) => +value.toFixed(2);
  return {
    fillStyle: "#000", strokeStyle: "#000", lineWidth: 1, globalAlpha: 1, font: "10px sans-serif", textAlign: "left", textBaseline: "alphabetic", imageSmoothingEnabled: true,
    parts,
    clearRect() {},
    fillRect(x, y, width, height) { put("rect", { x, y, width, height, ...area(this) }); },
    strokeRect(x, y, width, height) { put("rect", { x, y, width, height, ...line(this) }); },
    beginPath() { path = ""; },
    closePath() { path += "Z"; },
    moveTo(x, y) { path += `M${n(x)} ${n(y)}`; },
    lineTo(x, y) { path += `L${n(x)} ${n(y)}`; },
    bezierCurveTo(...at) { path += `C${at.map(n).join(" ")}`; },
    rect(x, y, w, h) { path += `M${n(x)} ${n(y)}h${n(w)}v${n(h)}h${n(-w)}Z`; },
    // Whole circles only: the views draw no other arcs.
    arc(x, y, r) { path += `M${n(x - r)} ${n(y)}a${n(r)} ${n(r)} 0 1 0 ${n(2 * r)} 0a${n(r)} ${n(r)} 0 1 0 ${n(-2 * r)} 0Z`; },
    roundRect(x, y, w, h, r) {
      const c = (dx, dy) => `a${r} ${r} 0 0 1 ${dx} ${dy}`;
      path += `M${n(x + r)} ${n(y)}h${n(w - 2 * r)}${c(r, r)}v${n(h - 2 * r)}${c(-r, r)}h${n(2 * r - w)}${c(-r, -r)}v${n(2 * r - h)}${c(r, -r)}Z`;
    },
    fill() { put("path", { d: path, ...area(this) }); },
    stroke() { put("path", { d: path, ...line(this) }); },
    setLineDash(segments) { dash = segments; },
    measureText(text) {
      probe.font = this.font;
      return probe.measureText(text);
    },
    fillText(text, x, y, most) {
      const [, weight, size, family] = /^(?:(\d+) )?([\d.]+)px (.*)$/.exec(this.font) ?? [], width = this.measureText(text).width;
      const middle = this.textBaseline === "middle" ? 0.35 * Number(size) : 0;
      put("text", {
        x, y: y + middle, "font-family": family, "font-size": Number(size), "font-weight": weight, "text-anchor": ANCHOR[this.textAlign],
        ...(most && width > most ? { textLength: most, lengthAdjust: "spacingAndGlyphs" } : {}), ...area(this),
      }, escape(text));
    },
    drawImage(image, x, y, width, height) {
      const style = this.imageSmoothingEnabled ? null : "image-rendering:pixelated";
      put("image", { x, y, width, height, preserveAspectRatio: "none", style, opacity: this.globalAlpha < 1 ? this.globalAlpha : null, href: image.toDataURL() });
    },
    // How the views' patterns are drawn here; a canvas fills with a bitmap tile instead.
    pattern(kind, strokes, side, x, y, width, height, rgb, alpha) {
      const colour = `rgb(${rgb.map(Math.round).join(",")})`, id = `${kind}-${plain(colour)[0].slice(1)}`;
      defs.set(id, `<pattern id="${id}" width="${side}" height="${side}" patternUnits="userSpaceOnUse">${strokesOf(strokes, side, plain(colour)[0])}</pattern>`);
      put("rect", { x, y, width, height, fill: `url(#${id})`, opacity: +alpha.toFixed(3) });
    },
  };
}

// The same tile as theme.js draws: r rising and f falling lines, h, v, and d for a dot.
function strokesOf(strokes, side, colour) {
  const s = side, lines = { h: `M0 2.5H${s}`, v: `M2.5 0V${s}`, r: "", f: "" };
  for (const d of [-s, 0, s]) {
    lines.r += `M${d - 1} ${s + 1}L${d + s + 1} -1`;
    lines.f += `M${d - 1} -1L${d + s + 1} ${s + 1}`;
  }
  const dot = strokes.includes("d") ? `<rect x="2" y="2" width="2" height="2" fill="${colour}"/>` : "";
  const d = [...strokes].map((stroke) => lines[stroke] || "").join("");
  return dot + (d ? `<path d="${d}" stroke="${colour}" fill="none"/>` : "");
}
