// A track over the steps of a run: drag, keys, or play it back and forth. It jumps between the moments that are kept, asks the page for
// one at a time, and takes the newest wish as soon as the last one has been answered, so that dragging never piles up requests.
const FRAME_MS = 200;
const PATIENCE_MS = 1500;
const bars = new WeakMap();

/** @param {Component<ScrubberPayload>} component */
export default function scrubber(component) {
  const root = /** @type {HTMLElement} */ (component.parentElement.querySelector(".scrub"));
  let bar = bars.get(root);
  if (!bar) bars.set(root, (bar = make(root)));
  bar.send = component.setStateValue;
  receive(bar, component.data);
  return () => requestAnimationFrame(() => {
    if (root.isConnected) return;
    clearInterval(bar.timer);
    bar.watch.disconnect();
    bar.lines.forEach((line) => line.remove());
    bars.delete(root);
  });
}

function make(root) {
  const part = (name) => root.querySelector(name);
  const bar = { root, track: part("input"), marks: part(".marks"), label: part("output"), steps: [], at: null, asked: null, wish: null, way: 0, timer: 0, axes: [], lines: [] };
  bar.watch = new ResizeObserver(() => drawLines(bar));
  bar.buttons = { "-1": part(".back"), 1: part(".forth") };
  bar.track.addEventListener("input", () => choose(bar, nearest(bar.steps, Number(bar.track.value))));
  bar.track.addEventListener("keydown", (event) => {
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!way) return;
    event.preventDefault();
    choose(bar, neighbour(bar, way));
  });
  for (const way of [-1, 1]) bar.buttons[way].addEventListener("click", () => play(bar, bar.way === way ? 0 : way));
  return bar;
}

function receive(bar, data) {
  bar.steps = data.steps;
  bar.words = data.labels;
  bar.axes = data.axes;
  bar.track.min = data.first;
  bar.track.max = data.last;
  bar.track.disabled = data.steps.length < 2;
  for (const way of [-1, 1]) bar.buttons[way].disabled = data.steps.length < 2;
  if (bar.asked === data.shown || performance.now() - bar.since > PATIENCE_MS) bar.asked = null;
  if (bar.asked === null && bar.wish !== null) {
    const wish = bar.wish;
    bar.wish = null;
    if (wish !== data.shown) ask(bar, wish);
  }
  if (bar.asked === null) bar.at = data.shown;
  drawMarks(bar, data);
  show(bar);
}

function choose(bar, step) {
  if (step === undefined || step === bar.at) return show(bar);
  bar.at = step;
  show(bar);
  if (bar.asked !== null && performance.now() - bar.since < PATIENCE_MS) bar.wish = step;
  else ask(bar, step);
}

function ask(bar, step) {
  bar.asked = step;
  bar.since = performance.now();
  bar.send("at", { step, stamp: Date.now() + bar.since / 1e6 });
}

function play(bar, way) {
  clearInterval(bar.timer);
  const ends = bar.steps.length - 1;
  if (way && bar.at === bar.steps[way > 0 ? ends : 0]) choose(bar, bar.steps[way > 0 ? 0 : ends]);
  bar.way = way;
  if (way) bar.timer = setInterval(() => advance(bar), FRAME_MS);
  show(bar);
}

function advance(bar) {
  if (bar.asked !== null && performance.now() - bar.since < PATIENCE_MS) return;
  const next = neighbour(bar, bar.way);
  if (next === bar.at) play(bar, 0);
  else choose(bar, next);
}

function neighbour(bar, way) {
  const here = bar.steps.indexOf(nearest(bar.steps, bar.at));
  return bar.steps[Math.max(0, Math.min(bar.steps.length - 1, here + way))];
}

function nearest(steps, value) {
  let best = steps[0];
  for (const step of steps) if (Math.abs(step - value) < Math.abs(best - value)) best = step;
  return best;
}

// The line at the shown moment on every chart of the strips below. It is drawn here, over the charts, because a chart that is drawn anew for
// each move would come long after the track.
function drawLines(bar) {
  const strips = /** @type {HTMLElement | null} */ (document.querySelector(".st-key-strips"));
  const charts = strips && bar.at !== null ? [...strips.querySelectorAll(".marks .role-frame > g > .background")].slice(0, bar.axes.length) : [];
  while (bar.lines.length > charts.length) bar.lines.pop().remove();
  clearTimeout(bar.retry);
  if (charts.length < bar.axes.length && bar.root.isConnected) bar.retry = setTimeout(() => drawLines(bar), 250);  // charts come after the track
  if (!strips || !charts.length) return;
  strips.style.position = "relative";
  const home = strips.getBoundingClientRect(), boxes = charts.map((chart) => chart.getBoundingClientRect());
  charts.forEach((chart, i) => {
    const line = (bar.lines[i] ??= document.createElement("div")), [first, last] = bar.axes[i], box = boxes[i];
    const share = last > first ? Math.min(1, Math.max(0, (bar.at - first) / (last - first))) : 1;
    if (line.parentNode !== strips) strips.append(line);
    bar.watch.observe(chart.closest(".marks"));
    line.className = "moment-line";
    line.dataset.step = bar.at;
    Object.assign(line.style, {
      position: "absolute", width: "2px", pointerEvents: "none", background: "var(--st-text-color, currentColor)", opacity: 0.6,
      left: `${box.left - home.left + share * box.width - 1}px`, top: `${box.top - home.top}px`, height: `${box.height}px`,
    });
  });
}

function show(bar) {
  drawLines(bar);
  if (bar.at !== null) bar.track.value = bar.at;
  const text = bar.words.step.replace("{step}", bar.at ?? "–");
  bar.label.textContent = text;
  bar.track.setAttribute("aria-label", bar.words.track);
  bar.track.setAttribute("aria-valuetext", text);
  for (const way of [-1, 1]) {
    const playing = bar.way === way, name = playing ? bar.words.stop : bar.words[way > 0 ? "forth" : "back"];
    bar.buttons[way].textContent = playing ? "❚❚" : way > 0 ? "▶" : "◀";
    bar.buttons[way].setAttribute("aria-label", name);
    bar.buttons[way].title = name;
  }
}

/** @param {ScrubberPayload} data */
function drawMarks(bar, data) {
  const wanted = JSON.stringify([data.first, data.last, data.steps.length, data.steps.at(-1), data.checkpoints, data.events, data.pins]);
  if (bar.drawn === wanted) return;
  bar.drawn = wanted;
  const span = data.last - data.first || 1;
  const put = (kind, step, text = "") => {
    const mark = document.createElement("span");
    mark.className = kind;
    mark.style.left = `${(100 * (step - data.first)) / span}%`;
    mark.textContent = text;
    return mark;
  };
  const pins = Object.entries(data.pins).filter(([, step]) => step !== null);
  bar.marks.replaceChildren(
    ...data.steps.map((step) => put("kept", step)),
    ...data.checkpoints.map((step) => put("checkpoint", step, "◆")),
    ...data.events.map((step) => put("event", step, "▼")),
    ...pins.map(([name, step]) => put("pin", step, name)),
  );
}
