// The routing view: builds its parts once, feeds them each new payload, and links hover, focus, tap and keys between them.
// All state lives in one record per mounted element.
import { makeBatch } from "./batch.js";
import { makeBeams } from "./beams.js";
import { makeCard } from "./card.js";
import { makeExperts } from "./experts.js";
import { makeGrid } from "./grid.js";
import { listen } from "./input.js";
import { decode, tokensOf } from "./model.js";
import { put, say, whole } from "../shared/words.js";
import { makeMore } from "./more.js";
import { makeFilling } from "./filling.js";
import { unfold } from "./unfold.js";
import { sign } from "../shared/signs.js";
import { element, palette, readTheme } from "../shared/theme.js";
import { holdPictures } from "./tiles.js";
import { mount } from "../shared/mount.js";
import { onPaper } from "../shared/paper.js";
import shared from "../shared/view.css";
import own from "./routing.css";

const STYLE = shared + own;
const TWEEN = 260;

const mounted = mount(make, receive);

export default function routingView(component) {
  return mounted(component);
}

function make(root) {
  const view = { root, tab: "batch", hover: null, pinned: null, focus: null, marked: null, numbers: false, asked: "null" };
  view.active = () => view.hover || view.focus || view.pinned;
  view.lit = () => litTokens(view);
  view.narrow = () => view.body.clientWidth < 40 * parseFloat(getComputedStyle(document.documentElement).fontSize);  // as routing.css has it
  view.mark = () => mark(view);
  view.highlight = () => highlight(view);
  view.recolour = () => recolour(view);
  view.anchor = (active) => anchorOf(view, active);
  view.theme = readTheme(root);
  view.batch = makeBatch(view);
  view.experts = makeExperts(view);
  view.grid = makeGrid(view);
  view.beams = makeBeams(view);
  view.card = makeCard(view);
  const hints = [
    makeMore(view, view.batch.node, view.batch.bottoms),
    makeMore(view, view.experts.node, view.experts.bottoms),
    makeMore(view, view.grid.node, view.grid.bottoms),
  ];
  view.more = () => hints.forEach((update) => update());
  view.filling = makeFilling(view);
  frame(view);
  control(view);
  listen(view);
  const watch = new ResizeObserver(() => relayout(view));
  watch.observe(view.batch.list);
  watch.observe(view.batch.content);
  watch.observe(view.experts.inner);
  watch.observe(view.grid.node);
  document.fonts?.ready.then(() => relayout(view));
  root.whole = () => unfold(view);
  view.paper = onPaper(view, () => forPaper(view));
  view.stop = () => {
    watch.disconnect();
    cancelAnimationFrame(view.frame);
    view.filling.stop();
    view.paper.stop();
  };
  return view;
}

function frame(view) {
  const bar = element("div", "bar"), tabs = element("div", "tabs");
  tabs.setAttribute("role", "tablist");
  view.tabs = ["batch", "grid"].map((name) => {
    const tab = element("button", "tab");
    tab.type = "button";
    tab.dataset.tab = name;
    tab.setAttribute("role", "tab");
    tabs.append(tab);
    return tab;
  });
  view.badge = element("span", "badge");
  view.facts = element("span", "facts");
  bar.dataset.picture = "no";
  view.switch = element("button", "switch");
  view.switch.type = "button";
  view.switch.setAttribute("role", "switch");
  view.replay = element("button", "replay");
  view.replay.type = "button";
  bar.append(tabs, view.facts, view.badge, view.replay, view.switch);
  view.body = element("div", "body");
  view.body.append(view.batch.node, view.experts.node, view.grid.node, view.beams.node, view.filling.node, view.card.node);
  view.legend = element("div", "legend");
  view.live = element("div", "live");
  view.live.setAttribute("aria-live", "polite");
  view.root.removeAttribute("style");
  view.root.replaceChildren(element("style", "", STYLE), bar, view.body, view.legend, view.live);
}

function control(view) {
  view.replay.addEventListener("click", () => view.filling.start());
  view.switch.addEventListener("click", () => {
    view.numbers = !view.numbers;
    view.switch.setAttribute("aria-checked", String(view.numbers));
    view.root.classList.toggle("numbers", view.numbers);
    relayout(view);
    mark(view);
  });
  view.switch.setAttribute("aria-checked", "false");
  view.tabs.forEach((tab) => tab.addEventListener("click", () => show(view, tab.dataset.tab)));
  show(view, "batch");
}

/** @param {RoutingPayload} data */
function receive(view, data) {
  const stepped = view.model && data.step !== view.model.step;
  view.filling.stop();
  view.theme = readTheme(view.root);
  view.root.dataset.dark = view.theme.dark;
  view.look = data.look;
  view.data = data;
  view.colour = palette(data.look.colours);
  if (data.images) holdPictures(view, data.images);
  view.model = decode(data);
  view.marked = data.lit ? new Set(data.lit) : null;
  view.motion = data.motion && !matchMedia("(prefers-reduced-motion: reduce)").matches;
  view.root.style.setProperty("--height", `${data.height}px`);
  forgetMissing(view);
  const asked = JSON.stringify(data.selected);
  if (asked !== view.asked) {
    view.asked = asked;
    view.pinned = data.selected && valid(view, data.selected) ? { kind: data.selected.kind, index: data.selected.index } : null;
  }
  words(view, data);
  view.batch.update(view.model);
  view.experts.update(view.model);
  view.grid.update(view.model);
  if (view.batch.stale) view.batch.layout();
  if (view.experts.stale) view.experts.layout();
  view.grid.layout();
  mark(view);
  run(view);
  view.replay.hidden = !(data.filling && view.motion && view.model.total);
  view.more();
  if (data.filling && stepped) view.filling.start();
  view.paper.redraw();
}

function valid(view, chosen) {
  const size = chosen && { token: view.model.T, expert: view.model.E }[chosen.kind];
  return size !== undefined && size !== null && chosen.index >= 0 && chosen.index < size;
}

// A smaller batch or fewer experts than before: what no longer exists cannot stay lit.
function forgetMissing(view) {
  for (const slot of ["hover", "focus", "pinned"]) if (view[slot] && !valid(view, view[slot])) view[slot] = null;
}

function words(view, data) {
  const m = view.model;
  put(view.tabs[0], say(m, "tab_batch"));
  put(view.tabs[1], say(m, "tab_grid"));
  put(view.switch, say(m, "numbers"));
  put(view.replay, say(m, "replay"));
  put(view.badge, data.recorded ? say(m, "recorded") : "");
  const size = say(m, m.C === null ? "experts_dropless" : "experts_capacity", { experts: m.E, capacity: m.C });
  put(view.facts, `${say(m, "title", { source: say(m, "source"), step: whole(m.step), layer: m.layer + 1 })} · ${size}`);
  const named = (...rest) => [say(m, view.tab === "batch" ? "tab_batch" : "tab_grid"), data.title, ...rest, view.badge.textContent].filter(Boolean).join(" · ");
  // The name in a list of pictures must not change with every step; what is printed says the step.
  view.root.dataset.title = named(say(m, "source"), say(m, "layer", { n: m.layer + 1 }), size);
  view.root.dataset.heading = named(view.facts.textContent);
  view.root.dataset.step = m.step;
  const keys = view.tab === "batch"
    ? [["weight", "legend_weight"]].concat(m.total ? [["share", "legend_share"]] : []).concat(m.C === null ? (m.total ? [["fair", "fair"]] : []) : [["route", "legend_route"], ["dropped", "legend_dropped"]]).concat(m.C !== null && m.K > 1 ? [["partial", "legend_partial"]] : [])
    : [["scale", "legend_grid"], ["chosen", "legend_chosen"], ["cross", "legend_chosen_dropped"]];
  const wanted = JSON.stringify([keys, m.total, m.words.legend_weight, view.theme]);
  if (view.legendFor === wanted) return;
  view.legendFor = wanted;
  view.legend.replaceChildren(...keys.map(([kind, word]) => {
    const item = element("span", "key");
    item.append(kind === "share" ? element("span", "", "%") : sign(kind, view.theme), document.createTextNode(say(m, word, { total: whole(m.total) })));
    return item;
  }));
  if (!m.total && m.T) view.legend.prepend(element("span", "key strong", say(m, "no_routes_at_all")));
}

function relayout(view) {
  if (!view.model) return;
  view.batch.layout();
  view.experts.layout();
  view.grid.layout();
  view.more();
  paint(view, 1);
}

// The same picture in the colours that the page has now.
function recolour(view) {
  if (!view.model) return;
  view.theme = readTheme(view.root);
  view.root.dataset.dark = view.theme.dark;
  words(view, view.data);
  view.batch.retint();
  view.experts.retint();
  view.grid.retint();
  relayout(view);
  mark(view);
}

// At rest, in the colours of paper, with the experts' numbers, which also tell them apart in grey; what is pinned stays. Returns the way back.
function forPaper(view) {
  const { hover, focus, numbers } = view, replaying = view.root.dataset.replaying;
  const dress = (with_numbers) => {
    view.root.classList.toggle("numbers", with_numbers);
    recolour(view);
  };
  cancelAnimationFrame(view.frame);
  if (replaying) view.filling.stop();
  view.hover = view.focus = null;
  dress(true);
  const fold = unfold(view);
  return () => {
    fold();
    Object.assign(view, { hover, focus });
    dress(numbers);
  };
}

// One animation at a time: a new payload starts from whatever is on screen.
function run(view) {
  cancelAnimationFrame(view.frame);
  if (!view.motion) return paint(view, 1);
  const start = performance.now();
  const step = (now) => {
    const u = Math.min(1, (now - start) / TWEEN);
    paint(view, u * u * (3 - 2 * u));
    if (u < 1) view.frame = requestAnimationFrame(step);
  };
  paint(view, 0);
  view.frame = requestAnimationFrame(step);
}

function paint(view, u) {
  if (view.tab === "batch") {
    view.batch.draw(u);
    view.experts.draw(u);
  } else view.grid.draw();
}

function litTokens(view) {
  const active = view.active();
  if (!active) return view.marked;
  return active.kind === "token" ? new Set([active.index]) : tokensOf(view.model, active.index);
}

function anchorOf(view, active) {
  const home = view.body.getBoundingClientRect();
  if (active.kind === "expert" && view.tab === "batch") return relative(view.experts.rows[active.index].node.getBoundingClientRect(), home);
  const source = view.tab === "batch" ? view.batch : view.grid;
  const node = (view.tab === "batch" ? view.batch.content : view.grid.canvas).getBoundingClientRect(), r = source.rect(active.index);
  if (!r) return { x: 0, y: 0, w: 0, h: 0 };
  return { x: node.left - home.left + r.x, y: node.top - home.top + r.y, w: r.w, h: r.h };
}

function relative(r, home) {
  return { x: r.left - home.left, y: r.top - home.top, w: r.width, h: r.height };
}

// Show what is active everywhere: spans, rows, beams, card.
function mark(view) {
  const active = view.active();
  const token = active && active.kind === "token" ? active.index : -1, expert = active && active.kind === "expert" ? active.index : -1;
  view.batch.spans.forEach((span, t) => {
    span.classList.toggle("active", t === token);
    span.classList.toggle("marked", !!view.marked && view.marked.has(t));
    const chosen = String(!!view.pinned && view.pinned.kind === "token" && view.pinned.index === t);
    if (span.getAttribute("aria-selected") !== chosen) span.setAttribute("aria-selected", chosen);
  });
  view.experts.rows.forEach((row, e) => {
    row.node.classList.toggle("active", e === expert);
    row.node.setAttribute("aria-pressed", String(!!view.pinned && view.pinned.kind === "expert" && view.pinned.index === e));
  });
  view.beams.draw();
  view.card.update();
}

function highlight(view) {
  view.batch.retint();
  view.experts.retint();
  view.grid.retint();
  mark(view);
  run(view);
}

function show(view, tab) {
  view.filling.stop();
  view.tab = tab;
  view.root.dataset.tab = tab;
  view.tabs.forEach((t) => t.setAttribute("aria-selected", String(t.dataset.tab === tab)));
  if (!view.model) return;
  words(view, view.data);
  relayout(view);
  mark(view);
}
