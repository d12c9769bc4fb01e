// For a file and for paper, panels that scroll show all they hold, every place and width inside them as on screen. Returns the way back; whoever takes
// it before the next frame changes nothing that the reader sees.
export function unfold(view) {
  const panels = [view.batch.node, view.experts.node, view.grid.node].filter((node) => node.clientHeight);
  const nodes = [view.body, ...panels, ...panels.map((node) => node.firstElementChild)];
  const before = nodes.map((node) => [node, node.style.cssText, node.scrollTop]);
  // All are measured before any is changed: a panel that grows would stretch the one beside it.
  const sizes = panels.map((node) => [node, node.scrollHeight, node.firstElementChild.getBoundingClientRect()]);
  for (const [node, height, inner] of sizes) {
    Object.assign(node.firstElementChild.style, { width: `${inner.width}px`, minHeight: `${inner.height}px` });
    Object.assign(node.style, { height: `${height}px`, maxHeight: "none", overflow: "visible", alignSelf: "start" });
  }
  view.body.style.height = "auto";
  return () => before.forEach(([node, style, top]) => {
    node.style.cssText = style;
    node.scrollTop = top;
  });
}
