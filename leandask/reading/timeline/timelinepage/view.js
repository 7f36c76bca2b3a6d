// View: the range of time that is visible, and its controls.

// Next to the first and the last record, so that both can be seen.
const margin = Math.max((data.end - data.start) * 0.01, data.width);
const FULL = [data.start - margin, data.end + margin];
// Length of the shortest range. Runs of tasks have microseconds.
const LEAST = Math.min(FULL[1] - FULL[0], data.runs ? 1 : Math.max(4 * data.width, 10));
let view = FULL;
// The range that is being dragged over, and the time that is pointed at, or null.
let brush = null, cursor = null;
// All plots; each adds itself.
const plots = [];

const showRange = (from, to) => {
  const length = Math.min(Math.max(to - from, LEAST), FULL[1] - FULL[0]);
  const middle = (from + to) / 2;
  from = Math.min(Math.max(middle - length / 2, FULL[0]), FULL[1] - length);
  view = [from, from + length];
  if (length >= (FULL[1] - FULL[0]) * 0.9999) view = FULL;
  redraw();
};
const showAll = () => { brush = null; showRange(...FULL); };
const zoomBy = (factor, at = (view[0] + view[1]) / 2) =>
  showRange(at - (at - view[0]) * factor, at + (view[1] - at) * factor);
const moveBy = share => {
  const wanted = (view[1] - view[0]) * share;
  const shift = Math.min(Math.max(wanted, FULL[0] - view[0]), FULL[1] - view[1]);
  showRange(view[0] + shift, view[1] + shift);
};

let redrawIsQueued = false;
const redraw = () => {
  if (redrawIsQueued) return;
  redrawIsQueued = true;
  requestAnimationFrame(() => {
    redrawIsQueued = false;
    for (const plot of plots) plot.paint();
    describeView();
  });
};

let described = "";
const describeView = () => {
  // If set again, a screen reader would repeat it.
  const key = view.join();
  if (key === described) return;
  described = key;
  const whole = view === FULL;
  const [from, to] = whole ? [data.start, data.end] : view.map(Math.round);
  const output = byId("visible");
  output.dataset.from = from;
  output.dataset.to = to;
  // If both ends are on the same day, it is shown once.
  const sameDay = clockTime(from).slice(0, 10) === clockTime(to).slice(0, 10);
  output.replaceChildren(
    `${clockTime(from)} – ${sameDay ? clockTime(to).slice(11) : clockTime(to)} `,
    makeElement("span", formatDuration(to - from)),
  );
  byId("reset").disabled = byId("out").disabled = whole;
  byId("earlier").disabled = view[0] <= FULL[0];
  byId("later").disabled = view[1] >= FULL[1];
  byId("in").disabled = view[1] - view[0] <= LEAST;
  listErrors(from, to);
  listLosses(from, to);
};

byId("earlier").addEventListener("click", () => moveBy(-0.5));
byId("later").addEventListener("click", () => moveBy(0.5));
byId("in").addEventListener("click", () => zoomBy(0.5));
byId("out").addEventListener("click", () => zoomBy(2));
byId("reset").addEventListener("click", showAll);
addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  hideCursor();
  showAll();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colors = {};
  redraw();
});
// Hidden in the markup: without scripts the buttons do nothing.
byId("toolbar").hidden = false;
redraw();
