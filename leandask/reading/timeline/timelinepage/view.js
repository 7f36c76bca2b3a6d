// View: the range of time that is visible.

const margin = Math.max((data.end - data.start) * 0.01, data.width);
const FULL = [data.start - margin, data.end + margin];
const LEAST = Math.min(FULL[1] - FULL[0], Math.max(4 * data.width, 10));
let view = FULL, cursor = null, brush = null, queued = false;
const plots = [];

const show = (from, to) => {
  const length = Math.min(Math.max(to - from, LEAST), FULL[1] - FULL[0]);
  const middle = (from + to) / 2;
  from = Math.min(Math.max(middle - length / 2, FULL[0]), FULL[1] - length);
  view = [from, from + length];
  if (length >= (FULL[1] - FULL[0]) * 0.9999) view = FULL;
  redraw();
};
const reset = () => { brush = null; show(...FULL); };
const zoom = (factor, at = (view[0] + view[1]) / 2) =>
  show(at - (at - view[0]) * factor, at + (view[1] - at) * factor);
const move = share => {
  const by = (view[1] - view[0]) * share;
  const to = Math.min(Math.max(by, FULL[0] - view[0]), FULL[1] - view[1]);
  show(view[0] + to, view[1] + to);
};
const redraw = () => {
  if (queued) return;
  queued = true;
  requestAnimationFrame(() => {
    queued = false;
    for (const plot of plots) plot.paint();
    describeView();
  });
};

let described = "";
const describeView = () => {
  const key = view.join();
  if (key === described) return;
  described = key;
  const whole = view === FULL;
  const [from, to] = whole ? [data.start, data.end] : view.map(Math.round);
  const output = byId("visible");
  output.dataset.from = from;
  output.dataset.to = to;
  // The day is shown once where both ends are of one day.
  const sameDay = clock(from).slice(0, 10) === clock(to).slice(0, 10);
  output.replaceChildren(
    `${clock(from)} – ${sameDay ? clock(to).slice(11) : clock(to)} `,
    make("span", span(to - from)),
  );
  byId("reset").disabled = byId("out").disabled = whole;
  byId("earlier").disabled = view[0] <= FULL[0];
  byId("later").disabled = view[1] >= FULL[1];
  byId("in").disabled = view[1] - view[0] <= LEAST;
  listErrors(from, to);
  listLosses(from, to);
};
