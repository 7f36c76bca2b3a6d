// Schedulers: a bar for each, from its first to its last record.

const FATES = {
  killed: "no record of a stop: killed after its last record",
  running: "running when the log ends",
  stopped: "stopped",
};

const drawSchedulers = plot => {
  const context = plot.context, y = 6, height = 24;
  for (const run of data.schedulers) {
    const a = plot.x(run.first), b = Math.max(plot.x(run.last), a + 2);
    const killed = run.fate === "killed", end = Math.max(plot.x(run.end), b);
    const known = killed ? b : end;
    if (end < plot.left || a > plot.right) continue;
    if (killed) {
      // It may have run until then, without writing a record.
      context.globalAlpha = 0.35;
      context.fillStyle = colorOf("--lane-lost");
      context.fillRect(known, y, end - known, height);
      context.globalAlpha = 1;
    }
    context.fillStyle = colorOf(killed ? "--lane-lost" : "--lane");
    context.fillRect(a, y, known - a, height);
    context.fillStyle = colorOf("--accent");
    if (run.started !== null) context.fillRect(plot.x(run.started) - 1, y, 3, height);
    context.fillStyle = colorOf(killed ? "--bad" : "--soft");
    if (run.fate !== "running") context.fillRect(known - 2, y, 3, height);
    const from = Math.max(a, plot.left) + 9;
    const name = run.address || run.id, fate = run.fate === "running" ? "" : ` · ${run.fate}`;
    const room = Math.min(known, plot.right) - from - 8;
    drawLabel(plot, from, y + 16, room, name, fate);
  }
};

const describeSchedulers = ms => data.schedulers
  .filter(run => run.first <= ms && ms <= run.end)
  .slice(-3)
  .map(run => [run.id, run.address, run.verdict || FATES[run.fate], run.reason].filter(Boolean).join(" · "));

new Plot(
  byId("schedulers"), "Schedulers over time; the table below lists them",
  36 + AXIS, drawSchedulers, { describe: describeSchedulers },
);
