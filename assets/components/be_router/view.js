// Be the router: tokens are dragged to the slots of experts, or sent there by keyboard or two taps. What it costs is told when it is asked for;
// from then on it follows each move. The page holds the same numbers as tables.
import { mount } from "../shared/mount.js";
import { element, inkOn, palette, rgba } from "../shared/theme.js";
import { decimal, percent, put as write, say } from "../shared/words.js";
import { NONE, assignment, emptySlots, lossOf, placeOf, put, scoreOf, takeOut } from "./game.js";
import shared from "../shared/view.css";
import own from "./be_router.css";

const DRAG_PX = 5;
const LOWEST = -0.5;

const mounted = mount(make, receive);

/** @param {Component<BeRouterPayload>} component */
export default function beRouter(component) {
  return mounted(component);
}

function make(root) {
  const view = { root, data: null, words: {}, id: null, slots: [], picked: null, judged: false, revealed: false, drag: null };
  root.removeAttribute("style");
  root.replaceChildren(element("style", "", shared + own));
  view.help = element("p", "facts");
  view.pool = element("div", "pool");
  view.experts = element("div", "experts");
  view.actions = element("div", "actions");
  view.result = element("div", "result");
  view.matrix = element("div", "matrix");
  view.live = element("p", "said");
  view.live.setAttribute("role", "status");
  const board = element("div", "board"), told = element("div", "told");
  told.append(view.actions, view.live, view.result);
  board.append(view.experts, told);
  root.append(view.help, view.pool, board, view.matrix);
  root.addEventListener("click", (event) => clicked(view, event));
  root.addEventListener("keydown", (event) => pressed(view, event));
  root.addEventListener("pointerdown", (event) => lift(view, event));
  const away = new AbortController();
  document.addEventListener("pointermove", (event) => move(view, event), { signal: away.signal });
  document.addEventListener("pointerup", (event) => drop(view, event), { signal: away.signal });
  document.addEventListener("pointercancel", () => letGo(view), { signal: away.signal });
  view.stop = () => away.abort();
  return view;
}

/** @param {BeRouterPayload} data */
function receive(view, data) {
  view.data = data;
  view.words = data.labels;
  view.colour = palette(data.colours);
  if (view.id !== data.id) Object.assign(view, { id: data.id, slots: emptySlots(data.n_experts, data.n_slots), picked: null, judged: false, revealed: false });
  draw(view);
}

function draw(view, focus = null) {
  const { data } = view, experts = assignment(view.slots, data.tokens.length);
  write(view.help, say(view, "help", { slots: data.n_slots }));
  const free = element("div", "tokens");
  data.tokens.forEach((_name, token) => experts[token] === NONE && free.append(chip(view, token)));
  if (!free.childElementCount) free.append(element("span", "facts", say(view, "all_placed")));
  const title = element("h4", "", say(view, "left_out"));
  view.pool.replaceChildren(title, free);
  view.pool.dataset.expert = String(NONE);
  view.experts.replaceChildren(...view.slots.map((row, expert) => expertRow(view, row, expert)));
  view.actions.replaceChildren(
    button("judge", say(view, "judge"), "primary"), button("reveal", say(view, view.revealed ? "hide" : "reveal")), button("empty", say(view, "empty")),
  );
  result(view, experts);
  matrix(view, experts);
  if (focus !== null) view.root.querySelector(`[data-token="${focus}"], [data-do="${focus}"]`)?.focus({ preventScroll: true });
}

function button(what, text, kind = "") {
  const node = /** @type {HTMLButtonElement} */ (element("button", `do ${kind}`, text));
  node.type = "button";
  node.dataset.do = what;
  return node;
}

function chip(view, token) {
  const { data } = view, at = placeOf(view.slots, token), gates = data.probs[token];
  const node = /** @type {HTMLButtonElement} */ (element("button", "token"));
  node.type = "button";
  node.dataset.token = String(token);
  node.append(element("span", "name", data.tokens[token]), bars(view, gates));
  const told = gates.map((gate, e) => say(view, "gate", { expert: e + 1, share: percent(gate) })).join(", ");
  const where = at ? say(view, "at", { expert: at.expert + 1, slot: at.slot + 1 }) : say(view, "out");
  node.setAttribute("aria-label", `${data.tokens[token]}: ${where}. ${told}`);
  node.setAttribute("aria-pressed", String(view.picked === token));
  return node;
}

// The gates of a token, one bar an expert, as high as its gate.
function bars(view, gates) {
  const box = element("span", "bars");
  gates.forEach((gate, e) => {
    const bar = element("span", "bar");
    bar.style.blockSize = `${Math.max(4, gate * 100)}%`;
    bar.style.background = rgba(view.colour(e), 1);
    box.append(bar);
  });
  return box;
}

function expertRow(view, row, expert) {
  const node = element("div", "expert"), name = element("button", "chip", String(expert + 1));
  const colour = view.colour(expert);
  name.style.background = rgba(colour, 1);
  name.style.color = inkOn(colour);
  name.setAttribute("aria-label", say(view, "expert", { n: expert + 1, filled: row.filter((token) => token !== NONE).length, slots: row.length }));
  name.dataset.send = String(expert);
  node.dataset.expert = String(expert);
  node.append(name, ...row.map((token, slot) => {
    const place = element("div", "slot");
    place.dataset.slot = String(slot);
    place.style.borderColor = rgba(colour, 1);
    if (token !== NONE) place.append(chip(view, token));
    return place;
  }));
  return node;
}

function result(view, experts) {
  if (!view.judged) return view.result.replaceChildren();
  const { data } = view, loss = lossOf(data.losses, experts), score = scoreOf(loss, data.random, data.best);
  const line = say(view, "result", { loss: decimal(loss, 3), score: signed(score) });
  const all = [...data.rivals.map((rival) => ({ ...rival, mine: false })), { title: say(view, "you"), loss, score, mine: true }];
  const list = element("ol", "scores");
  for (const one of all.sort((a, b) => b.score - a.score)) {
    const item = element("li", one.mine ? "mine" : ""), track = element("span", "track"), fill = element("span", "fill"), zero = element("span", "zero");
    const at = (value) => (100 * (Math.max(LOWEST, Math.min(1, value)) - LOWEST)) / (1 - LOWEST);
    fill.style.insetInlineStart = `${Math.min(at(0), at(one.score))}%`;
    fill.style.inlineSize = `${Math.abs(at(one.score) - at(0))}%`;
    zero.style.insetInlineStart = `${at(0)}%`;
    track.append(fill, zero);
    item.append(element("span", "who", one.title), track, element("span", "value", signed(one.score)), element("span", "value", decimal(one.loss, 3)));
    list.append(item);
  }
  view.result.replaceChildren(element("p", "line", line), list, element("p", "facts", say(view, "scale")));
}

const signed = (share) => percent(share).replace("-", "\u2212");

function matrix(view, experts) {
  if (!view.revealed) return view.matrix.replaceChildren();
  const { data } = view, table = element("table"), head = element("tr");
  const highest = Math.max(...data.losses.flat());
  table.append(element("caption", "facts", say(view, "matrix")));
  head.append(element("th", "", say(view, "token")), ...data.losses[0].map((_loss, e) => element("th", "", e < data.n_experts ? String(e + 1) : say(view, "none"))));
  table.append(head);
  data.losses.forEach((row, token) => {
    const line = element("tr"), name = element("th", "", data.tokens[token]), best = Math.min(...row);
    name.setAttribute("scope", "row");
    line.append(name, ...row.map((loss, e) => {
      const cell = element("td", "", decimal(loss, 3)), mine = experts[token] === (e < data.n_experts ? e : NONE);
      cell.style.setProperty("--part", `${Math.round((45 * loss) / highest)}%`);
      if (mine) cell.className = "mine";
      if (loss === best) cell.append(element("span", "best", " ★"));
      return cell;
    }));
    table.append(line);
  });
  const box = element("div", "scroll");
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", say(view, "matrix"));
  box.append(table);
  view.matrix.replaceChildren(box);
}

// -- what a reader does ------------------------------------------------------------------------------------------------------

function send(view, token, expert, slot) {
  const name = view.data.tokens[token], after = expert === NONE ? takeOut(view.slots, token) : put(view.slots, token, expert, slot);
  view.picked = null;
  if (after === null) tell(view, "full", { n: expert + 1 });
  else {
    view.slots = after;
    const at = placeOf(after, token);
    if (at) tell(view, "sent", { token: name, expert: at.expert + 1, slot: at.slot + 1 });
    else tell(view, "taken_out", { token: name });
  }
  draw(view, token);
}

function tell(view, word, values) {
  view.live.classList.toggle("live", word === "result"); // what it says then stands below it in large letters
  write(view.live, say(view, word, values));
}

function clicked(view, event) {
  if (view.dropped) return (view.dropped = false);
  const target = event.target, what = target.closest("[data-do]")?.dataset.do;
  if (what) return act(view, what);
  const token = target.closest("[data-token]")?.dataset.token, expert = target.closest("[data-expert]")?.dataset.expert;
  if (view.picked !== null && expert !== undefined && Number(token) !== view.picked) {
    const slot = target.closest("[data-slot]")?.dataset.slot;
    return send(view, view.picked, Number(expert), slot === undefined ? undefined : Number(slot));
  }
  if (token === undefined) return undefined;
  view.picked = view.picked === Number(token) ? null : Number(token);
  if (view.picked !== null) tell(view, "picked", { token: view.data.tokens[view.picked] });
  return draw(view, token);
}

function act(view, what) {
  if (what === "judge") view.judged = true;
  if (what === "reveal") view.revealed = !view.revealed;
  if (what === "empty") view.slots = emptySlots(view.data.n_experts, view.data.n_slots);
  draw(view, what);
  if (what === "judge") {
    const experts = assignment(view.slots, view.data.tokens.length), loss = lossOf(view.data.losses, experts);
    tell(view, "result", { loss: decimal(loss, 3), score: signed(scoreOf(loss, view.data.random, view.data.best)) });
  }
}

// A digit sends the token that has the focus to that expert; 0, Delete and Backspace take it out; arrows go from token to token.
function pressed(view, event) {
  const token = event.target.closest?.("[data-token]")?.dataset.token;
  if (token === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  const digit = Number(event.key), all = [...view.root.querySelectorAll("[data-token]")], at = all.indexOf(event.target.closest("[data-token]"));
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (["0", "Delete", "Backspace"].includes(event.key)) send(view, Number(token), NONE);
  else if (Number.isInteger(digit) && digit >= 1 && digit <= view.data.n_experts && event.key.trim()) send(view, Number(token), digit - 1);
  else if (step) all[(at + step + all.length) % all.length].focus();
  else return;
  event.preventDefault();
}

function lift(view, event) {
  const chosen = event.target.closest?.("[data-token]");
  if (!chosen || event.button) return;
  view.drag = { token: Number(chosen.dataset.token), x: event.clientX, y: event.clientY, chosen, ghost: null };
}

function move(view, event) {
  const { drag } = view;
  if (!drag) return;
  if (!drag.ghost) {
    if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < DRAG_PX) return;
    drag.ghost = drag.chosen.cloneNode(true);
    drag.ghost.classList.add("ghost");
    drag.ghost.setAttribute("aria-hidden", "true");
    drag.ghost.style.inlineSize = `${drag.chosen.offsetWidth}px`;
    view.root.append(drag.ghost);
    drag.chosen.classList.add("lifted");
  }
  drag.ghost.style.left = `${event.clientX}px`;
  drag.ghost.style.top = `${event.clientY}px`;
  for (const place of view.root.querySelectorAll(".over")) place.classList.remove("over");
  below(view, event)?.closest("[data-slot], [data-expert]")?.classList.add("over");
}

const below = (view, event) => /** @type {ShadowRoot | Document} */ (view.root.getRootNode()).elementFromPoint(event.clientX, event.clientY);

// What the nearest element around a place says of itself.
const told = (target, word) => target?.closest(`[data-${word}]`)?.getAttribute(`data-${word}`) ?? undefined;

function drop(view, event) {
  const { drag } = view;
  if (!drag?.ghost) return (view.drag = null);
  const target = below(view, event), expert = told(target, "expert"), slot = told(target, "slot");
  letGo(view);
  view.dropped = true; // the click that follows is none
  setTimeout(() => (view.dropped = false));
  if (expert !== undefined) send(view, drag.token, Number(expert), slot === undefined ? undefined : Number(slot));
  return undefined;
}

function letGo(view) {
  view.drag?.ghost?.remove();
  view.drag?.chosen.classList.remove("lifted");
  for (const place of view.root.querySelectorAll(".over")) place.classList.remove("over");
  view.drag = null;
}
