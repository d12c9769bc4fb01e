// The map of the glossary: the words of each topic as buttons, lines between those that belong together. The lines of the chosen word, and
// of the one that is pointed at, are drawn strongly. A press sends the word's id; the page shows what it means.
import { mount } from "../shared/mount.js";
import { element } from "../shared/theme.js";
import { curve } from "./curve.js";
import shared from "../shared/view.css";
import own from "./word_map.css";

const SVG = "http://www.w3.org/2000/svg";
const NARROW = 640;

const mounted = mount(make, receive);

/** @param {Component<WordMapPayload>} component */
export default function wordMap(component) {
  return mounted(component);
}

function make(root) {
  const view = { root, data: null, words: new Map(), lines: [], pointed: null, sent: null };
  root.removeAttribute("style");
  root.replaceChildren(element("style", "", shared + own));
  view.nav = element("nav");
  view.svg = document.createElementNS(SVG, "svg");
  view.svg.setAttribute("aria-hidden", "true");
  view.topics = element("div", "topics");
  view.nav.append(view.svg, view.topics);
  root.append(view.nav);
  const watch = new ResizeObserver(() => view.data && layout(view));
  watch.observe(view.topics);
  view.topics.addEventListener("pointerover", (event) => point(view, event.target.closest("button")?.dataset.word ?? null));
  view.topics.addEventListener("pointerleave", () => point(view, null));
  view.topics.addEventListener("focusin", (event) => point(view, event.target.closest("button")?.dataset.word ?? null));
  view.topics.addEventListener("focusout", () => point(view, null));
  view.topics.addEventListener("click", (event) => choose(view, event.target.closest("button")?.dataset.word));
  view.stop = () => watch.disconnect();
  return view;
}

/** @param {WordMapPayload} data */
function receive(view, data) {
  const text = JSON.stringify([data.topics, data.lines]);
  view.data = data;
  view.nav.setAttribute("aria-label", data.labels.name);
  if (view.text !== text) build(view, text);
  if (view.sent === null || view.sent === data.chosen) view.chosen = data.chosen;
  view.sent = null;
  layout(view);
}

function build(view, text) {
  view.text = text;
  view.words.clear();
  view.topics.replaceChildren(...view.data.topics.map((topic, i) => {
    const part = element("section"), title = element("h4", "", topic.title), list = element("ul");
    title.id = `topic-${i}`;
    list.setAttribute("aria-labelledby", title.id);
    for (const { id, name } of topic.words) {
      const item = element("li"), button = /** @type {HTMLButtonElement} */ (element("button", "", name));
      button.type = "button";
      button.dataset.word = id;
      view.words.set(id, button);
      item.append(button);
      list.append(item);
    }
    part.append(title, list);
    return part;
  }));
  view.lines = view.data.lines.map(([from, to]) => {
    const path = document.createElementNS(SVG, "path");
    return { from, to, path };
  });
  view.svg.replaceChildren(...view.lines.map(({ path }) => path));
}

function layout(view) {
  const room = view.topics.getBoundingClientRect(), boxes = new Map();
  view.svg.setAttribute("viewBox", `0 0 ${Math.max(1, room.width)} ${Math.max(1, room.height)}`);
  for (const [id, button] of view.words) {
    const box = button.getBoundingClientRect();
    boxes.set(id, { x: box.left - room.left, y: box.top - room.top, width: box.width, height: box.height });
  }
  for (const { from, to, path } of view.lines) path.setAttribute("d", curve(boxes.get(from), boxes.get(to)));
  show(view);
}

function point(view, word) {
  if (view.pointed === word) return;
  view.pointed = word;
  show(view);
}

function show(view) {
  const near = new Set();
  for (const { from, to, path } of view.lines) {
    const ofChosen = from === view.chosen || to === view.chosen, ofPointed = from === view.pointed || to === view.pointed;
    path.setAttribute("class", ofChosen ? "of-chosen" : ofPointed ? "of-pointed" : "");
    if (ofChosen) near.add(from === view.chosen ? to : from);
  }
  for (const [id, button] of view.words) {
    if (id === view.chosen) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    button.classList.toggle("near", near.has(id));
    if (near.has(id)) button.setAttribute("aria-description", view.data.labels.near);
    else button.removeAttribute("aria-description");
  }
}

function choose(view, word) {
  if (!word) return;
  view.chosen = view.sent = word;
  show(view);
  view.send("word", word);
  if (view.root.clientWidth >= NARROW) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  document.querySelector(".st-key-word_card")?.scrollIntoView({ block: "start", behavior: still ? "instant" : "smooth" });
}
