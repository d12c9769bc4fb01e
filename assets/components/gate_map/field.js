// The map as numbers: what a payload says of every place, and the moving picture between two payloads. Where the owner is the most
// probable expert, both payloads' probabilities are mixed and read between the places of the grid, so borders are lines that glide.
import { context2d } from "../shared/context.js";
import { parse } from "../shared/theme.js";

const SIDE = 208;
// Opacity of an owner of probability 0 and of 1: with many experts an even gate would else be invisible.
const FAINT = 50, FULL = 225;

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** @param {GateMapPayload} data */
export function decode(data) {
  return {
    R: data.resolution,
    E: data.n_experts,
    step: data.step,
    owner: bytes(data.owner),
    prediction: bytes(data.prediction),
    probs: new Uint16Array(bytes(data.probs).buffer),
    unit: data.unit,
    follows: data.follows,
  };
}

// Index of the field that a place in [-1, 1] lies in.
export function fieldOf(m, x, y) {
  const at = (v) => Math.min(m.R - 1, Math.max(0, Math.floor(((v + 1) * m.R) / 2)));
  return at(y) * m.R + at(x);
}

export const probability = (m, e, field) => m.probs[e * m.R * m.R + field] * m.unit;

export function makeField(look) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const ctx = context2d(canvas), image = ctx.createImageData(SIDE, SIDE);
  return { canvas, ctx, image, owners: new Uint8Array(SIDE * SIDE), colours: look.colours.map(parse), plan: null };
}

// Who owns a place in [-1, 1] on screen, counted from 1.
export function ownerAt(field, x, y) {
  const at = (v) => Math.min(SIDE - 1, Math.floor(((v + 1) * SIDE) / 2));
  return field.owners[at(-y) * SIDE + at(x)];
}

// What is on screen after a share u of the way from one payload to the other.
export function paintField(field, from, to, u, ink) {
  const glide = to.follows && (!from || (from.follows && from.E === to.E && from.R === to.R));
  if (glide) glideOwners(field, from || to, to, from ? u : 1);
  else jumpOwners(field, to);
  const { owners, image, colours } = field, pixels = new Uint32Array(image.data.buffer), [r, g, b] = ink;
  const line = (0xb0 << 24) | (b << 16) | (g << 8) | r;
  for (let y = 0, i = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, i++) {
      const o = owners[i];
      const border = (x + 1 < SIDE && owners[i + 1] !== o) || (y + 1 < SIDE && owners[i + SIDE] !== o);
      if (border) pixels[i] = line;
      else if (o === 0) pixels[i] = 0;
      else {
        const c = colours[(o - 1) % colours.length];
        pixels[i] = (field.strength[i] << 24) | (c[2] << 16) | (c[1] << 8) | c[0];
      }
    }
  }
  field.ctx.putImageData(image, 0, 0);
}

const opacity = (p) => FAINT + Math.min(1, p) * (FULL - FAINT);

// For each pixel row or column (rows counted from below): how far it lies between two fields; and where the pixels of each gap begin.
function planOf(field, R) {
  if (field.plan?.R === R) return field.plan;
  const part = new Float32Array(SIDE), begin = new Int32Array(R).fill(SIDE);
  for (let i = SIDE - 1; i >= 0; i--) {
    const at = Math.min(R - 1, Math.max(0, ((i + 0.5) * R) / SIDE - 0.5)), low = Math.min(R - 2, Math.floor(at));
    part[i] = at - low;
    begin[low] = i;
  }
  // With more fields than pixels a gap can be empty: it begins where the next one does.
  for (let low = R - 2; low >= 0; low--) begin[low] = Math.min(begin[low], begin[low + 1]);
  field.strength = new Uint8Array(SIDE * SIDE);
  return (field.plan = { R, part, begin });
}

function glideOwners(field, from, to, u) {
  const { R, begin } = planOf(field, to.R), { E } = to, size = R * R, mixed = new Float32Array(E * size);
  const a = from.unit * (1 - u), b = to.unit * u;
  for (let i = 0; i < mixed.length; i++) mixed[i] = from.probs[i] * a + to.probs[i] * b;
  const most = new Float32Array(E), able = [];
  for (let row = 0; row < R - 1; row++) {
    if (begin[row] === begin[row + 1]) continue;
    for (let column = 0; column < R - 1; column++) {
      // Between four fields only those experts can be the most probable that somewhere reach what another has everywhere.
      let least = -1;
      for (let e = 0, i = row * R + column; e < E; e++, i += size) {
        const p = mixed[i], q = mixed[i + 1], r = mixed[i + R], s = mixed[i + R + 1];
        most[e] = Math.max(p, q, r, s);
        least = Math.max(least, Math.min(p, q, r, s));
      }
      able.length = 0;
      for (let e = 0; e < E; e++) if (most[e] >= least) able.push(e);
      fillGap(field, mixed, able, row, column);
    }
  }
}

// The pixels between four fields: owner and strength of the most probable of the experts in question.
function fillGap(field, mixed, able, row, column) {
  const { R, part, begin } = field.plan, { owners, strength } = field, size = R * R, corner = row * R + column;
  for (let v = begin[row]; v < begin[row + 1]; v++) {
    for (let x = begin[column], at = (SIDE - 1 - v) * SIDE + x; x < begin[column + 1]; x++, at++) {
      let best = -1, whose = 0;
      for (const e of able) {
        const i = e * size + corner, s = part[x];
        const under = mixed[i] + (mixed[i + 1] - mixed[i]) * s, over = mixed[i + R] + (mixed[i + R + 1] - mixed[i + R]) * s;
        const p = under + (over - under) * part[v];
        if (p > best) {
          best = p;
          whose = e + 1;
        }
      }
      owners[at] = whose;
      strength[at] = opacity(best);
    }
  }
}

function jumpOwners(field, m) {
  planOf(field, m.R);
  for (let y = 0, i = 0; y < SIDE; y++) {
    const row = Math.floor(((SIDE - 1 - y) * m.R) / SIDE) * m.R;
    for (let x = 0; x < SIDE; x++, i++) {
      const at = row + Math.floor((x * m.R) / SIDE), o = m.owner[at];
      field.owners[i] = o;
      field.strength[i] = o ? opacity(probability(m, o - 1, at)) : 0;
    }
  }
}
