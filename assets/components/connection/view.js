// The page's end of the line to the server. Answers each picture when it is on the page, so that the server sends the next one only then;
// says how old the picture is when nothing comes any more; keeps account of the buttons pressed meanwhile until the server has heard them; and
// says what a screen reader should hear, and what a browser without cookies cannot have.
import shared from "../shared/view.css";
import own from "./connection.css";

const LATE_S = 5, LOOK_MS = 500, FORGOTTEN_MS = 20000;

const STYLE = shared + own;
const PRESSED = '[data-testid="stButton"] button';
const APP = '[data-testid="stApp"]', STATE = "data-test-connection-state";

/** @param {Component<ConnectionPayload>} component */
export default function connection(component) {
  const root = component.parentElement.querySelector(".mv"), line = (globalThis.moeVizConnection ??= watch());
  if (line.root !== root) furnish(line, root);
  line.data = component.data;
  account(line, component.data.heard);
  line.news = performance.now();
  line.cut = false;
  keepLanguage(root);
  show(line);
  component.setStateValue("painted", component.data.picture);
}

function furnish(line, root) {
  const make = (tag, name) => Object.assign(document.createElement(tag), { className: name });
  const style = make("style", ""), note = make("div", "line"), words = make("span", "words"), close = make("button", "close");
  style.textContent = STYLE;
  words.setAttribute("role", "status"); // polite; the age beside it is not read out every second
  close.type = "button";
  close.addEventListener("click", () => {
    line.lost = [];
    line.mindsNoCookies = false;
    show(line);
  });
  const news = make("div", "live");
  news.setAttribute("role", "status");
  note.append(make("span", "age"), words, close);
  root.replaceChildren(style, note, news);
  line.root = root;
}

// One for all pages: it outlives the part of the page that it stands in.
function watch() {
  const line = { root: null, data: null, news: 0, cut: false, cuts: 0, heard: {}, presses: [], lost: [], mindsNoCookies: !navigator.cookieEnabled, announced: "" };
  document.addEventListener("click", (event) => note(line, event), true);
  setInterval(() => show(line), LOOK_MS);
  const app = /** @type {HTMLElement} */ (document.querySelector(APP));
  new MutationObserver(() => {
    const cut = app.getAttribute(STATE) !== "CONNECTED";
    if (cut && !line.cut) line.cuts += 1;
    line.cut ||= cut; // until the next picture: the page is not yet as the server has it
    show(line);
  }).observe(app, { attributes: true, attributeFilter: [STATE] });
  return line;
}

function note(line, event) {
  const button = event.target.closest?.(PRESSED);
  if (!button || button.disabled) return;
  const key = /st-key-(\S+)/.exec(button.closest('[class*="st-key-"]')?.className ?? "")?.[1];
  const label = (button.querySelector('[data-testid="stMarkdownContainer"]') ?? button).innerText.trim();
  if (key) line.presses.push({ key, label: label || button.getAttribute("aria-label"), at: performance.now(), cuts: line.cuts });
  line.lost = [];
}

// heard: how often the server has heard each button of this session. What was pressed over a line that has been cut since, and was not heard, is
// lost: nobody sends it again.
function account(line, heard) {
  const news = {};
  for (const [key, times] of Object.entries(heard)) news[key] = times - (line.heard[key] ?? 0);
  line.heard = heard;
  const open = line.presses.filter(({ key }) => !(news[key]-- > 0));
  line.lost.push(...open.filter(({ cuts }) => cuts < line.cuts).map(({ label }) => label));
  const oldest = performance.now() - FORGOTTEN_MS; // those that the server need not hear
  line.presses = open.filter(({ cuts, at }) => cuts === line.cuts && at > oldest);
}

function show(line) {
  const { root, data } = line;
  if (!root?.isConnected || !data) return;
  const { labels } = data, now = performance.now(), old = Math.floor((now - line.news) / 1000);
  const late = line.cut || old >= Math.max(LATE_S, 3 * data.every);
  const said = [], since = [];
  if (late) {
    const shown = /** @type {HTMLElement | null} */ (document.querySelector(".st-key-live_step")), step = shown?.innerText.trim();
    since.push(line.cut ? labels.cut : labels.late, step ? labels.step.replace("{step}", step) : labels.old);
    const waiting = line.presses.filter(({ at }) => at > line.news).map(({ label }) => label);
    if (waiting.length) since.push(labels.waiting.replace("{buttons}", names(waiting)));
    said.push(labels.seconds.replace("{n}", old));
  }
  if (line.lost.length) since.push(labels.lost.replace("{buttons}", names(line.lost)));
  if (line.mindsNoCookies) since.push(labels.cookies);
  const note = root.querySelector(".line"), close = root.querySelector(".close");
  note.classList.toggle("on", since.length > 0);
  write(root.querySelector(".age"), said.join(" "));
  write(root.querySelector(".words"), since.join(" "));
  write(close, labels.close);
  close.hidden = late || !(line.lost.length || line.mindsNoCookies);
  if (line.announced !== data.announced) write(root.querySelector(".live"), (line.announced = data.announced)); // not again on another page
  const main = /** @type {HTMLElement | null} */ (document.querySelector('[data-testid="stMain"]')); // so that all of the page can be scrolled clear of the note
  if (main) main.style.paddingBottom = since.length ? `${note.offsetHeight}px` : "";
}

function names(labels) {
  return [...new Set(labels)].map((label) => `“${label}”`).join(", ");
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// What is rewritten all the time, and the controls that follow it, stay in the language of the app: a browser's translator takes the text nodes
// away from the page, which then goes on writing into the ones that nobody sees, beside others that it has made anew.
function keepLanguage(root) {
  const host = root.getRootNode().host ?? root;
  const controls = document.querySelectorAll('[data-testid="stSidebar"], .st-key-within_reach');
  for (const part of [host.closest(".st-key-live_part"), ...controls]) part?.setAttribute("translate", "no");
}
