// How every view says something: its labels with the values filled in, shares, numbers. `owner.words` holds the translated labels.

export function say(owner, word, values = {}) {
  return (owner.words[word] ?? word).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

// A share of 1 with one decimal; all and nothing are exact and have none. What is not known is a dash.
export function percent(x) {
  if (!Number.isFinite(x)) return "–";
  const p = x * 100;
  return `${p >= 99.95 || p === 0 ? p.toFixed(0) : p.toFixed(1)} %`;
}

// With the minus sign (U+2212) that the rest of the page uses, and never "−0.00".
export function decimal(x, digits) {
  const text = Math.abs(x).toFixed(digits);
  return x < 0 && Number(text) ? `\u2212${text}` : text;
}

// Thousands apart by a narrow space, as the page's step counter has them.
export function whole(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

// Only what changed is written: a reader's selection in the rest stays. What a translator put in its place counts as changed.
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
