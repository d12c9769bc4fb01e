// The routing record as the view needs it: the flat lists of the payload made into typed arrays, and each expert's
// buffer listed in slot order. Pure data, no drawing. Axes: T tokens, K routes per token, E experts; route r belongs
// to token floor(r / K).

import { percent, say } from "../shared/words.js";

/** @param {RoutingPayload} data */
export function decode(data) {
  const T = data.n_tokens, E = data.n_experts, K = data.k;
  const m = {
    T, E, K, C: data.capacity, step: data.step, layer: data.layer, base: data.first_expert,
    tokens: data.tokens, groups: data.groups, group: data.group, sequence: data.sequence, position: data.position,
    expert: Int16Array.from(data.expert), kept: Uint8Array.from(data.kept), slot: Int32Array.from(data.slot),
    weight: Float32Array.from(data.weight, thousandth), probs: Float32Array.from(data.probs, thousandth),
    images: data.images || null, points: data.points || null, dead: data.dead,
    words: data.labels, peak: data.peak || 0,
  };
  m.kind = m.images ? "image" : m.points ? "point" : "text";
  m.languages = data.languages || [];
  m.way = m.kind === "text" ? ways(m) : null;
  listBuffers(m);
  return m;
}

const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;
const LEFT_TO_RIGHT = /[\p{L}\p{Nd}]/u;

// In which direction each token is written: { base, run }, 1 for right to left, by text and by token; null where all of it goes from left to
// right. The first letter of a text decides for it. A sign between two words of one direction goes with them, any other with its text.
function ways(m) {
  const own = m.tokens.map((token) => (RIGHT_TO_LEFT.test(token) ? 1 : LEFT_TO_RIGHT.test(token) ? 0 : -1));
  if (!own.includes(1)) return null;
  const texts = m.groups.map((_, g) => own.find((way, t) => m.group[t] === g && (way === 1 || (way === 0 && /\p{L}/u.test(m.tokens[t])))) ?? 0);
  const base = Uint8Array.from(m.group, (g) => texts[g]), run = base.slice();
  for (let t = 0; t < m.T; t++) {
    if (own[t] >= 0) run[t] = own[t];
    else if (t && m.sequence[t] === m.sequence[t - 1] && own.find((way, i) => i > t && way >= 0) === run[t - 1]) run[t] = run[t - 1];
  }
  return { base, run };
}

function thousandth(value) {
  return value < 0 ? NaN : value / 1000;
}

// For each expert the routes that found a slot and those that did not, both in the order in which the policy served them.
function listBuffers(m) {
  m.held = Array.from({ length: m.E }, () => []);
  m.lost = Array.from({ length: m.E }, () => []);
  m.owner = new Int16Array(m.T).fill(-1);
  m.ownerWeight = new Float32Array(m.T);
  m.state = new Array(m.T);
  m.total = 0;
  m.droppedTokens = 0;
  for (let t = 0; t < m.T; t++) {
    let asked = 0, found = 0;
    for (let r = t * m.K; r < (t + 1) * m.K; r++) {
      const e = m.expert[r];
      if (e < 0) continue;
      asked++;
      (m.kept[r] ? m.held : m.lost)[e].push(r);
      if (m.kept[r] && !found++) {
        m.owner[t] = e;
        m.ownerWeight[t] = m.weight[r];
      }
      if (m.owner[t] < 0) m.owner[t] = e;
    }
    m.total += asked;
    m.state[t] = !asked ? "unrouted" : !found ? "dropped" : found < asked ? "partial" : "kept";
    if (m.state[t] === "dropped") m.droppedTokens++;
    // An expert that was asked but had no room must not lend its colour unless no other expert has the token.
    if (found) m.owner[t] = m.expert[firstKept(m, t)];
  }
  const order = (a, b) => (m.slot[a] - m.slot[b]) || (a - b);
  for (let e = 0; e < m.E; e++) {
    m.held[e].sort(order);
    m.lost[e].sort(order);
  }
  m.load = Float32Array.from(m.held, (held, e) => held.length + m.lost[e].length);
}

function firstKept(m, t) {
  let r = t * m.K;
  while (!m.kept[r] || m.expert[r] < 0) r++;
  return r;
}

export function routesOf(m, t) {
  const routes = [];
  for (let r = t * m.K; r < (t + 1) * m.K; r++) if (m.expert[r] >= 0) routes.push(r);
  return routes;
}

export function tokensOf(m, e) {
  const tokens = new Set();
  for (const r of m.held[e]) tokens.add(Math.floor(r / m.K));
  for (const r of m.lost[e]) tokens.add(Math.floor(r / m.K));
  return tokens;
}

export function tokenOf(m, r) {
  return Math.floor(r / m.K);
}

// Whitespace and control characters get a visible sign; `quiet` says that the sign should recede.
export function glyph(text) {
  if (text === "" || text === "·") return { text: "·", quiet: true };
  if (/^ +$/.test(text)) return { text: "␣".repeat(text.length), quiet: true };
  if (/^\s+$/.test(text)) return { text: signs(text), quiet: true };
  return { text: signs(text), quiet: false };
}

function signs(text) {
  return text.replace(/\r\n|\n|\r/g, "⏎").replace(/\t/g, "⇥").replace(/[\u0000-\u001f\u007f-\u009f]/g, "·");
}

export function nameOf(m, t) {
  if (m.kind === "text") return `“${glyph(m.tokens[t]).text}”`;
  return `${say(m, m.kind === "image" ? "patch" : "point")} ${m.tokens[t]}`;
}

// One sentence per token for screen readers and the live region.
export function describeToken(m, t) {
  const parts = [nameOf(m, t), m.groups[m.group[t]], say(m, "position", { n: m.position[t] + 1 })];
  for (const r of routesOf(m, t)) parts.push(`${describeRoute(m, r)}, ${say(m, "gate")} ${percent(m.probs[t * m.E + m.expert[r]])}`);
  if (m.state[t] === "dropped") parts.push(say(m, "residual"));
  if (m.state[t] === "unrouted") parts.push(say(m, "no_route"));
  return parts.filter(Boolean).join("; ");
}

export function describeRoute(m, r) {
  const n = m.expert[r] + m.base;
  if (!m.kept[r]) return say(m, "lost", { n });
  if (m.C === null || m.slot[r] < 0) return say(m, "kept", { n });
  return say(m, "kept_slot", { n, slot: m.slot[r] + 1, capacity: m.C });
}

export function describeExpert(m, e) {
  const share = m.total ? m.load[e] / m.total : NaN;
  const parts = [say(m, "expert", { n: e + m.base }), say(m, "routes", { n: m.load[e], total: m.total, share: percent(share) })];
  if (m.C !== null) parts.push(say(m, "filled", { n: m.held[e].length, capacity: m.C }));
  if (m.lost[e].length) parts.push(say(m, "dropped_n", { n: m.lost[e].length }));
  if (m.dead && m.dead[e]) parts.push(say(m, "dead"));
  return parts.join("; ");
}

// The tokens from `first` up to `end`, which stand in one line, in the order in which they are seen from left to right.
export function inSight(m, first, end) {
  const order = Array.from({ length: end - first }, (_, i) => first + i);
  if (!m.way) return order;
  const whole = m.way.base[first], runs = [];
  for (const t of order) {
    if (runs.length && m.way.run[t] === m.way.run[t - 1]) runs[runs.length - 1].push(t);
    else runs.push([t]);
  }
  for (const run of runs) if (m.way.run[run[0]]) run.reverse();
  return (whole ? runs.reverse() : runs).flat();
}
