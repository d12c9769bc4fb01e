// A canvas's drawing context, certainly: a browser refuses it only where the element already has one of another kind.

/** @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 * @returns {CanvasRenderingContext2D} */
export function context2d(canvas, settings) {
  const ctx = canvas.getContext("2d", settings);
  if (!ctx) throw new Error("this canvas has no 2D context");
  return ctx;
}
