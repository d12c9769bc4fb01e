import assert from "node:assert/strict";
import { test } from "node:test";
import { NONE, assignment, emptySlots, lossOf, placeOf, put, scoreOf, takeOut } from "../../assets/components/be_router/game.js";

test("a token goes to the first free slot, and none of a full expert", () => {
  let slots = emptySlots(2, 2);
  for (const token of [4, 1]) slots = put(slots, token, 1);
  assert.deepEqual(slots, [[NONE, NONE], [4, 1]]);
  assert.equal(put(slots, 0, 1), null, "full");
  assert.equal(put(slots, 4, 1), slots, "it stands there already");
  assert.deepEqual(assignment(slots, 5), [NONE, 1, NONE, NONE, 1]);
});

test("who stands in a named slot takes the place that the token comes from", () => {
  const slots = [[0, NONE], [1, 2]];
  assert.deepEqual(put(slots, 0, 1, 0), [[1, NONE], [0, 2]]);
  assert.deepEqual(put(slots, 3, 1, 0), [[0, NONE], [3, 2]], "from none: it is left out");
  assert.deepEqual(takeOut(slots, 2), [[0, NONE], [1, NONE]]);
  assert.deepEqual(placeOf(slots, 2), { expert: 1, slot: 1 });
  assert.deepEqual(slots, [[0, NONE], [1, 2]], "nothing is changed in place");
});

test("loss and score of an assignment by hand", () => {
  const losses = [[0.1, 0.5, 0.3], [0.4, 0.2, 0.6]];
  assert.equal(lossOf(losses, [0, NONE]), 0.35);
  assert.equal(scoreOf(0.3, 0.3, 0.15), 0);
  assert.equal(scoreOf(0.15, 0.3, 0.15), 1);
  assert.ok(Math.abs(scoreOf(0.45, 0.3, 0.15) + 1) < 1e-9);
  assert.equal(scoreOf(0.3, 0.3, 0.3), 0, "nothing can beat chance");
});
