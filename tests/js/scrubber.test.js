// The track of the time machine, without a browser: where its marks lie, what keys and buttons ask for, and in which order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { element, openPage } from "./stage.js";

openPage();
const { default: scrubber } = await import("../../assets/components/scrubber/view.js");

const WORDS = { step: "step {step}", track: "Moment", back: "Play back", forth: "Play", stop: "Stop" };
const payload = (other = {}) => ({ steps: [100, 110, 150, 200], shown: 200, first: 100, last: 200, checkpoints: [150], events: [110], pins: { A: 200, B: null }, axes: [], labels: WORDS, ...other });

function opened(data = payload()) {
  const parent = element(), root = parent.querySelector(".scrub"), sent = [];
  root.isConnected = true;
  const update = (next) => scrubber(/** @type {any} */ ({ parentElement: parent, data: next, setStateValue: (name, value) => sent.push([name, value.step]) }));
  update(data);
  const part = (name) => root.querySelector(name);
  return { sent, update, track: part("input"), marks: part(".marks"), label: part("output"), back: part(".back"), forth: part(".forth") };
}

const press = (bar, key) => bar.track.listeners.keydown({ key, preventDefault() {} });

test("marks lie at their share of the way from the first step to the last", () => {
  const placed = opened().marks.children.map((mark) => [mark.className, mark.style.left, mark.textContent]);
  assert.deepEqual(placed, [
    ["kept", "0%", ""], ["kept", "10%", ""], ["kept", "50%", ""], ["kept", "100%", ""], ["checkpoint", "50%", "◆"], ["event", "10%", "▼"], ["pin", "100%", "A"],
  ]);
});

test("the track stands at the moment that is shown, and says so", () => {
  const bar = opened(payload({ shown: 150 }));
  assert.deepEqual([bar.track.min, bar.track.max, bar.track.value, bar.label.textContent], [100, 200, 150, "step 150"]);
  assert.equal(bar.track.attributes["aria-valuetext"], "step 150");
});

test("an arrow asks for the next kept moment on its side, one request at a time", () => {
  const bar = opened();
  press(bar, "ArrowLeft");
  press(bar, "ArrowLeft");
  press(bar, "ArrowLeft");
  assert.deepEqual(bar.sent, [["at", 150]], "the others wait for its answer");
  assert.equal(bar.track.value, 100);
  bar.update(payload({ shown: 150 }));
  assert.deepEqual(bar.sent, [["at", 150], ["at", 100]], "only the newest wish is asked for then");
  bar.update(payload({ shown: 100 }));
  press(bar, "ArrowRight");
  assert.deepEqual(bar.sent.at(-1), ["at", 110]);
});

test("with a single moment there is nothing to move", () => {
  const bar = opened(payload({ steps: [100], shown: 100, first: 100, last: 100 }));
  assert.deepEqual([bar.track.disabled, bar.back.disabled, bar.forth.disabled], [true, true, true]);
});

test("the buttons say what a press would do", () => {
  const bar = opened(payload({ shown: 100 }));
  assert.deepEqual([bar.back.title, bar.forth.title], ["Play back", "Play"]);
  bar.forth.listeners.click();
  assert.deepEqual([bar.forth.title, bar.forth.textContent], ["Stop", "❚❚"]);
  bar.forth.listeners.click();
  assert.equal(bar.forth.title, "Play");
});
