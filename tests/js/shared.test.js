// Colours, numbers and the ink that writes SVG.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inkOn, luminance, palette, parse, patternOf, rgba, solid } from "../../assets/components/shared/theme.js";
import { decimal, percent, say, whole } from "../../assets/components/shared/words.js";

// A canvas of one pixel that knows hex colours and rgb(): all that ink.js asks of a browser.
const context = {
  fillStyle: "", clearRect() {}, fillRect() {}, measureText: (text) => ({ width: 6 * text.length }),
  getImageData() { return { data: [...parse(this.fillStyle), 255] }; },
};
Object.assign(globalThis, { document: { createElement: () => ({ getContext: () => context }) } });
const { attributes, escape, makeInk, paint } = await import("../../assets/components/shared/ink.js");

const contrast = (a, b) => (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);

test("colours are read in every form that the theme has, and an unknown one is grey", () => {
  assert.deepEqual(parse("#0b6fa4"), [11, 111, 164]);
  assert.deepEqual(parse("#fa0"), [255, 170, 0]);
  assert.deepEqual(parse("rgba(1, 2.5, 3, 0.4)"), [1, 2.5, 3]);
  assert.deepEqual(parse("tomato"), [128, 128, 128]);
  assert.equal(rgba([1.4, 2.6, 3], 0.5), "rgba(1,3,3,0.500)");
  assert.equal(solid(0, 15.6, 255), "#0010ff");
});

test("luminance is that of WCAG 2, from 0 to 1", () => {
  assert.equal(luminance([0, 0, 0]), 0);
  assert.ok(Math.abs(luminance([255, 255, 255]) - 1) < 1e-12);
  assert.ok(Math.abs(luminance([255, 0, 0]) - 0.2126) < 1e-12);
  assert.ok(Math.abs(luminance([128, 128, 128]) - 0.21586) < 1e-5);
});

test("text on every solid colour has a contrast of 4.5 or more", () => {
  for (let r = 0; r < 256; r += 51) for (let g = 0; g < 256; g += 51) for (let b = 0; b < 256; b += 51) {
    assert.ok(contrast([r, g, b], parse(inkOn([r, g, b]))) >= 4.5, `${r},${g},${b}`);
  }
});

test("colours come round again with the next pattern", () => {
  const look = { colours: ["#000000", "#ffffff"], patterns: ["solid", "diagonal", "dots"] }, colour = palette(look.colours);
  assert.deepEqual([0, 1, 2, 5, 6].map((e) => patternOf(e, look)), ["solid", "solid", "diagonal", "dots", "solid"]);
  assert.deepEqual(colour(3), [255, 255, 255]);
});

test("numbers are written as the page writes them", () => {
  assert.deepEqual([0, 0.0004, 0.5, 0.9994, 0.9996, 1, NaN].map(percent), ["0 %", "0.0 %", "50.0 %", "99.9 %", "100 %", "100 %", "–"]);
  assert.deepEqual([decimal(-0.5, 1), decimal(-0.001, 2), decimal(2, 0)], ["\u22120.5", "0.00", "2"]);
  assert.deepEqual([whole(999), whole(1204), whole(1234567)], ["999", "1\u202f204", "1\u202f234\u202f567"]);
  assert.equal(say({ words: { a: "{n} of {m}" } }, "a", { n: 0 }), "0 of {m}");
  assert.equal(say({ words: {} }, "missing"), "missing");
});

test("nothing in a text can end its place in the SVG", () => {
  assert.equal(escape('<a href="x">&\u0001'), "&#60;a href=&#34;x&#34;&#62;&#38;·");
  assert.equal(attributes({ x: 1.23456, y: null, title: '"' }), ' x="1.23" title="&#34;"');
  assert.deepEqual(paint("fill", "#102030", 0.5), { fill: "#102030", "fill-opacity": 0.5 });
  assert.deepEqual(paint("fill", "#102030"), { fill: "#102030", "fill-opacity": null });
});

test("the ink writes what a canvas would draw", () => {
  const ink = makeInk(new Map());
  ink.fillStyle = "#ff0000";
  ink.fillRect(1, 2, 3, 4);
  ink.beginPath();
  ink.moveTo(0, 0);
  ink.lineTo(10, 5);
  ink.lineWidth = 2;
  ink.setLineDash([3, 2]);
  ink.stroke();
  ink.fillText("<b>", 4, 5);
  assert.deepEqual(ink.parts, [
    '<rect x="1" y="2" width="3" height="4" fill="#ff0000"/>',
    '<path d="M0 0L10 5" fill="none" stroke="#000000" stroke-width="2" stroke-dasharray="3 2"/>',
    '<text x="4" y="5" font-family="sans-serif" font-size="10" fill="#ff0000">&#60;b&#62;</text>',
  ]);
});

test("a pattern is defined once for a file however often it is drawn", () => {
  const defs = new Map(), ink = makeInk(defs);
  for (const x of [0, 9]) ink.pattern("grid", "hv", 6, x, 0, 8, 8, [255, 0, 0], 0.3);
  assert.equal(defs.size, 1);
  assert.equal(ink.parts.filter((part) => part.includes(`url(#${[...defs.keys()][0]})`)).length, 2);
});
