// Gestures: a finger, or the mouse with Shift, moves the range; two fingers zoom it.

const addGestures = plot => {
  const canvas = plot.canvas;
  // Where each pointer that is down was last, in pixels from the left of the canvas.
  const pointers = new Map();
  const xOf = event => event.clientX - canvas.getBoundingClientRect().left;
  canvas.addEventListener("pointerdown", event => {
    if (!isGesture(event)) return;
    pointers.set(event.pointerId, xOf(event));
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", event => {
    if (!pointers.has(event.pointerId)) return;
    const before = [...pointers.values()];
    pointers.set(event.pointerId, xOf(event));
    const now = [...pointers.values()];
    hideCursor();
    if (now.length === 1) moveBy((before[0] - now[0]) / plot.plotWidth);
    else if (now.length === 2) pinch(plot, before, now);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"])
    canvas.addEventListener(name, event => pointers.delete(event.pointerId));
};

const isGesture = event => !event.button && (event.pointerType === "touch" || event.shiftKey);

// The times below two fingers stay below them.
const pinch = (plot, before, now) => {
  const distance = Math.abs(now[1] - now[0]);
  if (distance < 10) return;
  const times = before.map(x => plot.time(x));
  const perPixel = Math.abs(times[1] - times[0]) / distance;
  const from = times[0] - (now[0] - plot.left) * perPixel;
  showRange(from, from + perPixel * plot.plotWidth);
};
