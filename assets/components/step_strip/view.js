// The strip of One step: seven stations as a list of buttons with small pictures. It watches which card of the page is being read, marks
// its station, and goes to a card at a press. The cards stand outside, in Streamlit's containers with the keys `panel_<name>`.
import { mount } from "../shared/mount.js";
import { element, inkOn, palette, rgba } from "../shared/theme.js";
import { put } from "../shared/words.js";
import { HEIGHT, marks } from "./marks.js";
import { cardAt, hold, makeReading, readingLine, release, scrolled } from "./reading.js";
import shared from "../shared/view.css";
import own from "./step_strip.css";

const SVG = "http://www.w3.org/2000/svg";
const SCROLLS = ["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", " "];
const ROOM = 8;

const mounted = mount(make, receive);

/** @param {Component<StepStripPayload>} component */
export default function stepStrip(component) {
  return mounted(component);
}

function make(root) {
  const view = { root, data: null, stations: new Map(), reading: makeReading(), frame: 0 };
  root.removeAttribute("style");
  root.replaceChildren(element("style", "", shared + own));
  view.nav = element("nav");
  view.list = element("ol");
  view.now = element("p", "now");
  view.now.setAttribute("aria-hidden", "true");
  view.nav.append(view.list);
  root.append(view.nav, view.now);
  const watch = new ResizeObserver(() => view.data && layout(view));
  watch.observe(root);
  const listeners = new AbortController(), all = { capture: true, passive: true, signal: listeners.signal };
  document.addEventListener("scroll", () => soon(view), all);
  for (const begins of ["wheel", "touchmove", "pointerdown"]) document.addEventListener(begins, () => release(view.reading), all);
  document.addEventListener("keydown", (event) => SCROLLS.includes(event.key) && !event.composedPath().some(takesKeys) && release(view.reading), all);
  document.addEventListener("focusin", (event) => focused(view, event.target), all);
  view.stop = () => {
    watch.disconnect();
    listeners.abort();
    cancelAnimationFrame(view.frame);
    page()?.style.removeProperty("scroll-padding-top");
    for (const card of document.querySelectorAll("[data-reading]")) card.removeAttribute("data-reading");
  };
  return view;
}

const page = () => /** @type {HTMLElement | null} */ (document.querySelector(".stMain"));
const cardOf = (name) => /** @type {HTMLElement | null} */ (document.querySelector(`.st-key-panel_${name}`));

// Keys that would scroll the page move something else there.
const takesKeys = (node) => node instanceof HTMLElement && node.matches("input, textarea, select, [contenteditable], [role=listbox], [role=radiogroup]");

/** @param {StepStripPayload} data */
function receive(view, data) {
  view.data = data;
  view.nav.setAttribute("aria-label", data.name);
  for (const [i, station] of data.stations.entries()) {
    const part = view.stations.get(station.name) ?? makeStation(view, station.name);
    if (view.list.children[i] !== part.item) view.list.insertBefore(part.item, view.list.children[i] ?? null);
    put(part.title, station.title);
    put(part.figure, station.figure);
  }
  layout(view);
  soon(view);
}

function makeStation(view, name) {
  const part = { item: element("li"), button: element("button"), title: element("span", "title"), svg: document.createElementNS(SVG, "svg"), figure: element("span", "figure"), wide: 0 };
  /** @type {HTMLButtonElement} */ (part.button).type = "button";
  part.item.dataset.station = name;
  part.svg.setAttribute("aria-hidden", "true");
  part.button.append(part.title, part.svg, part.figure);
  part.button.addEventListener("click", () => goTo(view, name));
  part.item.append(part.button);
  view.stations.set(name, part);
  return part;
}

function layout(view) {
  const colour = palette(view.data.colours);
  for (const station of view.data.stations) {
    const { svg } = view.stations.get(station.name), width = svg.parentElement.clientWidth - ROOM;  // less its padding
    svg.setAttribute("viewBox", `0 0 ${Math.max(1, width)} ${HEIGHT}`);
    svg.replaceChildren(...marks(station, width).map((mark) => shape(mark, colour)));
  }
  const scroller = page(), strip = place(view);
  // what the keyboard brings into view stops below the strip, not beneath it
  if (scroller) scroller.style.scrollPaddingTop = `${strip.bottom + ROOM}px`;
}

/** @import { Mark } from "./marks.js"
 * @param {Mark} mark */
function shape({ tag, className, text, expert, ...at }, colour) {
  const node = document.createElementNS(SVG, tag);
  node.setAttribute("class", className);
  for (const [name, value] of Object.entries(at)) node.setAttribute(name, String(+value.toFixed(2)));
  if (tag === "text") {
    node.textContent = text ?? "";
    if (className === "chip-text") node.style.fill = inkOn(colour(expert));
  } else if (expert !== undefined) node.style.fill = rgba(colour(expert), 1);
  return node;
}

// Where the strip ends, as seen from the window's top, once it sticks there; where it does not, only the page's bar lies over the cards.
function place(view) {
  const around = view.root.getRootNode().host?.closest('[data-testid="stLayoutWrapper"]');
  const style = around && getComputedStyle(around), bar = document.querySelector(".stAppHeader")?.getBoundingClientRect().bottom ?? 0;
  return { bottom: style?.position === "sticky" ? parseFloat(style.top) + view.root.getBoundingClientRect().height : bar };
}

function soon(view) {
  cancelAnimationFrame(view.frame);
  view.frame = requestAnimationFrame(() => look(view));
}

// Which card is being read, by where the page stands.
function look(view) {
  const scroller = page();
  if (!view.data || !scroller) return;
  const places = view.data.cards.flatMap(({ name }) => {
    const card = cardOf(name);
    return card ? [{ name, top: card.getBoundingClientRect().top }] : [];
  });
  const room = scroller.getBoundingClientRect(), top = Math.max(room.top, view.root.getBoundingClientRect().bottom);
  const line = readingLine(top + ROOM, room.bottom, scroller.scrollTop, scroller.scrollHeight - scroller.clientHeight);
  scrolled(view.reading, cardAt(places, line));
  show(view);
}

function focused(view, target) {
  const card = view.data?.cards.find(({ name }) => cardOf(name)?.contains(target));
  if (card) read(view, card.name);
}

function read(view, name) {
  hold(view.reading, name);
  show(view);
}

function goTo(view, station) {
  const cards = view.data.cards.filter((card) => card.station === station);
  const name = (cards.find((card) => card.name === station) ?? cards[0])?.name, card = name && cardOf(name);
  if (!card) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  card.tabIndex = -1;
  card.setAttribute("role", "group");
  card.setAttribute("aria-label", view.data.cards.find((one) => one.name === name).title);
  card.focus({ preventScroll: true });
  read(view, name);
  card.scrollIntoView({ block: "start", behavior: still ? "instant" : "smooth" });
}

function show(view) {
  const { card } = view.reading, station = view.data.cards.find(({ name }) => name === card)?.station ?? null;
  for (const [name, { button }] of view.stations) {
    if (name === station) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  }
  for (const { name } of view.data.cards) cardOf(name)?.toggleAttribute("data-reading", name === card && station !== null);
  const lit = view.data.stations.find(({ name }) => name === station);
  put(view.now, lit ? `${lit.title}: ${lit.figure}` : "");
}
