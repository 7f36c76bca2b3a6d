// Errors over time, and the list of those in view.

// Sum the values of visible bins by bars of at least four pixels. A bar starts at a
// multiple of its width. Return the width, and the sums by the bars' starts.
const sumByBar = (plot, values) => {
  let width = data.width;
  const pixel = (view[1] - view[0]) / plot.plotWidth;
  while (width < 4 * pixel) width *= 2;
  const sums = new Map(), [from, to] = visibleBins();
  for (let i = Math.max(from - 1, 0); i < to; i++) {
    const start = Math.floor(starts[i] / width) * width;
    if (values[i]) sums.set(start, (sums.get(start) || 0) + values[i]);
  }
  return [width, sums];
};

const drawErrors = plot => {
  const context = plot.context, [width, sums] = sumByBar(plot, data.flows[data.errors]);
  const y = plot.drawNumberAxis(Math.max(0, ...sums.values()), 22);
  context.fillStyle = colorOf("--erred");
  for (const [start, n] of sums) {
    const a = plot.x(start), b = plot.x(start + width);
    context.fillRect(a, y(n), Math.max(b - a - 0.5, 1.5), plot.baseline - y(n));
  }
  context.fillStyle = colorOf("--soft");
  context.textAlign = "left";
  context.fillText(`per ${formatDuration(width)}`, plot.left + 6, 14);
};

if (data.flows[data.errors].some(Boolean)) {
  const what = data.errors === "failed" ? "Tasks that erred" : "Transitions into erred";
  const text = `${what} over time; the list below names them`;
  const plot = new Plot(byId("erred"), text, 96 + AXIS, drawErrors, {
    describe: ms => {
      const [width, sums] = sumByBar(plot, data.flows[data.errors]);
      const start = Math.floor(ms / width) * width;
      const number = formatNumber(sums.get(start) || 0);
      return [`${number} erred in ${formatDuration(width)} from ${isoTime(start)}`];
    },
  });
} else {
  const known = data.runs || ["finished", "moved"].some(name => data.flows[name].some(Boolean));
  const text = known ? "No task erred." : "Not known: neither transitions nor runs were recorded.";
  byId("erred").append(makeElement("p", text, "hint"));
}

// Marks that a list shows at once; zooming in shows the others.
const LISTED = 100;

// Show marks as a list: a time, a name and a message each.
const showMarks = (element, entries) => {
  entries.sort(([a], [b]) => a - b);
  const items = entries.slice(0, LISTED).map(([ms, name, message]) => {
    const item = makeElement("li");
    const time = makeElement("time", clockTime(ms));
    time.dateTime = isoTime(ms);
    item.append(time, makeElement("b", name), makeElement("span", message));
    return item;
  });
  const more = entries.length - LISTED;
  if (more > 0) items.push(makeElement("li", `… ${formatNumber(more)} more here: zoom in`));
  element.replaceChildren(...items);
  element.hidden = !items.length;
};

// Without the key, with which the message of a transition begins: it has a column.
const withoutKey = (key, message) =>
  key && message.startsWith(`${key}: `) ? message.slice(key.length + 2) : message;
const listErrors = (from, to) => showMarks(
  byId("erred-marks"),
  marksBetween(data.marks[data.errors], from, to)
    .map(([ms, key, message]) => [ms, key, withoutKey(key, message)]),
);
