// The connected parts of the map that one expert owns, and a place inside each of them for its number.

// [{ owner, x, y, share }], x and y in [-1, 1], for every part of at least `least` of the plane; owners count from 1.
export function regions(m, least = 0.012) {
  const { R, owner } = m, seen = new Uint8Array(R * R), found = [];
  for (let start = 0; start < owner.length; start++) {
    if (seen[start] || !owner[start]) continue;
    const part = flood(owner, seen, R, start);
    if (part.length >= least * R * R) found.push({ owner: owner[start], share: part.length / (R * R), ...inside(part, R) });
  }
  return found;
}

function flood(owner, seen, R, start) {
  const part = [start], whose = owner[start];
  seen[start] = 1;
  for (let next = 0; next < part.length; next++) {
    const i = part[next], x = i % R;
    for (const [j, fits] of [[i - 1, x > 0], [i + 1, x < R - 1], [i - R, i >= R], [i + R, i < R * R - R]]) {
      if (fits && !seen[j] && owner[j] === whose) {
        seen[j] = 1;
        part.push(j);
      }
    }
  }
  return part;
}

// The field farthest from the part's border, by peeling it layer by layer; among those of the last layer the one nearest its centre.
function inside(part, R) {
  let rest = new Set(part), last = part;
  while (rest.size) {
    last = [...rest];
    const kept = last.filter((i) => i % R > 0 && i % R < R - 1 && rest.has(i - 1) && rest.has(i + 1) && rest.has(i - R) && rest.has(i + R));
    rest = new Set(kept);
  }
  const mean = (f) => last.reduce((sum, i) => sum + f(i), 0) / last.length;
  const cx = mean((i) => i % R), cy = mean((i) => Math.floor(i / R));
  const far = (i) => (i % R - cx) ** 2 + (Math.floor(i / R) - cy) ** 2;
  const best = last.reduce((a, b) => (far(b) < far(a) ? b : a));
  return { x: ((best % R) + 0.5) * 2 / R - 1, y: (Math.floor(best / R) + 0.5) * 2 / R - 1 };
}
