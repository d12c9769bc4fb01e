// One entry of the browser's history for each change that a reader makes. Streamlit makes one for every new query.
{
  const QUICK_MS = 1500, BY_ITSELF = ["run", "acts"];  // words of the address that change without a press
  const push = history.pushState.bind(history);
  let last = "", at = 0;
  addEventListener("popstate", () => { last = ""; }, true);
  history.pushState = (state, title, url) => {
    const to = new URL(url, location.href), now = new URLSearchParams(location.search), next = to.searchParams;
    const changed = [...new Set([...now.keys(), ...next.keys()])].filter((word) => now.get(word) !== next.get(word));
    const words = changed.filter((word) => !BY_ITSELF.includes(word)).join();
    const moves = to.pathname !== location.pathname;
    const drags = words === last && performance.now() - at < QUICK_MS;
    if (!moves && (!now.has("v") || !words || drags)) history.replaceState(state, title, to.href);
    else push(state, title, to.href);
    if (words || moves) [last, at] = [moves || !now.has("v") ? "" : words, performance.now()];
  };
}
