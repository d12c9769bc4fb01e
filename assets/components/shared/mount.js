// One view per mounted element: made at the first update, fed with each, stopped when the element has left the page.

// make(root) -> view; receive(view, data); view.stop().  Returns what a component's module hands to Streamlit.
export function mount(make, receive) {
  const views = new WeakMap();
  return (component) => {
    const root = component.parentElement.querySelector(".mv");
    let view = views.get(root);
    if (!view) views.set(root, (view = make(root)));
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
