// What a panel does not show, in numbers: "+ 48 more" at its lower edge, which leads there. The panel also scrolls by itself.
import { put, say } from "../shared/words.js";
import { element } from "../shared/theme.js";

const EDGE = 4;  // pixels of a row that may be out of view before it counts as hidden

// bottoms(): the lower edge of each row, image or token of the panel, in pixels from the top of its content.
export function makeMore(view, panel, bottoms) {
  const node = element("button", "more");
  node.type = "button";
  node.hidden = true;
  node.dataset.picture = "no";
  panel.append(node);
  const update = () => {
    const edge = panel.scrollTop + panel.clientHeight + EDGE, n = panel.clientHeight ? bottoms().filter((at) => at > edge).length : 0;
    node.hidden = !n;
    if (n) put(node, `↓ ${say(view.model, "more", { n })}`);
  };
  node.addEventListener("click", (event) => {
    event.stopPropagation();
    panel.scrollBy({ top: panel.clientHeight * 0.8, behavior: view.motion ? "smooth" : "auto" });
  });
  panel.addEventListener("scroll", update, { passive: true });
  return update;
}
