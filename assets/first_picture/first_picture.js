// Draws the recorded picture while the page's own code is still loading, with the very view that will draw it there, and goes when that has.
{
  const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const host = part("first_picture"), text = part("first_picture_data").textContent;
  const { version, source, data } = JSON.parse(text);
  let name = "";
  try {
    name = localStorage.getItem(Object.keys(localStorage).find((key) => key.startsWith("stActiveTheme")) ?? "") ?? "";
  } catch {
    // a browser that blocks cookies has no storage either: then the system's theme it is
  }
  const dark = /dark/i.test(name) || (!/light/i.test(name) && matchMedia("(prefers-color-scheme: dark)").matches);
  host.dataset.theme = dark ? "dark" : "light";
  const view = import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  (globalThis.moeVizScripts ??= new Map()).set(version, view);  // the page need not load it again, see loader.js

  const root = host.attachShadow({ mode: "open" });
  root.append(/** @type {HTMLTemplateElement} */ (host.querySelector("template")).content);
  let gone = false, still = 0;
  const go = () => {
    if (gone) return;
    gone = true;
    clearInterval(watch);
    removeEventListener("moe_viz_drawn", drawn);
    host.remove();
  };
  // The page has drawn it once its own rules are in force, too: they come in a part that the frontend loads by itself.
  const ruled = () => getComputedStyle(document.documentElement).getPropertyValue("--moe-viz-rules") !== "";
  const drawn = ({ detail }) => {
    if (gone || !detail.querySelector(".tok")) return;
    if (ruled()) go();
    else requestAnimationFrame(() => drawn({ detail }));
  };
  // A page that draws something else (it asks for a passphrase, say) has come to rest without that picture.
  const watch = setInterval(() => {
    const at_rest = document.querySelector('[data-testid="stApp"]')?.getAttribute("data-test-script-state") === "notRunning";
    still = at_rest ? still + 1 : 0;
    if (still > 20) go();
  }, 100);
  addEventListener("moe_viz_drawn", drawn);
  addEventListener("popstate", go, { once: true });
  view.then((module) => gone || module.default({ parentElement: root, data, setStateValue() {} }));
}
