// Memory: the RSS of each scheduler over time, and its limit.

const curves = data.schedulers.filter(run => run.memory[0].length).map(run => ({
  ...run, times: run.memory[0].map(ms => data.start + ms), sizes: run.memory[1],
}));
// A limit is drawn if the RSS comes near it: else the curve would be flat.
const FARTHEST_LIMIT = 4;

const sizesBetween = (curve, from, to) =>
  curve.sizes.filter((_, i) => from <= curve.times[i] && curve.times[i] <= to);

const drawCurve = (plot, { times, sizes }, y) => {
  const context = plot.context;
  context.beginPath();
  times.forEach((ms, i) => context.lineTo(plot.x(ms), y(sizes[i])));
  context.strokeStyle = colorOf("--accent");
  context.lineWidth = 1.5;
  context.stroke();
  context.lineTo(plot.x(times.at(-1)), plot.baseline);
  context.lineTo(plot.x(times[0]), plot.baseline);
  context.closePath();
  context.fillStyle = colorOf("--lane");
  context.globalAlpha = 0.5;
  context.fill();
  context.globalAlpha = 1;
};

const drawLimit = (plot, { first, end, limit }, y) => {
  const context = plot.context, at = Math.round(y(limit)) + 0.5;
  context.strokeStyle = colorOf("--bad");
  context.setLineDash([6, 4]);
  context.beginPath();
  context.moveTo(plot.x(first), at);
  context.lineTo(plot.x(end), at);
  context.stroke();
  context.setLineDash([]);
};

const drawMemory = plot => {
  const context = plot.context;
  const shown = curves.filter(run => run.first <= view[1] && view[0] <= run.end);
  const most = Math.max(1, ...shown.map(curve => Math.max(0, ...sizesBetween(curve, ...view))));
  const limits = shown.filter(run => run.limit !== null);
  const near = limits.filter(run => run.limit <= FARTHEST_LIMIT * most);
  const top = Math.max(most, ...near.map(run => run.limit));
  const [unit, size] = unitOf(top);
  const yOf = plot.drawNumberAxis(top / size, 22), y = bytes => yOf(bytes / size);
  for (const curve of shown) drawCurve(plot, curve, y);
  for (const run of near) drawLimit(plot, run, y);
  const last = limits.at(-1);
  context.fillStyle = colorOf("--soft");
  context.textAlign = "left";
  const limit = last ? `, limit ${formatSize(last.limit)}` : "";
  context.fillText(`${unit}${limit}`, plot.left + 6, 14);
};

const describeMemory = ms => curves
  .filter(({ times }) => times[0] <= ms && ms <= times.at(-1))
  .slice(-3)
  .map(({ times, sizes, limit }) => {
    const i = times.findLastIndex(each => each <= ms);
    const of = limit === null ? "" : ` of ${formatSize(limit)}`;
    return `RSS ${formatSize(sizes[i])}${of} at ${isoTime(times[i])}`;
  });

if (curves.length) {
  const text = "Memory of the scheduler over time, and its limit";
  new Plot(byId("memory"), text, 180 + AXIS, drawMemory, { fades: true, describe: describeMemory });
} else {
  const option = "--event-log";
  const text = `Not known: no samples were recorded. A scheduler with ${option} records them.`;
  byId("memory").append(makeElement("p", text, "hint"));
}
