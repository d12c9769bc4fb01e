// One view per mounted element: made at the first update, fed with each, stopped when the element has left the page.

// make(root) -> view; receive(view, data); view.stop(); view.recolour(), where it draws: the page's colours have changed.  Returns what a component's module hands to Streamlit.
export function mount(make, receive) {
  const views = new WeakMap();
  return (component) => {
    const root = component.parentElement.querySelector(".mv");
    let view = views.get(root);
    if (!view) views.set(root, (view = withTheme(make(root), root)));
    view.send = component.setStateValue;
    receive(view, component.data);
    // Streamlit also calls this for an update that the next one overtook; then the element is still on the page and stays alive.
    return () => requestAnimationFrame(() => {
      if (root.isConnected) return;
      view.stop();
      views.delete(root);
    });
  };
}

// The system turns dark, or a contrast theme on, at any time: no update need come for that. No event tells when a view has the new colours, so
// the invisible part of it that has a transition does.
function withTheme(view, root) {
  if (!view.recolour) return view;
  const forced = matchMedia("(forced-colors: active)"), stop = view.stop;
  root.addEventListener("transitionend", (event) => event.target.matches(".live") && view.recolour());
  forced.addEventListener("change", view.recolour);
  view.stop = () => {
    forced.removeEventListener("change", view.recolour);
    stop();
  };
  return view;
}
