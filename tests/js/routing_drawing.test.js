// What the routing view draws: a batch of three tokens and two experts (k = 2, buffers of two), stroke by stroke.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOOK, THEME, drawing, element, openPage } from "./stage.js";

openPage();
const { makeBatch } = await import("../../assets/components/routing/batch.js");
const { makeBeams } = await import("../../assets/components/routing/beams.js");
const { makeCard } = await import("../../assets/components/routing/card.js");
const { makeExperts } = await import("../../assets/components/routing/experts.js");
const { makeGrid } = await import("../../assets/components/routing/grid.js");
const { decode } = await import("../../assets/components/routing/model.js");
const { makeFilling } = await import("../../assets/components/routing/filling.js");
const { sign } = await import("../../assets/components/shared/signs.js");
const { palette } = await import("../../assets/components/shared/theme.js");

const RED = "#ff0000", GREEN = "#00ff00";

// Token 0: expert 1 then 0, both kept; token 1: expert 0 kept, expert 1 dropped; token 2: expert 0 only, dropped.
const payload = (other = {}) => ({
  step: 7, layer: 0, capacity: 2, n_tokens: 3, n_experts: 2, k: 2, first_expert: 1, tokens: ["a", "b", "c"], groups: ["g"], group: [0, 0, 0],
  sequence: [0, 0, 0], position: [0, 1, 2], expert: [1, 0, 0, 1, 0, -1], weight: [600, 400, 1000, 300, 500, -1], kept: [1, 1, 1, 0, 0, 0],
  slot: [0, 0, 1, -1, -1, -1], probs: [400, 600, 700, 300, 900, 100], dead: [0, 0], labels: {}, peak: 0, ...other,
});

function viewOf(data, active = null) {
  const m = decode(data), view = { model: m, look: LOOK, theme: THEME, colour: palette(LOOK.colours), numbers: false, tab: "batch" };
  const body = element("div", { width: 800, height: 300 });
  const lit = active && new Set(active.kind === "token" ? [active.index] : []);
  Object.assign(view, { body, active: () => active, lit: () => lit });
  view.batch = makeBatch(view);
  view.experts = makeExperts(view);
  view.grid = makeGrid(view);
  view.beams = makeBeams(view);
  view.batch.update(m);
  view.batch.spans.forEach((span, t) => (span.box = { left: 30 * t, top: 0, width: 21, height: 20 }));
  view.batch.node.box = view.batch.content.box = { left: 0, top: 0, width: 300, height: 300 };
  view.batch.layout();
  view.experts.update(m);
  view.experts.node.box = view.experts.inner.box = { left: 400, top: 0, width: 400, height: 300 };
  view.experts.rows.forEach((row, e) => (row.node.children[2].box = { left: 500, top: 50 * e, width: 200, height: 30 }));
  view.experts.layout();
  view.grid.node.clientWidth = 400;
  view.tab = "grid";
  view.grid.layout();
  view.tab = "batch";
  return view;
}

const areas = (drawn, colour) => drawn.filter((one) => one.what === "fillRect" && one.fill === colour);
const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-3, `${a} is not ${b}`);

test("a buffer shows each kept route in its expert's colour, as strong as its weight, in the order of its slots", () => {
  const view = viewOf(payload()), drawn = drawing((ctx) => view.experts.canvas.picture(ctx));
  const [first, second] = areas(drawn, RED);
  assert.deepEqual([areas(drawn, RED).length, areas(drawn, GREEN).length], [2, 1]);
  close(first.alpha, 0.35 + 0.65 * 0.4);
  close(second.alpha, 1);
  close(areas(drawn, GREEN)[0].alpha, 0.35 + 0.65 * 0.6);
  const cell = view.experts.cell(1);
  assert.deepEqual(first.at.slice(0, 2), [cell.x, cell.y], "where the view says that the route lies");
});

test("a slot that stays free is an outline, an overflow one cross for each dropped route beyond a strong line", () => {
  const drawn = drawing((ctx) => viewOf(payload()).experts.canvas.picture(ctx));
  assert.equal(drawn.filter((one) => one.what === "strokeRect" && one.stroke === "border").length, 1);
  assert.equal(drawn.filter((one) => one.what === "stroke" && one.stroke.startsWith("rgba(10,10,10")).length, 2);
  assert.deepEqual(areas(drawn, "ink").map((one) => one.at[2]), [2, 2], "both have lost one");
  const roomy = drawing((ctx) => viewOf(payload({ kept: [1, 1, 1, 1, 0, -1], expert: [1, 0, 0, 1, -1, -1] })).experts.canvas.picture(ctx));
  assert.equal(roomy.filter((one) => one.what === "stroke").length, 0);
  assert.deepEqual(areas(roomy, "border").map((one) => one.at[2]), [1, 1]);
});

test("without a capacity a dashed line marks the fair share in each row", () => {
  const view = viewOf(payload({ capacity: null, kept: [1, 1, 1, 1, 1, 0] })), drawn = drawing((ctx) => view.experts.canvas.picture(ctx));
  const lines = drawn.filter((one) => one.what === "stroke" && one.stroke === "ink"), [g] = view.experts.geometry;
  assert.equal(lines.length, 2);
  for (const line of lines) {
    assert.deepEqual(line.dash, [2, 3]);
    assert.ok(Math.abs(line.at[0][1] - (g.x + (2.5 / g.lines) * g.w)) <= 1, "five routes and two experts: 2.5");
  }
});

test("a token has the colour and pattern of the expert that holds it, a dropped one the sign of the dropped", () => {
  const drawn = drawing((ctx) => viewOf(payload()).batch.canvas.picture(ctx));
  const bodies = drawn.filter((one) => one.what === "fillRect" && one.at[3] === 20);
  assert.deepEqual(bodies.map((one) => one.fill), [GREEN, RED]);
  close(bodies[0].alpha, 0.5 * (0.06 + 0.94 * 0.6));
  close(bodies[1].alpha, 0.5);
  const lost = drawn.filter((one) => one.what === "strokeRect");
  assert.deepEqual(lost.map((one) => [one.at[0], one.stroke, one.dash]), [[60.5, "#0a0a0a", [3, 2]]]);
  assert.deepEqual(drawn.filter((one) => one.what === "pattern").map((one) => one.at[0]), ["backdiagonal"]);
});

test("beyond the colours the next round of experts has a pattern", () => {
  const many = payload({ n_experts: 4, expert: [3, -1, 0, -1, -1, -1], kept: [1, 0, 1, 0, 0, 0], probs: new Array(12).fill(250), dead: [0, 0, 0, 0] });
  const drawn = drawing((ctx) => viewOf(many).batch.canvas.picture(ctx));
  assert.deepEqual(drawn.filter((one) => one.what === "pattern").map((one) => one.at[0]), ["diagonal", "dots"]);
});

test("what is held in part has a broken underline", () => {
  const lines = drawing((ctx) => viewOf(payload()).batch.canvas.picture(ctx)).filter((one) => one.what === "fillRect" && one.at[3] === 3);
  assert.equal(lines.filter((one) => one.fill === GREEN).length, 1, "token 0 has both of its experts");
  assert.equal(lines.filter((one) => one.fill === RED).length, 5, "token 1 has one of two: a dash each four pixels of twenty");
});

test("beside a token in question the others recede", () => {
  const drawn = drawing((ctx) => viewOf(payload(), { kind: "token", index: 1 }).batch.canvas.picture(ctx));
  const [other, own] = drawn.filter((one) => one.what === "fillRect" && one.at[3] === 20);
  close(other.alpha, 0.2 * 0.5 * (0.06 + 0.94 * 0.6));
  close(own.alpha, 0.5);
});

test("points are filled in their expert's colour", () => {
  const view = viewOf(payload({ points: [0, 0, 500, 500, 1000, 1000] })), drawn = drawing((ctx) => view.batch.canvas.picture(ctx));
  assert.deepEqual(drawn.filter((one) => one.what === "fill").map((one) => [one.fill, one.at[0][0]]), [[GREEN, "arc"], [RED, "arc"]]);
});

test("a token's beams lead to its slots, in the experts' colours, as wide as their weights; a dropped one is dashed", () => {
  const view = viewOf(payload(), { kind: "token", index: 1 }), drawn = drawing((ctx) => view.beams.node.picture(ctx));
  const [kept, lost] = drawn.filter((one) => one.what === "stroke");
  assert.deepEqual([kept.stroke, kept.width, kept.dash], ["rgba(255,0,0,0.950)", 4.5, []]);
  assert.equal(lost.stroke, "rgba(0,255,0,0.950)");
  close(lost.width, 1.5 + 3 * 0.3);
  assert.deepEqual(lost.dash, [5, 4]);
  const cell = view.experts.cell(2), end = kept.at[1].slice(-2);
  assert.deepEqual(kept.at[0], ["moveTo", 30 + 10.5, 19]);
  assert.deepEqual(end, [400 + cell.x, cell.y + cell.h / 2]);
  assert.equal(drawn.filter((one) => one.what === "strokeRect").length, 2, "a ring around each");
});

test("the grid's cells are as dark as the gate, the chosen have their expert's outline, the dropped a cross", () => {
  const view = viewOf(payload()), drawn = drawing((ctx) => view.grid.canvas.picture(ctx));
  const cells = drawn.filter((one) => one.what === "fillRect");
  [0.4, 0.6, 0.7, 0.3, 0.9, 0.1].forEach((p, i) => close(cells[i].alpha, 0.05 + 0.8 * p));
  const frames = drawn.filter((one) => one.what === "strokeRect").map((one) => one.stroke);
  const red = "rgba(255,0,0,1.000)", green = "rgba(0,255,0,1.000)";
  assert.deepEqual(frames, [green, red, red, green, red]);
  assert.equal(drawn.filter((one) => one.what === "stroke").length, 2, "two routes were dropped");
});

test("the card of a token has a bar for each expert, most probable first, in its colour and as long as the gate", () => {
  const view = viewOf(payload(), { kind: "token", index: 1 }), card = makeCard(view);
  Object.assign(view, { narrow: () => false, anchor: () => ({ x: 0, y: 0, w: 10, h: 10 }) });
  card.update();
  const bars = card.node.children.find((one) => one.className === "bars").children, fills = bars.filter((one) => one.className === "track").map((one) => one.children[0].style);
  assert.deepEqual(bars.filter((one) => one.className === "chip").map((one) => one.textContent), ["1", "2"]);
  assert.deepEqual(fills.map((fill) => fill.background), ["rgba(255,0,0,1.000)", "rgba(0,255,0,1.000)"]);
  fills.forEach((fill, i) => assert.ok(Math.abs(parseFloat(fill.width) - [70, 30][i]) < 1e-3, fill.width));
  assert.deepEqual(bars.filter((one) => one.className === "used").map((one) => one.textContent), ["weight", "weight ✕"], "the second was dropped");
});

test("the legend's signs are drawn as the picture draws what they stand for", () => {
  const drawn = (kind) => drawing((ctx) => sign(kind, THEME).picture(ctx));
  const [hatch, frame] = drawn("dropped");
  assert.deepEqual([hatch.what, hatch.at[0], frame.what, frame.stroke, frame.dash], ["pattern", "backdiagonal", "strokeRect", "#0a0a0a", [3, 2]]);
  assert.deepEqual(drawn("fair").map((one) => [one.what, one.stroke, one.dash]), [["stroke", "ink", [2, 3]]]);
  assert.deepEqual(drawn("route").map((one) => [one.what, one.at.length]), [["stroke", 4]]);
  assert.deepEqual(drawn("chosen").map((one) => [one.what, one.stroke]), [["strokeRect", "#00a"]]);
});

test("the replay waits until it is started", () => {
  const view = viewOf(payload()), filling = makeFilling(view);
  assert.deepEqual([filling.node.hidden, filling.node.attributes["aria-hidden"]], [true, "true"]);
});
