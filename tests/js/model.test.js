// The routing record as the view reads it, against three tokens and two experts counted by hand (k = 2, one slot each).
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, describeExpert, describeRoute, glyph, inSight, nameOf, routesOf, tokenOf, tokensOf } from "../../assets/components/routing/model.js";

const WORDS = {
  expert: "Expert {n}", routes: "{n} of {total} routes, {share}", filled: "{n} of {capacity} slots filled", dropped_n: "{n} dropped", dead: "dead",
  lost: "Expert {n} is full: dropped", kept: "Expert {n}: kept", kept_slot: "Expert {n}: slot {slot} of {capacity}", patch: "patch",
};

// Token 0 asks both experts and has both; token 1 asks both, both full; token 2 asks nobody.
const payload = (other = {}) => ({
  step: 7, layer: 0, capacity: 1, n_tokens: 3, n_experts: 2, k: 2, first_expert: 1, tokens: ["a", " ", "\n"], groups: ["g"], group: [0, 0, 0],
  sequence: [0, 0, 0], position: [0, 1, 2], expert: [1, 0, 0, 1, -1, -1], weight: [600, 400, 700, 300, -1, -1], kept: [1, 1, 0, 0, 0, 0],
  slot: [0, 0, -1, -1, -1, -1], probs: [400, 600, 700, 300, 500, 500], dead: [0, 1], labels: WORDS, ...other,
});

test("each token has the fate that its routes say", () => {
  const m = decode(payload());
  assert.deepEqual(m.state, ["kept", "dropped", "unrouted"]);
  assert.deepEqual([...m.owner], [1, 0, -1]);
  assert.equal(m.droppedTokens, 1);
  assert.equal(m.ownerWeight[0], Math.fround(0.6));
  assert.ok(Number.isNaN(m.weight[4]), "no route has no weight");
});

test("every route stands in one expert's list, and an expert's load is what asked for it", () => {
  const m = decode(payload());
  assert.deepEqual(m.held, [[1], [0]]);
  assert.deepEqual(m.lost, [[2], [3]]);
  assert.equal(m.total, 4);
  assert.deepEqual([...m.load], [2, 2]);
  assert.equal(m.load.reduce((a, b) => a + b), m.total);
});

test("a token with some of its routes dropped takes the colour of the expert that has it", () => {
  const m = decode(payload({ kept: [0, 1, 0, 0, 0, 0] }));
  assert.equal(m.state[0], "partial");
  assert.equal(m.owner[0], 0);
});

test("a buffer is listed in the order of its slots", () => {
  const m = decode(payload({ capacity: 2, expert: [0, 1, 0, 1, -1, -1], kept: [1, 1, 1, 1, 0, 0], slot: [1, 0, 0, 1, -1, -1] }));
  assert.deepEqual(m.held, [[2, 0], [1, 3]]);
});

test("routes and tokens find each other", () => {
  const m = decode(payload());
  assert.deepEqual(routesOf(m, 1), [2, 3]);
  assert.deepEqual(routesOf(m, 2), []);
  assert.deepEqual([...tokensOf(m, 0)].sort(), [0, 1]);
  for (const t of [0, 1]) for (const r of routesOf(m, t)) assert.equal(tokenOf(m, r), t);
});

test("what is read out names experts and slots from 1", () => {
  const m = decode(payload());
  assert.equal(describeRoute(m, 0), "Expert 2: slot 1 of 1");
  assert.equal(describeRoute(m, 2), "Expert 1 is full: dropped");
  assert.equal(describeRoute(decode(payload({ capacity: null })), 0), "Expert 2: kept");
  assert.equal(describeExpert(m, 1), "Expert 2; 2 of 4 routes, 50.0 %; 1 of 1 slots filled; 1 dropped; dead");
});

test("white space and control characters are seen", () => {
  assert.deepEqual(glyph("  "), { text: "␣␣", quiet: true });
  assert.deepEqual(glyph("\r\n"), { text: "⏎", quiet: true });
  assert.deepEqual(glyph("a\tb\u0007"), { text: "a⇥b·", quiet: false });
  assert.equal(nameOf(decode(payload()), 1), "“␣”");
});

const written = (text, more = {}) => {
  const tokens = [...text], n = tokens.length;
  return decode(payload({
    tokens, n_tokens: n, k: 1, group: tokens.map(() => 0), sequence: tokens.map(() => 0), position: tokens.map((_, t) => t), expert: tokens.map(() => 0),
    weight: tokens.map(() => 500), kept: tokens.map(() => 1), slot: tokens.map(() => 0), probs: tokens.flatMap(() => [500, 500]), ...more,
  }));
};
const seen = (m) => inSight(m, 0, m.T).map((t) => m.tokens[t]).join("");

test("text is seen in the order of its own script, words and numbers of the other direction within it too", () => {
  assert.equal(written("Hello, мир 42").way, null, "no cost where nothing goes from right to left");
  assert.equal(seen(written("שלום")), "םולש");
  assert.equal(seen(written("זה moe, 4.5!")), "!moe, 4.5 הז");
  assert.equal(seen(written("see שלום רב now")), "see בר םולש now");
});

test("a text is one, however many rows the model reads it in: its first letter decides for all of them", () => {
  const m = written("12 שלום ok go", { sequence: [..."0000000111111"].map(Number) });
  assert.deepEqual(new Set(m.way.base), new Set([1]));
  assert.equal(m.way.run[0], 0);
  assert.equal(m.way.run[8], 0);
});
