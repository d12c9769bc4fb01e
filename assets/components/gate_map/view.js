// The gate map: builds its parts once, feeds them each new payload, lets borders glide, and follows pointer, keys and brush.
import { sign } from "../shared/signs.js";
import { element, fit, paintChip, parse, readTheme, rgba } from "../shared/theme.js";
import { decode, fieldOf, makeField, paintField, probability } from "./field.js";
import { regions } from "./regions.js";
import { canvasContext, draw, drawPoint } from "./plane.js";
import { mount } from "../shared/mount.js";
import { onPaper } from "../shared/paper.js";
import { decimal, percent, put, say, whole } from "../shared/words.js";
import { clear, makePaint, settle, start, stop, touch } from "./paint.js";
import shared from "../shared/view.css";
import own from "./gate_map.css";

const STYLE = shared + own;
const TWEEN = 230;
const MOST_BARS = 10;

const mounted = mount(make, receive);

export default function gateMap(component) {
  return mounted(component);
}

function make(root) {
  const view = { root, model: null, from: null, points: [], parts: [], oldParts: [], cursor: null, answers: false, size: 0, frame: 0, share: 1 };
  const add = (parent, tag, name) => {
    const node = element(tag, name);
    if (tag === "button") node.type = "button";
    parent.append(node);
    return node;
  };
  view.paint = makePaint(view);
  root.removeAttribute("style");
  root.replaceChildren(element("style", "", STYLE));
  const bar = add(root, "div", "bar"), body = add(root, "div", "body");
  bar.dataset.picture = "no";
  view.facts = add(bar, "span", "facts");
  view.paintSwitch = add(bar, "button", "paint");
  view.answersSwitch = add(bar, "button", "answers");
  view.tools = add(bar, "div", "tools");
  view.stage = add(body, "div", "stage");
  view.canvas = add(view.stage, "canvas", "");
  view.canvas.setAttribute("role", "img");
  view.canvas.picture = (ctx) => view.model && draw(view, ctx);
  view.stage.tabIndex = 0;
  view.stage.setAttribute("role", "group");
  view.panel = add(body, "div", "panel");
  view.legend = add(root, "div", "legend");
  view.note = add(root, "div", "note");
  view.live = add(root, "div", "live");
  view.live.setAttribute("aria-live", "polite");
  listen(view);
  const watch = new ResizeObserver(() => view.model && layout(view));
  watch.observe(body);
  view.recolour = () => recolour(view);
  view.paper = onPaper(view, () => forPaper(view));
  view.stop = () => {
    watch.disconnect();
    cancelAnimationFrame(view.frame);
    view.paper.stop();
  };
  return view;
}

function listen(view) {
  const { stage, canvas, paint } = view;
  view.paintSwitch.addEventListener("click", () => {
    if (paint.on) stop(paint);
    else start(paint, view.points);
    view.points = paint.own;
    words(view);
    redraw(view);
  });
  view.answersSwitch.addEventListener("click", () => {
    view.answers = !view.answers;
    words(view);
    redraw(view);
  });
  canvas.addEventListener("pointerdown", (event) => {
    moveTo(view, event);
    if (!paint.on || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    view.stroke = true;
    brush(view, true);
  });
  canvas.addEventListener("pointermove", (event) => {
    moveTo(view, event);
    if (view.stroke) brush(view, false);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (view.stroke = false));
  canvas.addEventListener("pointerleave", () => !view.stroke && document.activeElement !== stage && at(view, null));
  stage.addEventListener("keydown", (event) => keys(view, event));
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function keys(view, event) {
  const { paint } = view, way = STEPS[event.key];
  if (way) {
    const from = view.cursor || { x: 0, y: 0 }, step = (event.shiftKey ? 16 : 2) / view.model.R;
    const clamp = (v) => Math.max(-1, Math.min(1, v));
    at(view, { x: clamp(from.x + way[0] * step), y: clamp(from.y + way[1] * step) });
    view.live.textContent = view.said;
  } else if (paint.on && view.cursor && [" ", "Enter", "Delete", "Backspace"].includes(event.key)) {
    const tool = paint.tool, erases = event.key === "Delete" || event.key === "Backspace";
    if (erases) paint.tool = "erase";
    brush(view, true);
    paint.tool = tool;
    words(view);
  } else return;
  event.preventDefault();
}

function moveTo(view, event) {
  const box = view.canvas.getBoundingClientRect(), clamp = (v) => Math.max(-1, Math.min(1, v));
  at(view, { x: clamp((2 * (event.clientX - box.left)) / box.width - 1), y: clamp(1 - (2 * (event.clientY - box.top)) / box.height) });
}

function at(view, place) {
  view.cursor = place;
  panel(view);
  redraw(view);
}

function brush(view, fresh) {
  const onGrid = (v) => Math.round(((v + 1) * (view.grid - 1)) / 2);
  touch(view.paint, onGrid(view.cursor.x), onGrid(view.cursor.y), fresh);
  view.points = view.paint.own;
  words(view);
  redraw(view);
}

/** @param {GateMapPayload} data */
function receive(view, data) {
  view.theme = readTheme(view.root);
  view.root.dataset.dark = view.theme.dark;
  Object.assign(view, { look: data.look, words: data.labels, letters: data.letters, grid: data.grid, most: data.most, height: data.height });
  view.field ??= makeField(data.look);
  view.from = view.model;
  view.model = decode(data);
  view.oldParts = view.parts;
  view.parts = regions(view.model);
  const theirs = [];
  for (let i = 0; i < data.points.length; i += 3) theirs.push(data.points.slice(i, i + 3));
  view.points = settle(view.paint, data, theirs);
  if (view.points === theirs && view.paint.on) view.paint.own = view.points;
  view.canvas.setAttribute("aria-label", data.summary);
  view.stage.setAttribute("aria-label", data.labels.cursor);
  view.root.dataset.step = data.step;
  view.root.dataset.title = say(view, "name");
  view.root.dataset.heading = say(view, "title", { step: whole(data.step), layer: data.layer + 1 });
  put(view.facts, view.root.dataset.heading);
  words(view);
  layout(view);
  glide(view, data.motion && !matchMedia("(prefers-reduced-motion: reduce)").matches && view.from !== null);
  panel(view);
  view.paper.redraw();
}

// At rest and in the colours of paper. Returns the way back.
function forPaper(view) {
  recolour(view);
  return () => recolour(view);
}

// The same picture, at rest, in the colours that the page has now.
function recolour(view) {
  if (!view.model) return;
  view.theme = readTheme(view.root);
  view.root.dataset.dark = view.theme.dark;
  view.from = null;
  words(view);
  layout(view);
  glide(view, false);
  panel(view);
}

function layout(view) {
  const size = Math.floor(Math.min(view.stage.clientWidth, view.height));
  if (size === view.size || size < 50) return;
  view.size = size;
  redraw(view);
}

function glide(view, moving) {
  cancelAnimationFrame(view.frame);
  const begin = performance.now();
  const step = (now) => {
    const share = moving ? Math.min(1, Math.max(0, now - begin) / TWEEN) : 1;
    paintField(view.field, view.from, view.model, share, view.theme.text);
    redraw(view);
    if (share < 1) view.frame = requestAnimationFrame(step);
  };
  step(begin);
}

function redraw(view) {
  if (view.model && view.size) draw(view, canvasContext(view));
}

// What the gate says at the cursor: the owner, the predicted class, a bar for each expert.
function panel(view) {
  const { model: m, cursor } = view;
  if (!cursor) {
    const hint = element("p", "hint", say(view, "hint"));
    hint.dataset.picture = "no";
    view.panel.replaceChildren(hint);
    return;
  }
  const field = fieldOf(m, cursor.x, cursor.y), owner = m.owner[field], answer = m.prediction[field];
  const place = say(view, "place", { x: decimal(cursor.x, 2), y: decimal(cursor.y, 2) });
  const whose = owner ? say(view, "expert", { n: owner }) : say(view, "nobody");
  const predicts = answer ? say(view, "predicts", { letter: view.letters[answer - 1] }) : say(view, "predicts_nothing");
  const all = [...Array(m.E).keys()].map((e) => [e, probability(m, e, field)]);
  const shown = m.E <= MOST_BARS ? all : all.sort((a, b) => b[1] - a[1]).slice(0, MOST_BARS - 1);
  const bars = element("div", "bars");
  for (const [e, p] of shown) bars.append(...barOf(view, e, p, e + 1 === owner));
  if (shown.length < m.E) {
    const rest = all.slice(shown.length).reduce((sum, [, p]) => sum + p, 0);
    bars.append(element("span", "rest", say(view, "others", { n: m.E - shown.length })), element("span", "value", percent(rest)));
  }
  const head = element("p", "owner", whose);
  head.dataset.owner = owner;
  head.dataset.field = field;
  view.panel.replaceChildren(element("p", "place", place), head, element("p", "predicts", predicts), bars);
  view.said = `${place}. ${whose}, ${owner ? percent(probability(m, owner - 1, field)) : ""}. ${predicts}`;
}

function barOf(view, e, p, owns) {
  const rgb = parse(view.look.colours[e % view.look.colours.length]);
  const chip = element("span", "chip", String(e + 1)), track = element("span", "track"), fill = element("span", "fill");
  paintChip(chip, e, rgb, view.look);
  fill.style.width = `${100 * Math.min(1, p)}%`;
  fill.style.background = rgba(rgb, 1);
  track.append(fill);
  const value = element("span", owns ? "value owns" : "value", percent(p));
  value.dataset.expert = e + 1;
  return [chip, track, value];
}

function words(view) {
  const { paint } = view, classes = [...view.letters];
  put(view.paintSwitch, say(view, "paint"));
  view.paintSwitch.setAttribute("aria-pressed", String(paint.on));
  put(view.answersSwitch, say(view, "answers"));
  view.answersSwitch.setAttribute("aria-pressed", String(view.answers));
  view.stage.classList.toggle("painting", paint.on);
  const note = paint.full ? say(view, "full", { most: view.most }) : paint.own.length ? say(view, "painting") : say(view, "empty");
  put(view.note, paint.on ? note : "");
  const wanted = JSON.stringify([view.words, paint.on, paint.tool, view.points, view.answers, view.theme]);
  if (wanted === view.said_words) return;
  view.said_words = wanted;
  view.tools.replaceChildren(...(paint.on ? toolsOf(view, classes) : []));
  const key = (mark, text) => {
    const item = element("span", "key");
    item.append(mark, document.createTextNode(text));
    return item;
  };
  const present = new Set(view.points.map((point) => point[2]));
  const marks = classes.flatMap((letter, label) => (present.has(label) ? [key(icon(view, label), say(view, "class", { letter }))] : []));
  const answers = view.answers ? [key(sign("dotted", view.theme), say(view, "answers_legend"))] : [];
  view.legend.replaceChildren(key(sign("strength", view.theme), say(view, "owner")), ...marks, ...answers);
}

function toolsOf(view, classes) {
  const { paint } = view;
  const tool = (value, text, mark) => {
    const button = element("button", "tool");
    button.type = "button";
    button.dataset.tool = value;
    button.setAttribute("aria-pressed", String(paint.tool === value));
    if (mark) button.append(mark);
    button.append(document.createTextNode(text));
    button.addEventListener("click", () => {
      paint.tool = value;
      words(view);
      view.tools.querySelector(`[data-tool="${value}"]`).focus();
    });
    return button;
  };
  const wipe = element("button", "tool wipe", say(view, "clear"));
  wipe.type = "button";
  wipe.addEventListener("click", () => {
    clear(paint);
    view.points = paint.own;
    words(view);
    redraw(view);
  });
  const count = element("span", "count", say(view, "count", { n: paint.own.length, most: view.most }));
  return [...classes.map((letter, label) => tool(label, say(view, "brush", { letter }), icon(view, label))), tool("erase", say(view, "erase")), wipe, count];
}

function icon(view, label) {
  const canvas = element("canvas", "icon");
  canvas.setAttribute("aria-hidden", "true");
  canvas.picture = (ctx) => drawPoint(ctx, view, 7, 7, label);
  canvas.picture(fit(canvas, 14, 14));
  return canvas;
}
