// Definitions that open at a word of the page: on hover, on keyboard focus, on a tap; Escape, or whatever is done elsewhere, closes. The words
// are links that Streamlit draws, and draws anew as the page ticks: a definition stays open as long as its word is there.
const WORD = 'a[href^="#word-"]', KEYED = '[class*="st-key-"]';
const LINGER_MS = 200, GAP = 6, EDGE = 8;

/** @param {Component<GlossaryPayload>} component */
export default function glossary(component) {
  const words = (globalThis.moeVizGlossary ??= watch()), root = /** @type {HTMLElement} */ (component.parentElement.querySelector(".moe-viz-words"));
  const wanted = JSON.stringify(component.data.terms);
  if (words.root === root && words.held === wanted) return;
  hide(words);
  words.root = root;
  words.held = wanted;
  root.replaceChildren(...component.data.terms.map(definition));
  prepare(words);
  const pointed = document.querySelector(`${WORD}:hover`); // since before there was anything to show
  if (pointed) show(words, pointed);
}

function definition([id, name, text]) {
  const box = document.createElement("div"), title = document.createElement("b");
  box.id = `word-${id}`;
  box.setAttribute("role", "tooltip");
  box.popover = "manual";
  title.textContent = name;
  box.append(title, text);
  return box;
}

// One for all pages: what it listens to outlives each of them.
function watch() {
  /** @type {{ root: HTMLElement | null, held: string, open: HTMLElement | null, link: HTMLElement | null, home: HTMLElement | null, place: string, focused: boolean, timer: number, due: boolean, mouse: boolean, pressed: boolean }} */
  const words = { root: null, held: "", open: null, link: null, home: null, place: "", focused: false, timer: 0, due: false, mouse: false, pressed: false };
  const at = (event) => event.target.closest?.(WORD) ?? null;
  const inside = (event) => words.open?.contains(event.target) || (words.link && at(event) === words.link);
  const listen = (name, heard) => document.addEventListener(name, heard, true);
  listen("pointerover", (event) => {
    words.mouse = event.pointerType === "mouse";
    if (event.pointerType === "touch") return;
    if (at(event)) show(words, at(event));
    else if (inside(event)) clearTimeout(words.timer);
    else leave(words);
  });
  listen("focusin", (event) => {
    if (!words.pressed && at(event)?.matches(":focus-visible")) show(words, at(event));
  });
  listen("focusout", (event) => {
    if (at(event) === words.link) leave(words);
  });
  listen("pointerdown", (event) => {
    words.pressed = true; // the focus that it brings is no wish of its own: the click that follows would close what it has opened
    if (!inside(event)) hide(words);
  });
  listen("click", (event) => {
    const link = at(event);
    words.pressed = false;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault(); // the address is not a place on the page
    if (event.pointerType === "mouse") show(words, link);
    else toggle(words, link);
  });
  listen("keydown", (event) => {
    words.pressed = false;
    if (event.key === "Escape" && words.open) {
      words.mouse = false; // until the pointer moves again
      event.stopPropagation(); // what it stands in stays open
      hide(words);
    } else if (event.key === " " && at(event)) {
      event.preventDefault();
      toggle(words, at(event));
    }
  });
  new MutationObserver(() => {
    if (words.due) return;
    words.due = true;
    requestAnimationFrame(() => {
      words.due = false;
      prepare(words);
    });
  }).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["href"] });
  return words;
}

const boxOf = (words, link) => words.root?.querySelector(`[id="${CSS.escape(link.hash.slice(1))}"]`) ?? null;

// What a screen reader is told of each word: a button, described by its definition.
function prepare(words) {
  for (const link of document.querySelectorAll(WORD)) {
    const box = boxOf(words, link);
    if (!box || link.getAttribute("aria-describedby") === box.id) continue;
    link.setAttribute("role", "button");
    link.setAttribute("aria-describedby", box.id);
    link.setAttribute("aria-expanded", String(link === words.link));
    link.setAttribute("draggable", "false");
  }
  // a word that was drawn anew below a pointer at rest
  const pointed = words.mouse && !words.open && document.querySelector(`${WORD}:hover`);
  if (pointed) show(words, pointed);
}

function toggle(words, link) {
  if (words.link === link) hide(words);
  else show(words, link);
}

function show(words, link) {
  clearTimeout(words.timer);
  const box = boxOf(words, link);
  if (!box || words.link === link) return;
  if (words.open !== box) hide(words);
  take(words, link);
  words.open = box;
  if (!box.matches(":popover-open")) box.showPopover();
  follow(words);
}

function take(words, link) {
  words.link?.setAttribute("aria-expanded", "false");
  link.setAttribute("aria-expanded", "true");
  words.link = link;
  words.home = /st-key-\S+/.exec(link.closest(KEYED)?.className ?? "")?.[0] ?? null;
  words.place = "";
}

function leave(words) {
  clearTimeout(words.timer);
  if (!words.open) return;
  words.timer = setTimeout(() => {
    const held = words.link?.matches(":hover, :focus-visible") || words.open?.matches(":hover");
    if (!held) hide(words);
  }, LINGER_MS);
}

function hide(words) {
  clearTimeout(words.timer);
  words.link?.setAttribute("aria-expanded", "false");
  if (words.open?.matches(":popover-open")) words.open.hidePopover();
  words.open = words.link = null;
}

// While it is open: beside its word wherever that moves, at the word that takes its place where the page is drawn anew, closed where none does.
function follow(words) {
  if (!words.open) return;
  if (!words.link.isConnected || words.link.hash !== `#${words.open.id}`) {
    const home = words.home ? `.${CSS.escape(words.home)} ` : "";
    const next = /** @type {HTMLElement | null} */ (document.querySelector(`${home}a[href="#${words.open.id}"]`));
    if (!next) return hide(words);
    take(words, next);
    if (words.focused && document.activeElement === document.body) next.focus({ preventScroll: true });
  }
  words.focused = document.activeElement === words.link;
  put(words);
  requestAnimationFrame(() => follow(words));
}

// Below its word, above it where there is no room, and never beyond the window's edges.
function put(words) {
  const word = words.link.getClientRects()[0] ?? words.link.getBoundingClientRect(), { width, height } = words.open.getBoundingClientRect();
  const place = [word.left, word.top, width, height, innerWidth, innerHeight].join();
  if (place === words.place) return;
  words.place = place;
  const below = word.bottom + GAP, above = word.top - GAP - height;
  const top = below + height <= innerHeight - EDGE || above < EDGE ? below : above;
  words.open.style.left = `${Math.max(EDGE, Math.min(word.left, innerWidth - EDGE - width))}px`;
  words.open.style.top = `${top}px`;
}
