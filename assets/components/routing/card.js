// The card beside the token or expert in question: where it is, every gate as a bar, slot or drop, in words.
import { element, paintChip, rgba } from "../shared/theme.js";
import { describeRoute, nameOf, routesOf, tokensOf } from "./model.js";
import { percent, say } from "../shared/words.js";

const MOST = 8, MOST_NARROW = 4;

export function makeCard(view) {
  const node = element("div", "card");
  node.hidden = true;
  const c = { node };
  c.update = () => {
    const active = view.active();
    node.hidden = !active;
    if (!active) return;
    node.replaceChildren(...(active.kind === "token" ? tokenCard(view, active.index) : expertCard(view, active.index)));
    put(c, view, active);
  };
  return c;
}

function tokenCard(view, t) {
  const m = view.model, routes = routesOf(m, t);
  const head = element("div", "head");
  head.append(element("span", m.kind === "text" ? "name code" : "name", nameOf(m, t)), element("span", "where", [m.groups[m.group[t]], say(m, "position", { n: m.position[t] + 1 })].filter(Boolean).join(" · ")));
  const used = new Map(routes.map((r) => [m.expert[r], r]));
  const order = Array.from({ length: m.E }, (_, e) => e).sort((a, b) => m.probs[t * m.E + b] - m.probs[t * m.E + a]);
  const most = view.narrow() ? MOST_NARROW : MOST;
  const shown = order.filter((e, i) => i < most || used.has(e));
  const bars = element("div", "bars");
  for (const e of shown) {
    const r = used.get(e), p = m.probs[t * m.E + e];
    const remark = r === undefined ? "" : `${say(m, "weight", { w: (m.weight[r] || 0).toFixed(2) })}${m.kept[r] ? "" : " ✕"}`;
    bars.append(...bar(view, e, p, percent(p), remark, r === undefined));
  }
  const lines = routes.map((r) => element("p", "", describeRoute(m, r)));
  if (m.state[t] === "dropped") lines.push(element("p", "strong", say(m, "residual")));
  if (m.state[t] === "unrouted" && m.total) lines.push(element("p", "strong", say(m, "no_route")));
  const rest = order.length - shown.length;
  if (rest) bars.append(element("span", "rest", say(m, "others", { n: rest })));
  return [head, bars, ...lines];
}

function expertCard(view, e) {
  const m = view.model, head = element("div", "head");
  const share = percent(m.total ? m.load[e] / m.total : NaN);
  head.append(chip(view, e), element("span", "name", say(m, "expert", { n: e + m.base })));
  const lines = [element("p", "", say(m, "routes", { n: m.load[e], total: m.total, share }))];
  if (m.C !== null) lines.push(element("p", "", say(m, "filled", { n: m.held[e].length, capacity: m.C })));
  if (m.lost[e].length) lines.push(element("p", "strong", say(m, "dropped_n", { n: m.lost[e].length })));
  const counts = new Map(), tokens = tokensOf(m, e);
  for (const t of tokens) counts.set(m.group[t], (counts.get(m.group[t]) || 0) + 1);
  const ranked = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST);
  if (ranked.length && m.groups.length > 1) {
    lines.push(element("p", "where", say(m, "from_groups")));
    const bars = element("div", "bars groups");
    for (const [g, n] of ranked) bars.append(element("span", "", m.groups[g]), track(n / tokens.size, view.colour(e)), element("span", "value", percent(n / tokens.size)));
    lines.push(bars);
  }
  return [head, ...lines];
}

function bar(view, e, fraction, value, remark, quiet) {
  const label = element("span", "value", value), used = element("span", "used", remark);
  return [chip(view, e), track(fraction, view.colour(e), quiet), label, used];
}

function chip(view, e) {
  const node = element("span", "chip", String(e + view.model.base));
  paintChip(node, e, view.colour(e), view.look);
  return node;
}

function track(fraction, rgb, quiet) {
  const node = element("span", "track"), fill = element("span", "fill");
  fill.style.width = `${Math.max(0, Math.min(1, fraction || 0)) * 100}%`;
  fill.style.background = rgba(rgb, quiet ? 0.45 : 1);
  node.append(fill);
  return node;
}

// Below its token where there is room, else above; never across the panel's border.
function put(c, view, active) {
  const home = view.body.getBoundingClientRect(), anchor = view.anchor(active);
  c.node.classList.toggle("docked", view.narrow());
  const w = c.node.offsetWidth, h = c.node.offsetHeight, gap = 10;
  if (view.narrow()) {
    // Over that half of the text which does not hold the token, so that the experts stay in view.
    const panel = (view.tab === "batch" ? view.batch : view.grid).node.offsetHeight;
    const high = active.kind === "token" && anchor.y + anchor.h / 2 > panel / 2;
    c.node.style.left = "0px";
    c.node.style.top = `${high ? 0 : Math.max(0, panel - h)}px`;
    return;
  }
  const below = anchor.y + anchor.h + gap, above = anchor.y - gap - h;
  let top = below + h <= home.height ? below : above >= 0 ? above : Math.max(0, home.height - h);
  const edge = view.tab === "batch" ? view.batch.node.offsetWidth : home.width;
  let left = Math.max(0, Math.min(anchor.x, edge - w));
  if (active.kind === "expert") {
    left = Math.max(0, anchor.x - w - gap);
    top = Math.max(0, Math.min(anchor.y, home.height - h));
  }
  c.node.style.left = `${Math.round(left)}px`;
  c.node.style.top = `${Math.round(top)}px`;
}
