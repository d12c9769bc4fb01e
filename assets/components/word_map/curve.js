// A line between two boxes as the path of an SVG: from edge to edge, bent so that it is told from those of other pairs.

/** @typedef {{ x: number, y: number, width: number, height: number }} Box
 * @param {Box} a @param {Box} b */
export function curve(a, b) {
  const [from, to] = a.y <= b.y ? [a, b] : [b, a];
  const x1 = from.x + from.width / 2, x2 = to.x + to.width / 2;
  const sameRow = to.y < from.y + from.height;
  // in one row: an arc above it; else from the lower edge of the upper one to the upper edge of the lower one
  if (sameRow) {
    const rise = Math.min(26, 8 + Math.abs(x2 - x1) / 12);
    return path(x1, from.y, x1, from.y - rise, x2, to.y - rise, x2, to.y);
  }
  const y1 = from.y + from.height, y2 = to.y, bend = Math.max(12, (y2 - y1) / 2);
  return path(x1, y1, x1, y1 + bend, x2, y2 - bend, x2, y2);
}

function path(x1, y1, ax, ay, bx, by, x2, y2) {
  const [a, b, c, d, e, f, g, h] = [x1, y1, ax, ay, bx, by, x2, y2].map((value) => +value.toFixed(1));
  return `M${a} ${b}C${c} ${d} ${e} ${f} ${g} ${h}`;
}
