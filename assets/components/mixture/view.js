// A mixture while it is fitted: builds its parts once, feeds them each new moment, lets lines glide; points can be chosen, moved, painted and
// rubbed out, and every iteration can be gone back to.
import { element, fit, inkOn, paintChip, parse, readTheme, rgba } from "../shared/theme.js";
import { mount } from "../shared/mount.js";
import { onPaper } from "../shared/paper.js";
import { decimal, percent, put, say, whole } from "../shared/words.js";
import { makePaint, moved, settle, start, stop, toText, touch } from "../gate_map/paint.js";
import { between, draw, frameOf, placeOf, toGrid } from "./plane.js";
import { drawTree, tall } from "./tree.js";
import shared from "../shared/view.css";
import own from "./mixture.css";

const STYLE = shared + own;
const TWEEN = 230;
const REACH = 14;
const FIGURES = ["prior", "posterior", "pull", "error"];

const mounted = mount(make, receive);

export default function mixture(component) {
  return mounted(component);
}

function make(root) {
  /** @type {any} */
  const view = { root, model: null, from: null, now: null, points: [], selected: null, grabbed: false, width: 0, frameId: 0, asked: null, askedAt: 0 };
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
  view.tools = add(bar, "span", "tools");
  view.switches = {};
  for (const tool of ["move", "paint", "erase"]) {
    view.switches[tool] = add(view.tools, "button", tool);
    view.switches[tool].addEventListener("click", () => choose(view, tool));
  }
  view.back = add(view.tools, "button", "back");
  view.back.addEventListener("click", () => restore(view));
  view.stage = add(body, "div", "stage");
  view.canvas = add(view.stage, "canvas", "");
  view.canvas.setAttribute("role", "img");
  view.canvas.picture = (ctx) => view.model && draw(view, ctx);
  view.stage.tabIndex = 0;
  view.stage.setAttribute("role", "group");
  view.side = add(body, "div", "side");
  view.panel = add(view.side, "div", "panel");
  view.tree = add(view.side, "canvas", "tree");
  view.tree.setAttribute("role", "img");
  view.tree.picture = (ctx, width) => view.model?.splits.length && drawTree(view, ctx, width);
  const track = add(root, "label", "track_row");
  track.dataset.picture = "no";
  view.trackName = add(track, "span", "track_name");
  view.track = add(track, "input", "moment");
  Object.assign(view.track, { type: "range", step: "1", min: "0" });
  view.trackValue = add(track, "output", "");
  view.track.addEventListener("input", () => ask(view));
  view.legend = add(root, "div", "legend");
  view.note = add(root, "div", "note");
  view.live = add(root, "div", "live");
  view.live.setAttribute("aria-live", "polite");
  listen(view);
  const watch = new ResizeObserver(() => view.model && layout(view));
  watch.observe(body);
  view.recolour = () => recolour(view);
  view.paper = onPaper(view, () => (recolour(view), () => recolour(view)));
  view.stop = () => {
    watch.disconnect();
    cancelAnimationFrame(view.frameId);
    view.paper.stop();
  };
  return view;
}

// -- what the reader does --------------------------------------------------------------------------------------------------

function listen(view) {
  const { stage, canvas } = view;
  canvas.addEventListener("pointerdown", (event) => press(view, event));
  canvas.addEventListener("pointermove", (event) => drag(view, event));
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => release(view));
  stage.addEventListener("keydown", (event) => keys(view, event));
}

// Where the tool is chosen, or with a mouse at once; a finger that scrolls the page must not carry a point away.
function press(view, event) {
  if (event.button) return;
  const [x, y] = at(view, event), hit = nearest(view, x, y), { paint } = view;
  if (paint.on && view.tool !== "move") {
    canvasHolds(view, event);
    view.stroke = true;
    brush(view, x, y, true);
    return;
  }
  if (hit === null) return;
  select(view, hit);
  if (!paint.on && event.pointerType !== "mouse") return;
  canvasHolds(view, event);
  view.grabbed = true;
  view.loose = !paint.on;
  if (view.loose) start(paint, view.points);
  carry(view);
}

function drag(view, event) {
  const [x, y] = at(view, event);
  if (view.stroke) brush(view, x, y, false);
  else if (view.grabbed) put_down(view, ...toGrid(view, x, y));
  else view.canvas.classList.toggle("near", nearest(view, x, y) !== null);
}

function release(view) {
  view.stroke = false;
  if (view.grabbed && view.loose) stop(view.paint), (view.paint.on = false);
  view.grabbed = false;
  redraw(view);
}

const canvasHolds = (view, event) => view.canvas.setPointerCapture(event.pointerId);

function at(view, event) {
  const box = view.canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function nearest(view, x, y) {
  let best = null, least = REACH ** 2;
  view.points.forEach((point, i) => {
    const [px, py] = placeOf(view, point), far = (px - x) ** 2 + (py - y) ** 2;
    if (far < least) [best, least] = [i, far];
  });
  return best;
}

// The points that are shown become the reader's own: each still knows which of the fit's points it was.
function carry(view) {
  view.paint.own = view.points.map((point) => Object.assign([point[0], point[1], 0], { from: point.from, exact: point.exact }));
  view.points = view.paint.own;
}

function put_down(view, gx, gy) {
  const point = view.points[view.selected];
  if (!point || (point[0] === gx && point[1] === gy)) return;
  [point[0], point[1]] = [gx, gy];
  delete point.exact;
  moved(view.paint);
  panel(view);
  redraw(view);
}

function brush(view, x, y, fresh) {
  view.paint.tool = view.tool === "erase" ? "erase" : 0;
  touch(view.paint, ...toGrid(view, x, y), fresh);
  view.points = view.paint.own;
  view.selected = Math.min(view.selected ?? 0, Math.max(0, view.points.length - 1));
  words(view);
  redraw(view);
}

function choose(view, tool) {
  const off = view.paint.on && view.tool === tool;
  if (off) stop(view.paint);
  else if (!view.paint.on) {
    start(view.paint, view.points);
    carry(view);
  }
  view.tool = off ? null : tool;
  view.paint.on = !off;
  words(view);
  redraw(view);
}

function restore(view) {
  stop(view.paint);
  Object.assign(view.paint, { on: false, own: [], sent: null, timer: 0 });
  view.tool = null;
  view.send("painted", { points: "", stamp: Date.now() + performance.now() / 1e6 });
  words(view);
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

// Arrows go from point to point; Enter takes one up, arrows then carry it, Enter or Escape puts it down, Delete rubs it out.
function keys(view, event) {
  const way = STEPS[event.key], point = view.points[view.selected];
  if (way && view.held) put_down(view, bounded(view, point[0] + way[0] * (event.shiftKey ? 12 : 3)), bounded(view, point[1] + way[1] * (event.shiftKey ? 12 : 3)));
  else if (way) select(view, beside(view, way));
  else if (event.key === "Enter" || event.key === " " || (event.key === "Escape" && view.held)) hold(view, !view.held && event.key !== "Escape");
  else if ((event.key === "Delete" || event.key === "Backspace") && point && view.points.length > 2) {
    if (!view.paint.on) start(view.paint, view.points);
    carry(view);
    view.points.splice(view.selected, 1);
    moved(view.paint);
    view.paint.on = view.tool !== null && view.tool !== undefined;
    select(view, Math.min(view.selected, view.points.length - 1));
  } else return;
  event.preventDefault();
  view.live.textContent = view.held ? `${say(view, "held")} ${view.said}` : view.said;
}

const bounded = (view, value) => Math.max(0, Math.min(view.grid - 1, value));

function hold(view, on) {
  if (on && !view.paint.on) {
    start(view.paint, view.points);
    view.loose = true;
  }
  if (on) carry(view);
  else if (view.held && view.loose) stop(view.paint), (view.paint.on = false), (view.loose = false);
  view.held = view.grabbed = on;
  redraw(view);
}

// The next point that way: the nearest whose direction is nearer to it than to any other.
function beside(view, [dx, dy]) {
  const here = view.points[view.selected ?? 0];
  if (!here) return null;
  const [x, y] = placeOf(view, here);
  let best = view.selected ?? 0, least = Infinity;
  view.points.forEach((point, i) => {
    const [px, py] = placeOf(view, point), along = (px - x) * dx - (py - y) * dy, across = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
    const far = along + 2 * across;
    if (i !== view.selected && along > 0 && across <= along && far < least) [best, least] = [i, far];
  });
  return best;
}

function select(view, index) {
  view.selected = index;
  panel(view);
  redraw(view);
}

// One question at a time: the next one when this one's answer has come, or after a while.
function ask(view) {
  const step = Number(view.track.value), newest = Number(view.track.max);
  put(view.trackValue, momentOf(view, step));
  view.asked = step;
  view.askedAt = performance.now();
  view.send("at", { step: step >= newest ? null : step, stamp: Date.now() + performance.now() / 1e6 });
}

const momentOf = (view, step) => say(view, "iteration", { step: whole(step), newest: whole(Number(view.track.max)) });

// -- what comes from the fit -----------------------------------------------------------------------------------------------

/** @param {MixturePayload} data */
function receive(view, data) {
  view.theme = readTheme(view.root);
  view.root.dataset.dark = view.theme.dark;
  Object.assign(view, { look: data.look, words: data.labels, grid: data.grid, most: data.most, wanted: data.height, limits: data.limits, axis: data.axis });
  view.inks = data.look.colours.map((colour) => inkOn(parse(colour)));
  view.from = view.now;
  view.model = { ...data, E: data.lines.length };
  const theirs = [];
  for (let i = 0; i < data.x.length; i++) {
    theirs.push(Object.assign([data.places[2 * i], data.places[2 * i + 1], 0], { from: i, exact: [data.x[i], data.y[i]] }));
  }
  const busy = view.grabbed || view.stroke;
  // what was painted is the fit's own now: each point is known to it
  if (!busy && data.painted && data.painted === toText(view.paint.own)) view.paint.own = theirs;
  view.points = busy ? view.paint.own : settle(view.paint, data, theirs);
  if (view.points === theirs && view.paint.on) view.paint.own = view.points;
  if (view.selected === null || view.selected >= view.points.length) view.selected = Math.min(data.selected, view.points.length - 1);
  view.canvas.setAttribute("aria-label", data.summary);
  view.stage.setAttribute("aria-label", data.labels.cursor);
  view.root.dataset.title = say(view, "name");
  view.root.dataset.heading = say(view, "title", { step: whole(data.step) });
  view.root.dataset.step = data.step;
  put(view.facts, say(view, "facts", { n: data.x.length, experts: view.model.E }));
  view.track.max = String(data.newest);
  if (performance.now() - view.askedAt > 700 || data.step === view.asked) {
    view.track.value = String(data.step);
    view.asked = null;
  }
  put(view.trackName, say(view, "moment"));
  put(view.trackValue, momentOf(view, Number(view.track.value)));
  words(view);
  layout(view);
  glide(view, data.motion && !matchMedia("(prefers-reduced-motion: reduce)").matches && view.from !== null);
  panel(view);
  view.paper.redraw();
}

function recolour(view) {
  if (!view.model) return;
  view.theme = readTheme(view.root);
  view.root.dataset.dark = view.theme.dark;
  words(view, true);
  layout(view);
  glide(view, false);
  panel(view);
}

function layout(view) {
  const width = Math.floor(view.stage.clientWidth), height = Math.min(view.wanted, Math.max(400, Math.round(width * 0.72)));
  if (width < 50 || (width === view.width && height === view.height && Boolean(view.frame?.strip) === view.model.strip)) return;
  Object.assign(view, { width, height, frame: frameOf(width, height, view.model.strip) });
  redraw(view);
}

function glide(view, moving) {
  cancelAnimationFrame(view.frameId);
  const begin = performance.now(), from = view.from, to = view.model;
  const step = (now) => {
    const share = moving ? Math.min(1, Math.max(0, now - begin) / TWEEN) : 1;
    view.now = between(from, to, share);
    redraw(view);
    if (share < 1) view.frameId = requestAnimationFrame(step);
  };
  step(begin);
}

function redraw(view) {
  if (!view.now || !view.frame) return;
  draw(view, fit(view.canvas, view.width, view.height));
  const levels = view.now.splits.length ? Math.round(Math.log2(view.now.E)) : 0, wide = Math.floor(view.side.clientWidth);
  view.tree.hidden = !levels;
  if (levels && wide > 50) {
    view.tree.setAttribute("aria-label", say(view, "tree"));
    drawTree(view, fit(view.tree, wide, tall(levels)), wide);
  }
}

// What the chosen point says of each expert: before y is seen, after, how hard it pulls, and how far it is off.
function panel(view) {
  const { model: m } = view, point = view.points[view.selected], n = point?.from;
  const known = n !== undefined && (n + 1) * m.E <= m.posterior.length && point.exact;
  if (!known) {
    const hint = element("p", "hint", say(view, "hint"));
    hint.dataset.picture = "no";
    view.panel.replaceChildren(hint);
    view.said = say(view, "hint");
    return;
  }
  const place = say(view, "place", { x: decimal(point.exact[0], digits(view.limits[1] - view.limits[0])), y: decimal(point.exact[1], digits(view.limits[3] - view.limits[2])) });
  const table = element("div", "bars");
  const most = Math.max(...m.error.slice(n * m.E, (n + 1) * m.E), 1e-9), said = [];
  for (const figure of FIGURES) {
    table.append(element("span", "figure", say(view, figure)));
    for (let e = 0; e < m.E; e++) {
      const value = m[figure][n * m.E + e], share = figure === "error" ? value / most : value;
      table.append(...barOf(view, e, share, figure === "error" ? decimal(value, 2) : percent(value)));
      said.push(`${say(view, figure)}, ${say(view, "expert", { n: e + 1 })}: ${figure === "error" ? decimal(value, 2) : percent(value)}`);
    }
  }
  view.panel.replaceChildren(element("p", "place", place), table);
  view.said = `${place}. ${said.join(". ")}.`;
}

const digits = (range) => Math.max(0, Math.min(3, 2 - Math.floor(Math.log10(range))));

function barOf(view, e, share, words) {
  const rgb = parse(view.look.colours[e % view.look.colours.length]);
  const chip = element("span", "chip", String(e + 1)), track = element("span", "track"), fill = element("span", "fill");
  paintChip(chip, e, rgb, view.look);
  fill.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  fill.style.background = rgba(rgb, 1);
  track.append(fill);
  return [chip, track, element("span", "value", words)];
}

function words(view, anew = false) {
  const { paint } = view;
  for (const tool of ["move", "paint", "erase"]) {
    put(view.switches[tool], say(view, tool));
    view.switches[tool].setAttribute("aria-pressed", String(paint.on && view.tool === tool));
  }
  put(view.back, say(view, "back"));
  view.back.hidden = !view.model.painted;
  view.stage.classList.toggle("painting", paint.on && Boolean(view.tool));
  put(view.note, paint.full ? say(view, "full", { most: view.most }) : paint.on && view.tool ? say(view, `${view.tool}_note`) : "");
  const wanted = JSON.stringify([view.words, view.theme, view.model.strip, view.model.ribbons]);
  if (wanted === view.said_words && !anew) return;
  view.said_words = wanted;
  const key = (kind, text) => {
    const item = element("span", "key"), mark = element("canvas", "sign");
    mark.setAttribute("aria-hidden", "true");
    mark.picture = (ctx) => sign(ctx, kind, view);
    mark.picture(fit(mark, 26, 12));
    item.append(mark, document.createTextNode(text));
    return item;
  };
  const ribbons = view.model.ribbons ? [key("ribbon", say(view, "ribbon"))] : [];
  view.legend.replaceChildren(key("line", say(view, "line")), ...ribbons, key("blend", say(view, "blend")), key("point", say(view, "point")));
}

function sign(ctx, kind, view) {
  const { theme, look } = view, rgb = parse(look.colours[0]);
  if (kind === "ribbon") {
    ctx.fillStyle = rgba(rgb, 0.25);
    ctx.fillRect(0, 1, 26, 10);
    return;
  }
  if (kind === "point") {
    look.colours.slice(0, 2).forEach((colour, i) => {
      ctx.beginPath();
      ctx.arc(7 + 12 * i, 6, 4, 0, 2 * Math.PI);
      ctx.fillStyle = colour;
      ctx.fill();
    });
    return;
  }
  ctx.strokeStyle = kind === "blend" ? rgba(theme.text, 0.75) : rgba(rgb, 1);
  ctx.lineWidth = kind === "blend" ? 2 : 3;
  ctx.setLineDash(kind === "blend" ? [7, 5] : []);
  ctx.beginPath();
  ctx.moveTo(0, 6);
  ctx.lineTo(26, 6);
  ctx.stroke();
  ctx.setLineDash([]);
}
