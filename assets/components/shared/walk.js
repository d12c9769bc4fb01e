// From a part of the page to SVG: its boxes, its text line by line, the charts' own SVG, and its canvases drawn once more as vectors
// (a canvas that can do that has a function `picture(ctx, width, height)`). What carries data-picture="no" is a control, not a picture.
import { context2d } from "./context.js";
import { attributes, escape, makeInk, paint, plain } from "./ink.js";

const SKIP = '[data-picture="no"], [data-testid="stElementToolbar"], .modebar-container, .hoverlayer, style, script';

// scene: { x, y, defs, parts, fonts, raster }; x, y: the page's place that becomes the picture's corner.
export function walk(node, scene) {
  if (node.nodeType === Node.TEXT_NODE) return text(node, scene);
  if (node.nodeType !== Node.ELEMENT_NODE || node.matches(SKIP)) return undefined;
  const style = getComputedStyle(node), box = node.getBoundingClientRect();
  if (style.display === "none" || style.visibility === "hidden" || style.opacity === "0" || /inset/.test(style.clipPath)) return undefined;
  const at = { x: box.left - scene.x, y: box.top - scene.y, width: box.width, height: box.height };
  const tag = node.tagName.toLowerCase();
  if (tag === "svg") return chart(node, at, scene);
  if (tag === "canvas") canvas(node, at, scene);
  else if (node.picture) redraw(node, at, scene);
  else boxes(style, at, scene);
  const clip = style.overflowX !== "visible" && at.width && at.height;
  if (clip) {
    const id = `clip-${scene.defs.size}`;
    scene.defs.set(id, `<clipPath id="${id}"><rect${attributes(at)}/></clipPath>`);
    scene.parts.push(`<g clip-path="url(#${id})">`);
  }
  const inside = [...(node.shadowRoot || node).childNodes], placed = (child) => child.nodeType === Node.ELEMENT_NODE && getComputedStyle(child).position !== "static";
  for (const child of inside) if (!placed(child)) walk(child, scene);
  for (const child of inside) if (placed(child)) walk(child, scene);
  after(node, style, at, scene);
  if (clip) scene.parts.push("</g>");
  return undefined;
}

function boxes(style, at, scene) {
  if (!at.width || !at.height) return;
  const radius = Math.min(parseFloat(style.borderTopLeftRadius) || 0, at.width / 2, at.height / 2);
  const put = (box, look) => scene.parts.push(`<rect${attributes({ ...box, rx: radius || null, ...look })}/>`);
  if (plain(style.backgroundColor)[1]) put(at, paint("fill", style.backgroundColor));
  const ring = /^(.+?) 0px 0px 0px (\d+)px( inset)?$/.exec(style.boxShadow);
  const sides = ["Top", "Right", "Bottom", "Left"].map((side) => ({
    width: parseFloat(style[`border${side}Width`]), line: style[`border${side}Style`], colour: style[`border${side}Color`],
  })).map((side) => (side.line !== "none" && plain(side.colour)[1] ? side : { ...side, width: 0 }));
  const inner = (d) => ({ x: at.x + d, y: at.y + d, width: at.width - 2 * d, height: at.height - 2 * d });
  if (ring) put(inner(((ring[3] ? 1 : -1) * Number(ring[2])) / 2), { fill: "none", ...paint("stroke", ring[1]), "stroke-width": Number(ring[2]) });
  if (sides.every((side) => side.width && side.width === sides[0].width)) {
    put(inner(sides[0].width / 2), { fill: "none", ...paint("stroke", sides[0].colour), "stroke-width": sides[0].width });
    return;
  }
  const { x, y, width, height } = at;
  const ends = [[x, y, x + width, y], [x + width, y, x + width, y + height], [x, y + height, x + width, y + height], [x, y, x, y + height]];
  sides.forEach((side, i) => {
    if (!side.width) return;
    const [x1, y1, x2, y2] = ends[i];
    scene.parts.push(`<line${attributes({ x1, y1, x2, y2, ...paint("stroke", side.colour), "stroke-width": side.width })}/>`);
  });
}

function canvas(node, at, scene) {
  if (!at.width || !at.height) return;
  boxes(getComputedStyle(node), at, scene);
  if (node.picture) return redraw(node, at, scene);
  scene.raster = true;
  scene.parts.push(`<image${attributes({ ...at, preserveAspectRatio: "none", href: node.toDataURL() })}/>`);
}

function redraw(node, at, scene) {
  const ink = makeInk(scene.defs);
  node.picture(ink, at.width, at.height);
  if (ink.parts.length) scene.parts.push(`<g transform="translate(${at.x.toFixed(2)} ${at.y.toFixed(2)})">${ink.parts.join("")}</g>`);
}

// Charts are copied; their ids get a name of their own, because every chart numbers its clip paths from 0.
function chart(node, at, scene) {
  const name = `chart${(scene.charts = (scene.charts || 0) + 1)}-`, copy = node.cloneNode(true);
  for (const [key, value] of Object.entries(at)) copy.setAttribute(key, value.toFixed(2));
  copy.removeAttribute("class");
  for (const part of copy.querySelectorAll("*")) {
    for (const { name: attribute, value } of [...part.attributes]) {
      if (attribute === "id") part.setAttribute("id", name + value);
      else if (value.includes("url(")) part.setAttribute(attribute, value.replace(/url\((["']?)[^#)]*#([^"')]+)\1\)/g, `url(#${name}$2)`));
      else if (/^(xlink:)?href$/.test(attribute) && value.startsWith("#")) part.setAttribute(attribute, `#${name}${value.slice(1)}`);
    }
  }
  for (const part of node.querySelectorAll("text")) remember(getComputedStyle(part).fontFamily, scene);
  scene.parts.push(new XMLSerializer().serializeToString(copy));
}

function remember(family, scene) {
  scene.fonts.add(family);
  return family.replaceAll('"', "'");
}

const ruler = context2d(document.createElement("canvas"));

function write(words, left, top, width, height, style, scene) {
  const size = parseFloat(style.fontSize);
  ruler.font = `${style.fontWeight} ${size}px ${style.fontFamily}`;
  const m = ruler.measureText("x"), ascent = m.fontBoundingBoxAscent, descent = m.fontBoundingBoxDescent;
  scene.parts.push(`<text${attributes({
    x: left - scene.x, y: top - scene.y + (height - ascent - descent) / 2 + ascent, "font-family": remember(style.fontFamily, scene), "font-size": size,
    "font-weight": style.fontWeight === "400" ? null : style.fontWeight, "text-decoration": /line-through/.test(style.textDecorationLine) ? "line-through" : null,
    ...([...words].length > 1 ? { textLength: width, lengthAdjust: "spacingAndGlyphs" } : {}), "xml:space": /^\s|\s$|\s\s/.test(words) ? "preserve" : null, ...paint("fill", style.color),
  })}>${escape(words)}</text>`);
}

// A text node may run over several lines: each line is one text in the file.
function text(node, scene) {
  const whole = node.textContent;
  if (!whole.trim()) return;
  const style = getComputedStyle(node.parentElement || node.parentNode.host), range = document.createRange();
  /** @type {{ words: string, left: number, top: number, width: number, height: number } | null} */
  let line = null;
  const flush = () => line && line.width > 0 && write(line.words.trimEnd(), line.left, line.top, line.width, line.height, style, scene);
  for (const part of whole.matchAll(/\S+\s*|\s+/g)) {
    range.setStart(node, part.index);
    range.setEnd(node, part.index + part[0].trimEnd().length || part.index + part[0].length);
    const box = range.getBoundingClientRect();
    if (!box.width) continue;
    if (line && Math.abs(line.top - box.top) < 3) {
      line.words += part[0];
      line.width = box.right - line.left;
    } else {
      flush();
      line = { words: part[0], left: box.left, top: box.top, width: box.width, height: box.height };
    }
  }
  flush();
}

// Numbers that a stylesheet puts on a token: below its text, or in the middle of its patch.
function after(node, style, at, scene) {
  const own = getComputedStyle(node, "::after"), words = own.content.replace(/^"|"$/g, "");
  if (!words || own.content === "none" || own.content === "normal") return;
  ruler.font = `${own.fontWeight} ${own.fontSize} ${own.fontFamily}`;
  const width = ruler.measureText(words).width, height = parseFloat(own.height) || parseFloat(own.fontSize);
  const free = own.position === "absolute", middle = style.display === "grid";
  const left = scene.x + at.x + (free ? parseFloat(own.left) : (at.width - width) / 2);
  const top = scene.y + at.y + (free ? parseFloat(own.top) : middle ? (at.height - height) / 2 : at.height - height - parseFloat(style.paddingBottom));
  if (plain(own.backgroundColor)[1]) scene.parts.push(`<rect${attributes({ x: left - scene.x - 3, y: top - scene.y, width: width + 6, height, rx: 2, ...paint("fill", own.backgroundColor) })}/>`);
  write(words, left, top, width, height, own, scene);
}
