// A view on paper. The printed page is laid out anew at the paper's width, and no script runs between that and the print: text would move
// away from what is drawn beneath it. So before a print the view is drawn once as one SVG, complete, light and at rest, which the
// stylesheet shows on paper in the view's place.
import { attributes, escape, paint } from "./ink.js";
import { walk } from "./walk.js";

const LIGHT = { "--st-text-color": "#31333f", "--st-background-color": "#ffffff", "--st-primary-color": "#0b6fa4" };
const HEAD = 18;

// prepare() lays the view out as it shall be printed and returns the way back; refresh() after the way back.  Returns { redraw, stop }:
// redraw after each update, for a page that is shown as paper on the screen.
export function onPaper(view, prepare) {
  const { root } = view, media = matchMedia("print");
  /** @type {HTMLElement | null} */
  let sheet = null;
  const close = () => {
    sheet?.remove();
    sheet = null;
  };
  const open = () => {
    close();
    if (!view.model) return;
    root.dataset.drawing = "true";
    const before = Object.keys(LIGHT).map((name) => [name, root.style.getPropertyValue(name)]);
    for (const [name, colour] of Object.entries(LIGHT)) root.style.setProperty(name, colour);
    const restore = prepare();
    sheet = draw(root);
    for (const [name, colour] of before) root.style.setProperty(name, colour);
    restore();
    root.append(sheet);
    delete root.dataset.drawing;
  };
  const turned = () => (media.matches ? open() : close());
  window.addEventListener("beforeprint", open);
  window.addEventListener("afterprint", close);
  media.addEventListener("change", turned);
  return {
    redraw: () => media.matches && open(),
    stop: () => {
      window.removeEventListener("beforeprint", open);
      window.removeEventListener("afterprint", close);
      media.removeEventListener("change", turned);
    },
  };
}

function draw(root) {
  const box = root.getBoundingClientRect(), style = getComputedStyle(root);
  const scene = { x: box.left, y: box.top, defs: new Map(), parts: [], fonts: new Set(), raster: false };
  walk(root, scene);
  const title = root.dataset.heading, font = { "font-family": style.fontFamily.replaceAll('"', "'"), "font-size": 16, "font-weight": 600 };
  const size = { width: Math.ceil(box.width), height: Math.ceil(box.height) };
  const source = `<svg xmlns="http://www.w3.org/2000/svg" class="paper" role="img"${attributes({ "aria-label": title, viewBox: `0 0 ${size.width} ${size.height}`, ...size })}>
<defs>${[...scene.defs.values()].join("")}</defs><rect width="100%" height="100%"${attributes(paint("fill", LIGHT["--st-background-color"]))}/>${scene.parts.join("")}<text${attributes({ y: HEAD, ...font, ...paint("fill", style.color) })}>${escape(title)}</text></svg>`;
  const parsed = new DOMParser().parseFromString(source, "image/svg+xml").documentElement;
  if (parsed.localName !== "svg") throw new Error(`the print view is no SVG: ${parsed.textContent.slice(0, 200)}`);
  return document.importNode(parsed, true);
}
