// The outlines around an image's patches, on a picture of two by two.
import assert from "node:assert/strict";
import { test } from "node:test";
import { borders, columnsOf, countFrom } from "../../assets/components/routing/tiles.js";

const model = (owner, state = ["kept", "kept", "kept", "kept"]) => ({ T: 4, sequence: [0, 0, 0, 0], owner, state, images: { width: 8, height: 8 } });

test("patches of one sequence are counted, and stand side by side as the picture's shape says", () => {
  const m = { T: 3, sequence: [0, 0, 1], images: { width: 16, height: 4 } };
  assert.deepEqual([countFrom(m, 0), countFrom(m, 1), countFrom(m, 2)], [2, 1, 1]);
  assert.equal(columnsOf(m, 16), 8);
});

test("one expert's patches have one outline around all of them", () => {
  assert.deepEqual(borders(model([0, 0, 0, 0])), [[true, false, false, true], [true, true, false, false], [false, false, true, true], [false, true, true, false]]);
});

test("a border stands where owner or fate differ, on both of its sides", () => {
  const all = borders(model([0, 1, 0, 0]));
  assert.equal(all[0][1] && all[1][3], true);
  assert.equal(all[1][2] && all[3][0], true);
  assert.equal(all[0][2] || all[2][0], false);
  assert.equal(borders(model([0, 0, 0, 0], ["kept", "kept", "dropped", "kept"]))[0][2], true);
});
