// The gate map's payload, its regions and its brush, on maps small enough to count.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, fieldOf, probability } from "../../assets/components/gate_map/field.js";
import { clear, makePaint, settle, start, toText, touch } from "../../assets/components/gate_map/paint.js";
import { regions } from "../../assets/components/gate_map/regions.js";

const base64 = (numbers) => btoa(String.fromCharCode(...numbers));

test("probabilities are two bytes each, low first, expert by expert", () => {
  const m = decode({ resolution: 1, n_experts: 2, step: 3, owner: base64([2]), prediction: base64([0]), probs: base64([0x00, 0x40, 0x00, 0xc0]), unit: 1 / 65536, follows: true });
  assert.equal(probability(m, 0, 0), 0.25);
  assert.equal(probability(m, 1, 0), 0.75);
  assert.deepEqual([...m.owner], [2]);
});

test("a place belongs to one field, the plane's edges included; rows count from below", () => {
  const m = { R: 4 };
  assert.equal(fieldOf(m, -1, -1), 0);
  assert.equal(fieldOf(m, 1, 1), 15);
  assert.equal(fieldOf(m, 0, 0), 10);
  assert.equal(fieldOf(m, -0.01, -0.01), 5);
  assert.equal(fieldOf(m, -5, 5), 12);
});

test("regions are the connected parts, with their shares, and lie where they are marked", () => {
  // from below; expert 1 has two parts that touch in a corner only, 0 is nobody's
  const owner = Uint8Array.from([1, 1, 2, 2, 1, 1, 2, 2, 2, 2, 1, 1, 2, 2, 1, 0]), m = { R: 4, owner };
  const found = regions(m, 0);
  assert.deepEqual(found.map((part) => [part.owner, part.share]), [[1, 4 / 16], [2, 4 / 16], [2, 4 / 16], [1, 3 / 16]]);
  for (const part of found) assert.equal(owner[fieldOf(m, part.x, part.y)], part.owner);
  assert.deepEqual(regions(m, 0.2).map((part) => part.owner), [1, 2, 2], "smaller parts have no number");
});

test("a region's mark is the field farthest from its border", () => {
  const [part] = regions({ R: 5, owner: new Uint8Array(25).fill(1) });
  assert.deepEqual([part.x, part.y, part.share], [0, 0, 1]);
});

test("what is painted is sent as base64 that may stand in an address", () => {
  assert.equal(toText([[0, 1, 2], [251, 255, 191]]), "AAEC-_-_");
  assert.equal(toText([]), "");
});

test("a stroke sets points apart, erases by reach, and stops at the most", () => {
  const paint = makePaint({ most: 2 });
  start(paint, []);
  touch(paint, 10, 10, true);
  touch(paint, 18, 10, false);
  assert.deepEqual(paint.own, [[10, 10, 0]], "8 is nearer than the reach of 9");
  touch(paint, 19, 10, false);
  touch(paint, 60, 60, true);
  assert.deepEqual([paint.own.length, paint.full], [2, true]);
  paint.tool = "erase";
  touch(paint, 10, 10, true);
  assert.deepEqual([paint.own, paint.full], [[], false], "both lie within 9");
  clear(paint);
});

test("one's own points stay until the run has them, and another's replace them", () => {
  const paint = makePaint({ most: 9 }), theirs = [[1, 1, 1]];
  start(paint, []);
  paint.own = [[5, 5, 0]];
  assert.equal(settle(paint, { painted: "a" }, theirs), paint.own);
  assert.equal(settle(paint, { painted: "b" }, theirs), theirs, "the run was given other points meanwhile");
  paint.on = false;
  assert.equal(settle(paint, { painted: "b" }, theirs), theirs);
});
