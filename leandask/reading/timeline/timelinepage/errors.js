// Errors over time, and the list of those in view.

// Bars of at least so many pixels, of bins that begin at multiples of their width.
const bars = (plot, values) => {
  let width = data.width;
  const pixel = (view[1] - view[0]) / plot.plotWidth;
  while (width < 4 * pixel) width *= 2;
  const found = new Map(), [from, to] = visibleBins();
  for (let i = Math.max(from - 1, 0); i < to; i++) {
    const start = Math.floor(starts[i] / width) * width;
    if (values[i]) found.set(start, (found.get(start) || 0) + values[i]);
  }
  return [width, found];
};
const drawErrors = withScale(plot => {
  const c = plot.c, [width, found] = bars(plot, data.flows.erred);
  const y = plot.scale(Math.max(0, ...found.values()), 22);
  c.fillStyle = color("--erred");
  for (const [start, n] of found) {
    const a = plot.x(start), b = plot.x(start + width);
    c.fillRect(a, y(n), Math.max(b - a - 0.5, 1.5), plot.floor - y(n));
  }
  c.fillStyle = color("--soft");
  c.textAlign = "left";
  c.fillText(`per ${span(width)}`, plot.left + 6, 14);
});
if (data.flows.erred.some(Boolean)) {
  const errors = new Plot(byId("erred"), "Transitions into erred over time; the list below names them", 96 + AXIS, drawErrors, {
    describe: ms => {
      const [width, found] = bars(errors, data.flows.erred);
      const start = Math.floor(ms / width) * width;
      return [`${count(found.get(start) || 0)} into erred in ${span(width)} from ${iso(start)}`];
    },
  });
} else {
  const known = ["finished", "moved"].some(name => data.flows[name].some(Boolean));
  byId("erred").append(make("p", known
    ? "No task erred." : "Not known: no transitions were recorded.", "hint"));
}

const list = (element, entries, total) => {
  const items = entries.slice(0, LISTED).map(([ms, name, message]) => {
    const item = make("li");
    const time = make("time", clock(ms));
    time.dateTime = iso(ms);
    item.append(time, make("b", name), make("span", message));
    return item;
  });
  if (entries.length > LISTED)
    items.push(make("li", `… ${count(entries.length - LISTED)} more here: zoom in`));
  element.replaceChildren(...items);
  element.hidden = !items.length;
};
const inView = (marks, from, to) => marks.filter(([ms]) => from <= ms && ms <= to);
const byTime = (a, b) => a[0] - b[0];
// The message of a transition begins with the key, which has a column.
const bare = (name, message) =>
  name && message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message;
const listErrors = (from, to) => list(byId("erred-marks"), inView(data.marks.erred, from, to)
  .map(([ms, name, message]) => [ms, name, bare(name, message)]).sort(byTime));
