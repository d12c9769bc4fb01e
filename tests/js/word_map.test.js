import assert from "node:assert/strict";
import { test } from "node:test";
import { curve } from "../../assets/components/word_map/curve.js";

const box = (x, y) => ({ x, y, width: 40, height: 20 });
const numbers = (path) => path.match(/-?[\d.]+/g).map(Number);

test("between two rows a line goes from the lower edge of the upper word to the upper edge of the lower one", () => {
  assert.deepEqual(numbers(curve(box(0, 0), box(100, 60))).filter((_, i) => i < 2 || i > 5), [20, 20, 120, 60]);
  assert.equal(curve(box(100, 60), box(0, 0)), curve(box(0, 0), box(100, 60)), "whichever is named first");
});

test("in one row it is an arc above both, the higher the longer", () => {
  const near = numbers(curve(box(0, 50), box(60, 50))), far = numbers(curve(box(0, 50), box(300, 50)));
  assert.deepEqual([near[1], near[7]], [50, 50]);
  assert.ok(far[3] < near[3] && near[3] < 50);
});
