// What the gate map draws: a plane of two by two fields, owned by three experts and nobody, and what lies on it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOOK, THEME, drawing, openPage } from "./stage.js";

openPage();
const { makeField, ownerAt, paintField } = await import("../../assets/components/gate_map/field.js");
const { draw } = await import("../../assets/components/gate_map/plane.js");

const SIDE = 208, INK = [9, 9, 9];
// Fields from below, left to right: expert 1, expert 2; expert 3, nobody.
const OWNERS = Uint8Array.from([1, 2, 3, 0]);

// probs[e] of the four fields in parts of 10 000.
const modelOf = (probs, other = {}) => ({ R: 2, E: probs.length, owner: OWNERS, prediction: [1, 1, 2, 2], unit: 1e-4, follows: false, probs: Uint16Array.from(probs.flat()), ...other });
const JUMPS = modelOf([[10000, 0, 0, 0], [0, 5000, 0, 0], [0, 0, 0, 0]]);

function painted(to, from = null, u = 1) {
  const field = makeField(LOOK);
  paintField(field, from, to, u, INK);
  return { field, pixel: (x, y) => [...field.image.data.slice(4 * (y * SIDE + x), 4 * (y * SIDE + x) + 4)] };
}

test("a field has its owner's colour, as strong as its probability, and lies above what counts as below", () => {
  const { field, pixel } = painted(JUMPS);
  assert.deepEqual(pixel(20, 190), [255, 0, 0, 225], "expert 1, below left, certain");
  assert.deepEqual(pixel(190, 190), [0, 255, 0, 137], "expert 2, below right, half");
  assert.deepEqual(pixel(20, 20), [0, 0, 255, 50], "expert 3, above left, faint");
  assert.deepEqual(pixel(190, 20), [0, 0, 0, 0], "nobody's");
  assert.deepEqual([ownerAt(field, -0.5, -0.5), ownerAt(field, 0.5, -0.5), ownerAt(field, -0.5, 0.5), ownerAt(field, 0.5, 0.5)], [1, 2, 3, 0]);
});

test("a line in the theme's ink runs where owners differ, and only there", () => {
  const { pixel } = painted(JUMPS);
  assert.deepEqual([pixel(103, 190), pixel(20, 103)], [[9, 9, 9, 176], [9, 9, 9, 176]]);
  for (const [x, y] of [[102, 190], [104, 190], [20, 102], [20, 104]]) assert.notDeepEqual(pixel(x, y), [9, 9, 9, 176]);
});

test("where the owner is the most probable, the border lies where both are as probable, and glides with the probabilities", () => {
  const even = modelOf([[8000, 2000, 8000, 2000], [2000, 8000, 2000, 8000]], { follows: true });
  const later = modelOf([[8000, 8000, 8000, 8000], [2000, 2000, 2000, 2000]], { follows: true });
  const borderOf = ({ pixel }) => [...Array(SIDE).keys()].filter((x) => String(pixel(x, 100)) === "9,9,9,176");
  assert.deepEqual(borderOf(painted(even)), [103]);
  const [half] = borderOf(painted(later, even, 0.4));
  assert.ok(half > 115 && half < 160, `${half} is to the right of the middle`);
  assert.deepEqual(borderOf(painted(later, even, 1)), []);
});

test("a map that follows is not upside down either", () => {
  const { pixel } = painted(modelOf([[9000, 9000, 1000, 1000], [1000, 1000, 9000, 9000]], { follows: true }));
  assert.deepEqual(pixel(50, 200).slice(0, 3), [255, 0, 0]);
  assert.deepEqual(pixel(50, 8).slice(0, 3), [0, 255, 0]);
});

const viewOf = (other = {}) => ({
  size: 200, theme: THEME, look: LOOK, field: painted(JUMPS).field, model: JUMPS, answers: false, points: [], grid: 101, parts: [], oldParts: [], cursor: null, ...other,
});

test("points lie where they are, counted from below, in one shape and filling for each class", () => {
  const drawn = drawing((ctx) => draw(viewOf({ points: [[0, 0, 0], [100, 0, 1], [0, 100, 2], [100, 100, 3]] }), ctx));
  const fills = drawn.filter((one) => one.what === "fill"), paper = "rgba(255,255,255,1.000)", text = "rgba(10,10,10,1.000)";
  assert.deepEqual(fills.map((one) => one.fill), [paper, text, paper, text]);
  assert.deepEqual(fills.map((one) => [one.at[0][0], one.at.length]), [["arc", 1], ["moveTo", 3], ["rect", 1], ["moveTo", 4]]);
  assert.deepEqual(fills[0].at[0].slice(1, 3), [0, 200]);
  const [, x, y, w] = fills[2].at[0];
  assert.deepEqual([Math.round(x + w / 2), Math.round(y + w / 2)], [0, 0]);
});

test("a number stands in its expert's colour on the place that this expert owns, the old one until then", () => {
  const part = (owner, x, y) => ({ owner, x, y });
  const drawn = drawing((ctx) => draw(viewOf({ parts: [part(2, 0.5, -0.5), part(1, 0.5, -0.5)], oldParts: [part(1, -0.5, -0.5), part(3, 0.5, 0.5)] }), ctx));
  const numbers = drawn.filter((one) => one.what === "fillText").map((one) => one.at);
  assert.deepEqual(numbers, [["2", 150, 150.5], ["1", 50, 150.5]]);
  assert.deepEqual(drawn.filter((one) => one.what === "fill").map((one) => one.fill), ["rgba(0,255,0,1.000)", "rgba(255,0,0,1.000)"]);
});

test("the predicted classes' border is dashed and lies between fields of different classes", () => {
  const drawn = drawing((ctx) => draw(viewOf({ answers: true }), ctx)), [line] = drawn.filter((one) => one.what === "stroke");
  assert.deepEqual(line.dash, [2, 3]);
  assert.deepEqual(line.at, [["moveTo", 0, 100], ["lineTo", 100, 100], ["moveTo", 100, 100], ["lineTo", 200, 100]]);
});

test("the cursor's cross lies around its place", () => {
  const drawn = drawing((ctx) => draw(viewOf({ cursor: { x: 0.5, y: 0.5 } }), ctx)), strokes = drawn.filter((one) => one.what === "stroke");
  assert.deepEqual(strokes.map((one) => [one.stroke, one.at[0]]), [["rgba(255,255,255,0.900)", ["moveTo", 154, 50]], ["ink", ["moveTo", 154, 50]]]);
});
