// A mixture's picture: where things stand, what glides, which point is meant, and that numbers never lie on one another, nor are sought for ever.
import assert from "node:assert/strict";
import { test } from "node:test";
import { drawing, LOOK, openPage, THEME } from "./stage.js";

openPage();
const { between, draw, frameOf, free, fromGrid, mixed, placeOf, ticks, toGrid, toScreen } = await import("../../assets/components/mixture/plane.js");
const { drawTree, tall } = await import("../../assets/components/mixture/tree.js");

const moment = (heights, more = {}) => ({
  E: heights.length, along: [0, 1, 2, 3, 4, 5, 6, 7], lines: heights.map((y) => Array(8).fill(y)), spread: heights.map(() => Array(8).fill(0.1)),
  gate: heights.map(() => Array(8).fill(1 / heights.length)), blend: Array(8).fill(0.5), posterior: heights.map(() => 1 / heights.length), splits: [], ribbons: true, ...more,
});
const viewOf = (now) => ({
  now, theme: THEME, look: LOOK, inks: ["#000", "#000", "#000"], limits: [0, 7, 0, 1], axis: { x: "wait", y: "duration" }, words: { asked: "asked" },
  width: 500, height: 400, frame: frameOf(500, 400, true), grid: 256, points: [Object.assign([0, 0, 0], { from: 0, exact: [3, 0.5] })], selected: 0,
});

test("a place on screen and on the grid are the same place", () => {
  const view = viewOf(moment([0.2, 0.8]));
  assert.deepEqual(toGrid(view, ...toScreen(view, ...fromGrid(view, 17, 203))), [17, 203]);
  assert.deepEqual(toGrid(view, -999, 9999), [0, 0], "held within the picture");
});

test("a point of the data stands at its own values, a painted one in the middle of its place on the grid", () => {
  const view = viewOf(moment([0.2, 0.8]));
  assert.deepEqual(placeOf(view, view.points[0]), toScreen(view, 3, 0.5));
  assert.deepEqual(placeOf(view, [17, 203, 0]), toScreen(view, ...fromGrid(view, 17, 203)));
});

test("marks of an axis are round and lie between its ends", () => {
  assert.deepEqual(ticks(40.3, 99, 6).found, [50, 60, 70, 80, 90]);
  assert.deepEqual(ticks(1.4, 5.3, 5), { found: [2, 3, 4, 5], digits: 0 });
  assert.equal(ticks(-0.11, 0.12, 4).digits, 1);
});

test("lines glide between two moments of one fit and jump to those of another", () => {
  const from = moment([0, 1]), to = moment([1, 1]);
  assert.equal(between(from, to, 0.25).lines[0][3], 0.25);
  assert.equal(between(from, to, 1), to);
  assert.equal(between(from, moment([1, 1, 1]), 0.25).lines.length, 3);
  assert.equal(between(null, to, 0.25), to);
});

test("a point has the colours of those who answer for it, by their shares", () => {
  assert.deepEqual(mixed([[100, 0, 0], [0, 200, 0]], [0.5, 0.5]), [50, 100, 0]);
});

test("experts of one answer are numbered beside one another, and the search ends", () => {
  const f = { top: 0, bottom: 200 };
  assert.equal(free([], 10, 100, f), 100);
  assert.equal(free([[10, 100]], 10, 100, f), 120);
  assert.equal(free([[10, 100], [10, 120]], 10, 100, f), 80);
  assert.equal(free([...Array(30).keys()].map((i) => [10, 10 * i]), 10, 100, f), 100, "no room left");
  const words = drawing((ctx) => draw(viewOf(moment([0.5, 0.5])), ctx)).filter((part) => part.what === "fillText" && ["1", "2"].includes(part.at[0]));
  assert.ok(Math.abs(words[0].at[2] - words[1].at[2]) >= 19);
});

test("nothing of a line is drawn outside of the plane", () => {
  const view = viewOf(moment([-5, 9])), { top, bottom } = view.frame;
  const strokes = drawing((ctx) => draw(view, ctx)).filter((part) => part.what === "stroke" && part.dash.length === 0 && part.width > 1.5);
  for (const { at } of strokes) for (const [, , y] of at.filter(([name]) => name === "lineTo")) assert.ok(y >= top - 20 && y <= bottom + 20);
});

test("a tree has a box for each gate and a leaf for each expert", () => {
  const now = moment([0, 0, 0, 0], { splits: [[0, 1], [0.5, 0.5], [1, 0]] }), view = { ...viewOf(now), inks: ["#000", "#000", "#000"] };
  const parts = drawing((ctx) => drawTree(view, ctx, 260));
  assert.equal(parts.filter((part) => part.what === "strokeRect").length, 3);
  assert.deepEqual(parts.filter((part) => part.what === "fillText").map((part) => part.at[0]), ["1", "2", "3", "4"]);
  assert.ok(tall(2) > tall(1));
});
