// One entry of the browser's history for each change that a reader makes. Streamlit makes one for every new query.
{
  const BY_ITSELF = ["run", "acts"];  // words of the address that change without a press
  const KNOB = '[data-testid="stSlider"], [data-testid="stNumberInput"]', SLIDER = '[data-testid="stSlider"]';
  const KNOWS_ITS_PAGES = '[data-testid^="stTopNav"], [data-testid^="stSidebarNav"]';
  const push = history.pushState.bind(history);
  let last = "", knob = null, turns = 0, at = 0;

  // One turn of a knob: a drag of its slider, or all its keys and small buttons until something else is touched.
  function touch(event) {
    const touched = event.target.closest?.(KNOB) ?? null;
    if (touched !== knob || (event.type === "pointerdown" && touched?.matches(SLIDER))) turns += 1;
    knob = touched;
  }
  addEventListener("pointerdown", touch, true);
  addEventListener("focusin", touch, true);

  addEventListener("popstate", (event) => {
    last = "";
    if (document.querySelector(KNOWS_ITS_PAGES)) return;
    event.stopImmediatePropagation();  // Streamlit would take every address for that of the first page
    location.reload();
  }, true);

  history.pushState = (state, title, url) => {
    const to = new URL(url ?? location.href, location.href), now = new URLSearchParams(location.search), next = to.searchParams;
    const changed = [...new Set([...now.keys(), ...next.keys()])].filter((word) => now.get(word) !== next.get(word));
    const words = changed.filter((word) => !BY_ITSELF.includes(word)).join();
    const moves = to.pathname !== location.pathname;
    const same = knob && turns === at && words === last;
    if (!moves && (!now.has("v") || !words || same)) history.replaceState(state, title, to.href);
    else push(state, title, to.href);
    if (words || moves) [last, at] = [moves || !now.has("v") ? "" : words, turns];
  };
}
