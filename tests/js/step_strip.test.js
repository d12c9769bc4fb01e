// The strip of One step: each picture to scale and inside its room, and which card is being read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { HEIGHT, marks } from "../../assets/components/step_strip/marks.js";
import { cardAt, hold, makeReading, readingLine, release, scrolled } from "../../assets/components/step_strip/reading.js";

const STATIONS = [
  { name: "token", bars: [1, -1, 0.5, 0] },
  { name: "scores", bars: [0.5, 0.25, 0.125, 0.125], experts: [0, 1, 2, 3], chosen: [0, 1] },
  { name: "choice", order: [2, 0, 1, 3], chosen: [2], more: false },
  { name: "slot", queues: [{ expert: 1, place: 2, asked: 8, kept: true, capacity: 4 }, { expert: 0, place: 6, asked: 8, kept: false, capacity: 4 }] },
  { name: "expert", parts: [{ expert: 1, share: 0.25 }] },
  { name: "sum", parts: [{ expert: 1, share: 0.5 }, { expert: 0, share: 0.25 }], bars: [2, -2] },
  { name: "gradient", bars: [-0.5, 0.25, 0.25, 0], experts: [0, 1, 2, 3], chosen: [0] },
];
const of = (name, width, more = {}) => marks({ ...STATIONS.find((station) => station.name === name), ...more }, width);
const kind = (all, className) => all.filter((mark) => mark.className === className);
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-9, `${a} is not ${b}`);

test("nothing stands outside of its picture, however wide that is", () => {
  for (const width of [30, 42, 100, 240]) {
    for (const station of STATIONS) {
      const drawn = marks(station, width);
      assert.ok(drawn.length, station.name);
      for (const mark of drawn) {
        const xs = mark.tag === "rect" ? [mark.x, mark.x + mark.width] : mark.tag === "line" ? [mark.x1, mark.x2] : [mark.x];
        const ys = mark.tag === "rect" ? [mark.y, mark.y + mark.height] : mark.tag === "line" ? [mark.y1, mark.y2] : [mark.y];
        for (const x of xs) assert.ok(x >= -1 && x <= width + 1, `${station.name} ${mark.className} x ${x} of ${width}`);
        for (const y of ys) assert.ok(y >= -1 && y <= HEIGHT + 1, `${station.name} ${mark.className} y ${y}`);
        assert.ok([...xs, ...ys].every(Number.isFinite));
        if (mark.tag === "rect") assert.ok(mark.width >= 0 && mark.height >= 0);
      }
    }
  }
  assert.deepEqual(STATIONS.flatMap((station) => marks(station, 0)), []);
});

test("bars are to scale over one zero line, and an expert's has its colour", () => {
  const bars = kind(of("scores", 100), "bar");
  near(bars[0].height, 2 * bars[1].height);
  near(bars[1].height, 2 * bars[2].height);
  assert.deepEqual(bars.map((bar) => bar.expert), [0, 1, 2, 3]);
  const gradient = of("gradient", 100), [zero] = kind(gradient, "zero"), [negative, positive] = kind(gradient, "bar");
  near(negative.y, zero.y1);
  near(positive.y + positive.height, zero.y1);
  near(negative.height, 2 * positive.height);
  assert.ok(kind(of("token", 100), "bar").every((bar) => bar.expert === undefined));
});

test("chosen experts are framed and numbered, and numbers never lie on one another", () => {
  const all = of("scores", 100);
  assert.equal(kind(all, "chosen").length, 2);
  assert.deepEqual(kind(all, "foot").map((foot) => foot.text), ["1", "2"]);
  const narrow = kind(of("scores", 42, { bars: Array(64).fill(1 / 64), experts: [...Array(64).keys()], chosen: [10, 11, 60] }), "foot");
  assert.deepEqual(narrow.map((foot) => foot.text), ["11", "61"]);
});

test("the choice stands in the order of the ranking, the chosen in a frame, and what is left out is said", () => {
  const all = of("choice", 100);
  assert.deepEqual(all.filter((mark) => mark.tag === "text").map((mark) => mark.text), ["3", "1", "2", "4"]);
  assert.deepEqual(kind(all, "chip").map((mark) => mark.expert), [2]);
  const narrow = of("choice", 42, { order: [5, 4, 3, 2, 1, 0], chosen: [5, 0], more: true });
  assert.deepEqual(narrow.filter((mark) => mark.tag === "text").map((mark) => mark.text), ["6", "5", "1", "…"]);
  assert.deepEqual(of("choice", 100, { order: [], chosen: [] }), []);
});

test("a queue is to scale: served, overflow, the end of the buffer, and the token's place in it or beyond", () => {
  const all = of("slot", 82), unit = 10;
  const [served] = kind(all, "served"), [overflow] = kind(all, "overflow"), [end] = kind(all, "end"), [place] = kind(all, "place");
  near(served.width, 4 * unit);
  near(overflow.width, 4 * unit);
  near(end.x1, 1 + 4 * unit);
  near(place.x, 1 + 2 * unit);
  const crosses = kind(all, "cross");
  assert.equal(kind(all, "place").length, 1);
  assert.equal(crosses.length, 2);
  near((crosses[0].x1 + crosses[0].x2) / 2, 1 + 6.5 * unit);
  const dropless = of("slot", 82, { queues: [{ expert: 1, place: 2, asked: 8, kept: true, capacity: null }] });
  assert.deepEqual([kind(dropless, "end").length, kind(dropless, "overflow").length], [0, 0]);
  const half = of("slot", 82, { queues: [{ expert: 1, place: 0, asked: 2, kept: true, capacity: 8 }] });
  near(kind(half, "served")[0].width, kind(half, "buffer")[0].width / 4);
});

test("weights lie side by side on a scale from 0 to 1", () => {
  const all = of("sum", 102), parts = kind(all, "served"), [scale] = kind(all, "buffer");
  near(parts[0].width, scale.width / 2);
  near(parts[1].x, parts[0].x + parts[0].width);
  near(parts[1].width, scale.width / 4);
  near(kind(of("expert", 102), "served")[0].width, 25);
});

test("each card has its turn from the page's beginning to its end", () => {
  const heights = [120, 400, 90, 300, 60, 80], room = { top: 100, bottom: 700 };
  const tops = heights.map((_height, i) => room.top + 300 + heights.slice(0, i).reduce((a, b) => a + b, 0));
  const most = tops.at(-1) + heights.at(-1) - room.bottom, seen = [];
  for (let at = 0; at <= most; at++) {
    const card = cardAt(tops.map((top, i) => ({ name: i, top: top - at })), readingLine(room.top, room.bottom, at, most));
    if (card !== seen.at(-1)) seen.push(card);
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5]);
  assert.equal(readingLine(100, 700, 0, 0), 100);
  assert.equal(cardAt([], 100), null);
});

test("what was gone to stays named while the page moves there, and until the reader scrolls on", () => {
  const reading = makeReading();
  scrolled(reading, null);
  assert.equal(reading.card, null);
  scrolled(reading, "token");
  assert.equal(reading.card, "token");
  hold(reading, "sum");
  for (const card of ["choice", "slot", "gradient"]) scrolled(reading, card);
  assert.equal(reading.card, "sum");
  release(reading);
  assert.equal(reading.card, "sum", "as long as nothing has moved");
  scrolled(reading, "slot");
  assert.equal(reading.card, "slot");
});
