// Painting: the reader's own points as [x, y, class] on the grid, brush strokes along the pointer's way, and the text that is sent back.
const REACH = 9;
const SEND_MS = 500;
const PATIENCE_MS = 5000;

export function makePaint(view) {
  return { on: false, tool: 0, own: [], known: null, sent: null, sentAt: 0, timer: 0, last: null, full: false, view };
}

export function toText(points) {
  const text = btoa(String.fromCharCode(...points.flat()));
  return text.replaceAll("+", "-").replaceAll("/", "_");
}

// The points to show after an update: one's own while they are being painted or are on their way, else the run's.
export function settle(paint, data, theirs) {
  const changed = paint.known !== null && data.painted !== paint.known && data.painted !== paint.sent;
  paint.known = data.painted;
  if (data.painted === paint.sent || performance.now() - paint.sentAt > PATIENCE_MS) paint.sent = null;
  if (changed) paint.own = theirs;
  return (paint.on || paint.sent !== null) && !changed ? paint.own : theirs;
}

export function start(paint, points) {
  paint.on = true;
  paint.full = false;
  paint.own = points.map((point) => [...point]);
}

export function stop(paint) {
  paint.on = false;
  if (paint.timer) send(paint);
}

// Put down or rub out at a place of the grid; along a stroke, only where the last point is far enough away.
export function touch(paint, x, y, fresh) {
  const far = (a) => (a[0] - x) ** 2 + (a[1] - y) ** 2;
  paint.full = false;
  if (paint.tool === "erase") {
    const rest = paint.own.filter((point) => far(point) > REACH ** 2);
    if (rest.length === paint.own.length) return;
    paint.own = rest;
  } else {
    if (!fresh && paint.last && far(paint.last) < REACH ** 2) return;
    paint.last = [x, y];
    if (paint.own.length >= paint.view.most) {
      paint.full = true;
      return;
    }
    paint.own.push([x, y, paint.tool]);
  }
  soon(paint);
}

export function clear(paint) {
  paint.own = [];
  paint.full = false;
  clearTimeout(paint.timer);
  paint.timer = 0;
}

// A point that lies elsewhere now is sent as a stroke is.
export function moved(paint) {
  soon(paint);
}

function soon(paint) {
  clearTimeout(paint.timer);
  paint.timer = setTimeout(() => send(paint), SEND_MS);
}

// Nothing painted is nothing to train on: the run keeps the data it has until there is a point.
function send(paint) {
  clearTimeout(paint.timer);
  paint.timer = 0;
  const points = toText(paint.own);
  if (!paint.own.length || points === paint.known) return;
  paint.sent = points;
  paint.sentAt = performance.now();
  paint.view.send("painted", { points, stamp: Date.now() + paint.sentAt / 1e6 });
}
