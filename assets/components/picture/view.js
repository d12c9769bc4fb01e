// The list of the pictures on the page, each with two buttons: SVG and PNG. Charts, canvas views and stacks of strips are found where
// they stand, so that whatever a page shows can be taken along. The file is made from what is on screen at the click.
import { toPng, toSvg } from "./file.js";
import shared from "../shared/view.css";
import own from "./picture.css";

const STYLE = shared + own;
const lists = new WeakMap();

export default function pictures(component) {
  const root = component.parentElement.querySelector(".mv");
  const list = lists.get(root) || { drawn: "", busy: false };
  lists.set(root, list);
  list.data = component.data;
  const found = find(), wanted = JSON.stringify([found.map((one) => one.title), list.data.labels]);
  list.found = found;
  if (wanted === list.drawn) return;
  list.drawn = wanted;
  root.className = "mv pictures notranslate";
  root.removeAttribute("style");
  root.replaceChildren(styled(), ...(found.length ? found.map((one, i) => row(root, list, one.title, i)) : [document.createTextNode(list.data.labels.none)]));
}

function styled() {
  const style = document.createElement("style");
  style.textContent = STYLE;
  return style;
}

// From top to bottom.
/** @returns {{ node: HTMLElement, title: string }[]} */
function find() {
  const shown = (node) => node.getBoundingClientRect().width > 40;
  /** @type {(selector: string, host?: ParentNode) => HTMLElement[]} */
  const every = (selector, host = document) => [...host.querySelectorAll(/** @type {"div"} */ (selector))];
  const strips = every(".st-key-strips").filter(shown);
  const views = every(".stMain *").flatMap((host) => (host.shadowRoot ? every(".mv", host.shadowRoot) : [])).filter((root) => root.dataset.title && shown(root));
  const drawn = every('.stMain [data-testid="stVegaLiteChart"] :is(svg.marks, canvas.marks), .stMain .js-plotly-plot .svg-container')
    .filter((node) => shown(node) && !node.closest(".st-key-strips"));
  const all = [...views.map((node) => ({ node, title: node.dataset.title })), ...strips.map((node) => ({ node, title: titleOf(node) })), ...drawn.map((node) => ({ node, title: titleOf(node) }))];
  const place = (one) => one.node.getRootNode().host || one.node;
  all.sort((a, b) => (place(a).compareDocumentPosition(place(b)) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
  const times = new Map();
  return all.map((one) => {
    const n = (times.get(one.title) || 0) + 1;
    times.set(one.title, n);
    return n > 1 ? { ...one, title: `${one.title} (${n})` } : one;
  });
}

// A chart's own title; the strips of one time axis share a file, so all of theirs.
function titleOf(node) {
  const titles = [...node.querySelectorAll(".role-title-text text, .gtitle")].map((title) => (title.querySelector("tspan") || title).textContent.replace(/\u200b/g, "").trim()).filter(Boolean);
  return titles.length ? titles.join(" · ") : node.closest("[aria-label]")?.getAttribute("aria-label") || "–";
}

function row(root, list, title, i) {
  const line = document.createElement("div"), name = document.createElement("span");
  name.className = "name";
  name.textContent = name.title = title;
  line.className = "one";
  line.append(name, ...["svg", "png"].map((form) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.form = form;
    button.textContent = form.toUpperCase();
    button.setAttribute("aria-label", `${title}: ${form.toUpperCase()}`);
    button.addEventListener("click", () => save(list, i, form));
    return button;
  }));
  return line;
}

async function save(list, i, form) {
  // found anew: an update of the page may have put another chart in the old one's place
  const one = find()[i], { about, name } = list.data;
  if (!one || list.busy) return;
  list.busy = true;
  try {
    const said = one.node.dataset.step ? { ...about, step: Number(one.node.dataset.step) } : about;
    const stamped = { ...said, stamp: about.stamp.replace("{step}", said.step ?? "–") };
    const svg = await toSvg(one.node, one.title, stamped);
    const file = form === "svg" ? new Blob([svg], { type: "image/svg+xml" }) : await toPng(svg, JSON.stringify({ ...stamped, picture: one.title }));
    const link = document.createElement("a"), address = URL.createObjectURL(file);
    link.href = address;
    link.download = `moe_viz-${name}-${one.title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60).replace(/^-|-$/g, "")}.${form}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  } finally {
    list.busy = false;
  }
}
