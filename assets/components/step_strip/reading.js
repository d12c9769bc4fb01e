// Which card is being read. The line where one reads wanders from the top of the room below the strip to its end as the page is scrolled
// from its beginning to its end: so the first and the last cards, which may never reach one fixed line, have their turn, too.

// top, bottom: the room in which cards are seen;  scrolled, most: how far the page is scrolled, and can be.
export function readingLine(top, bottom, scrolled, most) {
  const share = most > 0 ? Math.min(1, Math.max(0, scrolled / most)) : 0;
  return top + share * (bottom - top);
}

// places: [{ name, top }] of the cards in the order of the page. The one that the line is in: the last that begins above it.
export function cardAt(places, line) {
  const begun = places.filter(({ top }) => top <= line);
  return (begun.at(-1) ?? places[0])?.name ?? null;
}

// What a press or the focus has named stays, also while the page moves there by itself, until the reader scrolls on.
export function makeReading() {
  return { card: null, held: false };
}

export function hold(reading, card) {
  Object.assign(reading, { card, held: true });
}

// The reader has begun to scroll.
export function release(reading) {
  reading.held = false;
}

// The line is in this card now; null: there are no cards.
export function scrolled(reading, card) {
  if (!reading.held && card !== null) reading.card = card;
}
