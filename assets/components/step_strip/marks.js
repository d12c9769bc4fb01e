// What each station's picture is made of: shapes with places and classes, from the numbers of the payload and the room there is. Colours
// belong to experts; whatever a colour says, a number, an outline or a place says, too.

export const HEIGHT = 40;
const FOOT = 13, CHIP = 16, GAP = 2, ROW = 9;

/**
 * @typedef {{ tag: "rect" | "line" | "text", className: string, x?: number, y?: number, width?: number, height?: number, x1?: number,
 *   y1?: number, x2?: number, y2?: number, expert?: number, text?: string }} Mark
 */

/** @type {Record<string, (station: any, width: number) => Mark[]>} */
const PICTURES = { token: vector, scores: perExpert, choice: ranks, slot: queues, expert: answers, sum: total, gradient: perExpert };

/** @returns {Mark[]} */
export function marks(station, width) {
  return width > 0 ? PICTURES[station.name](station, width) : [];
}

const rect = (className, x, y, width, height, more = {}) => ({ tag: /** @type {const} */ ("rect"), className, x, y, width, height, ...more });
const line = (className, x1, y1, x2, y2) => ({ tag: /** @type {const} */ ("line"), className, x1, y1, x2, y2 });

// Bars over one zero line, the longest as long as there is room: above it what is positive, below it what is negative.
function bars(values, width, top, height, look) {
  const most = Math.max(0, ...values), least = Math.min(0, ...values), span = most - least || 1, zero = top + (most / span) * height;
  const step = width / values.length, thick = step > 3 ? step - 1 : step;
  const drawn = values.map((value, i) => {
    const length = (Math.abs(value) / span) * height;
    return rect("bar", i * step, value < 0 ? zero : zero - length, thick, length, look(i));
  });
  return [...drawn, line("zero", 0, zero, width, zero)];
}

function vector({ bars: values }, width) {
  return values.length ? bars(values, width, 2, HEIGHT - 4, () => ({})) : [];
}

// A column an expert; the chosen ones in a frame as high as the picture, with their numbers below where these have room.
function perExpert({ bars: values, experts, chosen }, width) {
  if (!values.length) return [];
  const step = width / values.length, height = HEIGHT - FOOT, wide = Math.max(step, 5), middle = (e) => (e + 0.5) * step;
  const framed = chosen.map((e) => rect("chosen", middle(e) - wide / 2, 0.75, wide, height - 1.5));
  return [...bars(values, width, 2, height - 4, (i) => ({ expert: experts[i] })), ...framed, ...feet(chosen, middle, width)];
}

// Numbers that would lie on one another are left out, the later chosen first.
function feet(chosen, middle, width) {
  const put = [];
  for (const e of chosen) {
    const text = String(e + 1), half = 4 * text.length, x = Math.min(width - half, Math.max(half, middle(e)));
    if (put.every((other) => Math.abs(other.x - x) >= half + other.half + 1)) put.push({ x, half, text });
  }
  return put.map(({ x, text }) => ({ tag: /** @type {const} */ ("text"), className: "foot", x, y: HEIGHT - 2, text }));
}

// Experts from the highest ranked on, as many as fit into two rows; those that the token goes to are framed, and never left out for others.
function ranks({ order, chosen, more }, width) {
  const perRow = Math.max(1, Math.floor((width + GAP) / (CHIP + GAP))), room = 2 * perRow;
  let shown = order;
  if (order.length > room || more) {
    const others = order.filter((e) => !chosen.includes(e)), free = Math.max(0, room - 1 - chosen.length);
    const kept = new Set([...chosen.slice(0, room - 1), ...others.slice(0, free)]);
    shown = order.filter((e) => kept.has(e));
  }
  const drawn = [...shown.map((e) => [e, String(e + 1)]), ...(shown.length < order.length || more ? [[null, "…"]] : [])];
  return drawn.flatMap(([e, text], i) => {
    const x = (i % perRow) * (CHIP + GAP), y = 1 + Math.floor(i / perRow) * (CHIP + GAP);
    const letter = { tag: /** @type {const} */ ("text"), className: e === null ? "rest" : "chip-text", x: x + CHIP / 2, y: y + CHIP / 2 + 4, expert: e, text };
    if (e === null) return [letter];
    const isChosen = chosen.includes(e);
    if (!isChosen) letter.className = "other-text";
    return [rect(isChosen ? "chip" : "other", x + 0.75, y + 0.75, CHIP - 1.5, CHIP - 1.5, { expert: e }), letter];
  });
}

const rowAt = (i, n) => (HEIGHT - n * ROW - (n - 1) * GAP) / 2 + i * (ROW + GAP);

// A row a route: the queue of its expert to scale, what is served filled, what overflows hatched, the end of the buffer, the token's place.
function queues({ queues: all }, width) {
  return all.flatMap(({ expert, place, asked, kept, capacity }, i) => {
    const y = rowAt(i, all.length), length = Math.max(asked, capacity ?? 0, place + 1), unit = (width - 2) / length, x = (n) => 1 + n * unit;
    const served = Math.min(asked, capacity ?? asked), wide = Math.max(3, unit), at = Math.min(width - 1 - wide, x(place));
    return [
      rect("served", x(0), y, served * unit, ROW, { expert }),
      ...(asked > served ? [rect("overflow", x(served), y, (asked - served) * unit, ROW)] : []),
      ...(capacity === null ? [] : [rect("buffer", x(0), y, capacity * unit, ROW), line("end", x(capacity), y - 3, x(capacity), y + ROW + 3)]),
      ...(kept ? [rect("place", at, y - 2, wide, ROW + 4)] : [line("cross", at + wide / 2 - 4, y, at + wide / 2 + 4, y + ROW), line("cross", at + wide / 2 + 4, y, at + wide / 2 - 4, y + ROW)]),
    ];
  });
}

// A row a route: all hidden units of its expert, filled as far as they answer.
function answers({ parts }, width) {
  return parts.flatMap(({ expert, share }, i) => {
    const y = rowAt(i, parts.length);
    return [rect("served", 1, y, share * (width - 2), ROW, { expert }), rect("buffer", 1, y, width - 2, ROW)];
  });
}

// The weights of the parts on a scale from 0 to 1 (or to their sum, where that is more), and below them what they add up to.
function total({ parts, bars: values }, width) {
  const sum = parts.reduce((all, { share }) => all + Math.max(0, share), 0), unit = (width - 2) / Math.max(1, sum);
  let x = 1;
  const stack = parts.map(({ expert, share }) => {
    const part = rect("served", x, 1, Math.max(0, share) * unit, ROW, { expert });
    x += part.width;
    return part;
  });
  const scale = parts.length ? [rect("buffer", 1, 1, width - 2, ROW)] : [];
  return [...stack, ...scale, ...(values.length ? bars(values, width, ROW + 4, HEIGHT - ROW - 5, () => ({})) : [])];
}
