// The file of one picture: the SVG with its title, what made it (readable below the picture, complete in its metadata) and its fonts;
// the PNG from that very SVG at twice its size, with the same text inside.
import { context2d } from "../shared/context.js";
import { attributes, escape, paint } from "../shared/ink.js";
import { walk } from "../shared/walk.js";

const EDGE = 16, LINE = 16, SCALE = 2;

// node: the part of the page;  about: what the server says of it (see records/table_files.py).
export const toSvg = async (node, title, about) => {
  const restore = node.whole?.();
  const box = node.getBoundingClientRect(), page = getComputedStyle(document.querySelector(".stApp") ?? document.body);
  const scene = { x: box.left, y: box.top, defs: new Map(), parts: [], fonts: new Set(), raster: false };
  walk(node, scene);
  restore?.();
  // Plotly's figures carry that line themselves
  const foot = node.matches(".svg-container") ? [] : lines(about.stamp, Math.max(box.width, 260), `12px ${page.fontFamily}`);
  const width = Math.ceil(Math.max(box.width, 260)) + 2 * EDGE, height = Math.ceil(box.height) + 2 * EDGE + LINE * (foot.length + 0.5);
  const family = page.fontFamily.replaceAll('"', "'");
  const put = (words, y, look) => `<text${attributes({ x: EDGE, y, "font-family": family, ...look })}>${escape(words)}</text>`;
  const small = { "font-size": 12, ...paint("fill", page.color, 0.75) };
  // canvas views have their title among controls, which stay away; charts have their own inside
  const head = node.dataset.title ? put(title, EDGE + 18, { "font-size": 16, "font-weight": 600, ...paint("fill", page.color) }) : "";
  scene.fonts.add(page.fontFamily);
  const said = JSON.stringify({ ...about, picture: title });
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" style="font-variant-numeric:tabular-nums">
<title>${escape(title)}</title>
<desc>${escape(about.stamp)}</desc>
<metadata>${escape(said)}</metadata>
<defs>${await faces(scene.fonts)}${[...scene.defs.values()].join("")}</defs>
<rect width="${width}" height="${height}"${attributes(paint("fill", page.backgroundColor))}/>
<g transform="translate(${EDGE} ${EDGE})">${scene.parts.join("\n")}</g>
${head}
${foot.map((words, i) => put(words, height - EDGE / 2 - LINE * (foot.length - 1 - i), small)).join("")}
</svg>
`;
};

// "a · b · c" in as many lines as the width asks for.
function lines(words, width, font) {
  const ruler = context2d(document.createElement("canvas")), found = [""];
  ruler.font = font;
  for (const part of words.split(" · ")) {
    const longer = found.at(-1) ? `${found.at(-1)} · ${part}` : part;
    if (found.at(-1) && ruler.measureText(longer).width > width) found.push(part);
    else found[found.length - 1] = longer;
  }
  return found;
}

const held = new Map();

// The page's own fonts travel in the file: a picture cannot load them from anywhere.
async function faces(families) {
  const wanted = [...families].join(","), rules = [];
  for (const sheet of document.styleSheets) {
    try {
      rules.push(...sheet.cssRules);
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "SecurityError") throw error;  // a sheet of another site, which no view uses
    }
  }
  const own = rules.filter((rule) => rule instanceof CSSFontFaceRule && rule.style.getPropertyValue("font-style") !== "italic"
    && wanted.includes(rule.style.getPropertyValue("font-family").replace(/["']/g, "")));
  const texts = await Promise.all(own.map(async (rule) => {
    const source = /url\(["']?([^"')]+)/.exec(rule.style.getPropertyValue("src"));
    if (!source) return "";
    const address = new URL(source[1], rule.parentStyleSheet.href || document.baseURI).href;
    if (!held.has(address)) held.set(address, fetch(address).then((answer) => answer.blob()).then(dataUrl));
    const weight = rule.style.getPropertyValue("font-weight") || "400";
    return `@font-face{font-family:${rule.style.getPropertyValue("font-family").replaceAll('"', "'")};font-weight:${weight};src:url(${await held.get(address)})}`;
  }));
  return `<style>${texts.join("")}</style>`;
}

function dataUrl(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}

export const toPng = async (svg, said) => {
  const image = new Image(), address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * SCALE;
  canvas.height = image.naturalHeight * SCALE;
  context2d(canvas).drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(address);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return withText(new Uint8Array(await blob.arrayBuffer()), "moe_viz", said);
};

// An iTXt chunk right after the header (PNG specification, 11.3.3.4).
function withText(png, keyword, words) {
  const encode = (text) => new TextEncoder().encode(text);
  const body = Uint8Array.of(...encode("iTXt"), ...encode(keyword), 0, 0, 0, 0, 0, ...encode(words));
  const chunk = new Uint8Array(body.length + 8), view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, crc(body));
  const header = 33;
  return new Blob([png.subarray(0, header), chunk, png.subarray(header)], { type: "image/png" });
}

function crc(bytes) {
  let c = -1;
  for (const byte of bytes) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = (c >>> 1) ^ (c & 1 ? 0xedb88320 : 0);
  }
  return ~c >>> 0;
}
