// The rules of being the router: which token stands in which slot, what that costs, and how good it is between chance and the best.
export const NONE = -1;

// slots[e][s]: token there, or NONE.  Tokens in no slot are left out.
export function emptySlots(nExperts, nSlots) {
  return Array.from({ length: nExperts }, () => Array(nSlots).fill(NONE));
}

// Expert of each token, NONE where it has none.
export function assignment(slots, nTokens) {
  const found = Array(nTokens).fill(NONE);
  slots.forEach((row, expert) => row.forEach((token) => token !== NONE && (found[token] = expert)));
  return found;
}

export function placeOf(slots, token) {
  for (const [expert, row] of slots.entries()) {
    const slot = row.indexOf(token);
    if (slot !== -1) return { expert, slot };
  }
  return null;
}

// Where a token goes that is sent to an expert: the slot that is named, else the first free one. Who stands there already takes the place that
// the token comes from. Null where the expert is full and no slot is named.
export function put(slots, token, expert, slot = slots[expert].indexOf(NONE)) {
  const from = placeOf(slots, token);
  if (from && from.expert === expert && (slot === -1 || from.slot === slot)) return slots;
  if (slot === -1) return null;
  const after = slots.map((row) => [...row]), other = after[expert][slot];
  if (from) after[from.expert][from.slot] = other;
  after[expert][slot] = token;
  return after;
}

export function takeOut(slots, token) {
  return slots.map((row) => row.map((one) => (one === token ? NONE : one)));
}

// Mean loss: losses[t][e], last column: left out.
export function lossOf(losses, experts) {
  return losses.reduce((sum, row, t) => sum + row[experts[t] === NONE ? row.length - 1 : experts[t]], 0) / losses.length;
}

// 0: as good as chance, 1: the best that is possible.
export function scoreOf(loss, random, best) {
  return random > best ? (random - loss) / (random - best) : 0;
}
