// The map as numbers: what a payload says of every place, and the moving picture between two payloads. Where the owner is the most
// probable expert, both payloads' probabilities are mixed and read between the places of the grid, so borders are lines that glide.
import { parse } from "../routing/theme.js";

const SIDE = 208;
// Opacity of an owner of probability 0 and of 1: with many experts an even gate would else be invisible.
const FAINT = 50, FULL = 225;

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

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
  const ctx = canvas.getContext("2d"), image = ctx.createImageData(SIDE, SIDE);
  return { canvas, ctx, image, owners: new Uint8Array(SIDE * SIDE), colours: look.colours.map(parse), plan: null };
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

// For each pixel row or column: the two fields it lies between, and how far. Pixel rows run downwards, fields upwards.
function planOf(field, R) {
  if (field.plan?.R === R) return field.plan;
  const low = new Int32Array(SIDE), part = new Float32Array(SIDE);
  for (let i = 0; i < SIDE; i++) {
    const at = Math.min(R - 1, Math.max(0, ((i + 0.5) * R) / SIDE - 0.5));
    low[i] = Math.min(R - 2, Math.floor(at));
    part[i] = at - low[i];
  }
  field.strength = new Uint8Array(SIDE * SIDE);
  field.best = new Float32Array(SIDE * SIDE);
  field.mixed = new Float32Array(R * R);
  return (field.plan = { R, low, part });
}

function glideOwners(field, from, to, u) {
  const { R, low, part } = planOf(field, to.R), { best, owners, mixed, strength } = field, size = R * R;
  best.fill(-1);
  for (let e = 0; e < to.E; e++) {
    const start = e * size, a = from.unit * (1 - u), b = to.unit * u;
    for (let i = 0; i < size; i++) mixed[i] = from.probs[start + i] * a + to.probs[start + i] * b;
    for (let y = 0, i = 0; y < SIDE; y++) {
      const row = SIDE - 1 - y, lower = low[row] * R, t = part[row];
      for (let x = 0; x < SIDE; x++, i++) {
        const left = lower + low[x], s = part[x];
        const under = mixed[left] + (mixed[left + 1] - mixed[left]) * s;
        const over = mixed[left + R] + (mixed[left + R + 1] - mixed[left + R]) * s;
        const p = under + (over - under) * t;
        if (p > best[i]) {
          best[i] = p;
          owners[i] = e + 1;
        }
      }
    }
  }
  for (let i = 0; i < best.length; i++) strength[i] = opacity(best[i]);
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
