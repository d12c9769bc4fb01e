// Hover, focus, tap and keys: what the reader points at, in the text, the buffers or the grid, becomes the view's active token
// or expert. Hover and focus pass; a click or Enter pins, and Streamlit is told; Escape lets go.
import { neighbour } from "./batch.js";
import { describeExpert, describeToken, tokenOf } from "./model.js";

export function listen(view) {
  const { body } = view;
  body.addEventListener("pointermove", (e) => e.pointerType !== "touch" && point(view, "hover", under(view, e)));
  body.addEventListener("pointerleave", () => point(view, "hover", null));
  body.addEventListener("click", (e) => {
    const keyboard = e.detail === 0, row = e.composedPath().find((n) => n.dataset && n.dataset.e !== undefined);
    const to = keyboard && row ? { kind: "expert", index: Number(row.dataset.e) } : under(view, e);
    view.focus = null;
    if (to || view.pinned) pin(view, to);
  });
  body.addEventListener("focusin", (e) => {
    const to = focused(e);
    if (to && to.kind === "token") rove(view, to.index);
    if (!to || !e.target.matches?.(":focus-visible")) return;
    point(view, "focus", to);
    const text = to.kind === "token" ? describeToken(view.model, to.index) : describeExpert(view.model, to.index);
    if (to.kind === "token") e.target.setAttribute("aria-label", text);
    view.live.textContent = text;
  });
  body.addEventListener("focusout", (e) => {
    if (e.target.dataset.t !== undefined && view.model.kind === "text") e.target.removeAttribute("aria-label");
    point(view, "focus", null);
  });
  body.addEventListener("keydown", (e) => keys(view, e));
  view.batch.node.addEventListener("scroll", () => view.mark(), { passive: true });
  view.experts.node.addEventListener("scroll", () => view.mark(), { passive: true });
  view.grid.node.addEventListener("scroll", () => view.mark(), { passive: true });
}

function point(view, slot, to) {
  const same = (a, b) => (!a && !b) || (a && b && a.kind === b.kind && a.index === b.index);
  if (same(view[slot], to)) return;
  const before = view.active();
  view[slot] = to;
  if (!same(before, view.active())) view.highlight();
}

function pin(view, to) {
  const same = to && view.pinned && view.pinned.kind === to.kind && view.pinned.index === to.index;
  view.pinned = same ? null : to;
  view.highlight();
  view.send("selected", view.pinned);
}

function under(view, event) {
  const path = event.composedPath();
  const span = path.find((n) => n.dataset && n.dataset.t !== undefined), row = path.find((n) => n.dataset && n.dataset.e !== undefined);
  if (span) return { kind: "token", index: Number(span.dataset.t) };
  if (path.includes(view.grid.canvas)) {
    const r = view.grid.canvas.getBoundingClientRect(), t = view.grid.at(event.clientX - r.left, event.clientY - r.top);
    return t < 0 ? null : { kind: "token", index: t };
  }
  if (!row) return null;
  const r = view.experts.inner.getBoundingClientRect(), route = view.experts.routeAt(event.clientX - r.left, event.clientY - r.top);
  return route >= 0 ? { kind: "token", index: tokenOf(view.model, route) } : { kind: "expert", index: Number(row.dataset.e) };
}

function focused(event) {
  const d = event.target.dataset || {};
  if (d.t !== undefined) return { kind: "token", index: Number(d.t) };
  return d.e !== undefined ? { kind: "expert", index: Number(d.e) } : null;
}

function keys(view, e) {
  if (e.key === "Escape") {
    point(view, "hover", null);
    point(view, "focus", null);
    if (view.pinned) pin(view, null);
    return;
  }
  const at = focused(e);
  if (!at || at.kind !== "token") return;
  if (e.key === "Enter" || e.key === " ") {
    e.preventDefault();
    return pin(view, at);
  }
  if (!/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(e.key)) return;
  e.preventDefault();
  const to = neighbour(view.batch, at.index, e.key);
  view.batch.spans[to].focus();
}

// One token at a time is in the tab order: the one that had the focus last.
function rove(view, t) {
  view.batch.spans.forEach((span, i) => span.tabIndex !== (i === t ? 0 : -1) && (span.tabIndex = i === t ? 0 : -1));
}
