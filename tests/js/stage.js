// A page for views without a browser: elements that keep what they are given and lie where a test puts them, and a canvas that notes what is
// drawn on it, each stroke and area with the colour and opacity that it has then.

/** @typedef {{ what: string, at: any[], fill: any, stroke: any, alpha: number, width: number, dash: number[] }} Drawn */

// All that the views call of a canvas. drawn: the calls that leave something to be seen.
export function recorder() {
  const drawn = [], own = { fillStyle: "", strokeStyle: "", globalAlpha: 1, lineWidth: 1, font: "", textAlign: "", textBaseline: "" };
  let path = [], dash = [];
  const note = (what, at) => drawn.push({ what, at, fill: own.fillStyle, stroke: own.strokeStyle, alpha: own.globalAlpha, width: own.lineWidth, dash });
  const methods = {
    clearRect() {}, setTransform() {}, closePath() {},
    beginPath() { path = []; },
    setLineDash(lines) { dash = lines; },
    measureText: (text) => ({ width: 7 * text.length }),
    createImageData: (w, h) => ({ data: new Uint8ClampedArray(4 * w * h) }),
    createPattern: () => "pattern",
    pattern: (...at) => note("pattern", at),
    stroke() { note("stroke", path); },
    fill() { note("fill", path); },
  };
  for (const name of ["moveTo", "lineTo", "bezierCurveTo", "arc", "rect", "roundRect"]) methods[name] = (...at) => path.push([name, ...at]);
  for (const name of ["fillRect", "strokeRect", "fillText", "drawImage", "putImageData"]) methods[name] = (...at) => note(name, at);
  return new Proxy(own, { get: (_, name) => (name === "drawn" ? drawn : methods[name] ?? own[name]) });
}

// What one drawing leaves to be seen.
export function drawing(draw) {
  const ctx = recorder();
  draw(ctx);
  return /** @type {Drawn[]} */ (ctx.drawn);
}

class Element {
  constructor(tag) {
    Object.assign(this, { tagName: tag.toUpperCase(), children: [], dataset: {}, listeners: {}, attributes: {}, textContent: "", className: "", isConnected: true });
    this.box = { left: 0, top: 0, width: 0, height: 0 };
    this.style = { setProperty(name, value) { this[name] = value; } };
    this.classes = new Set();
    this.classList = { toggle: (name, on) => (on ? this.classes.add(name) : this.classes.delete(name)) };
  }
  append(...nodes) { this.children.push(...nodes); }
  replaceChildren(...nodes) { this.children = nodes; }
  remove() { this.isConnected = false; }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  getAttribute(name) { return this.attributes[name] ?? null; }
  addEventListener(name, heard) { this.listeners[name] = heard; }
  getBoundingClientRect() {
    const { left, top, width, height } = this.box;
    return { left, top, width, height, right: left + width, bottom: top + height };
  }
  querySelector(selector) { return (this.found ??= {})[selector] ??= new Element(selector); }
  toDataURL() { return "data:,"; }
  getContext() { return (this.context ??= recorder()); }
}

export const element = (tag = "div", box = {}) => Object.assign(new Element(tag), { box: { left: 0, top: 0, width: 0, height: 0, ...box } });

// Call it before a view's module is imported: some draw as they are loaded.
export function openPage() {
  Object.assign(globalThis, {
    window: { devicePixelRatio: 1 },
    document: { createElement: (tag) => new Element(tag), querySelector: () => null },
    ResizeObserver: class { observe() {} disconnect() {} },
    requestAnimationFrame: () => 0,
  });
}

export const LOOK = { colours: ["#ff0000", "#00ff00", "#0000ff"], patterns: ["solid", "diagonal"] };
export const THEME = { text: [10, 10, 10], background: [255, 255, 255], accent: "#00a", ink: "ink", border: "border", dark: false, tint: 0.5, font: "serif", code: "mono" };
