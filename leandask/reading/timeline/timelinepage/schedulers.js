// Schedulers: a bar for each.

const FATES = {
  killed: "no record of a stop: killed after its last record",
  running: "running when the log ends",
  stopped: "stopped",
};
const drawSchedulers = plot => {
  const c = plot.c, y = 6, height = 24;
  for (const run of data.schedulers) {
    const a = plot.x(run.first), b = Math.max(plot.x(run.last), a + 2);
    const killed = run.fate === "killed", end = Math.max(plot.x(run.end), b);
    const known = killed ? b : end;
    if (end < plot.left || a > plot.left + plot.plotWidth) continue;
    if (killed) {
      // It may have run until then, without a record.
      c.globalAlpha = 0.35;
      c.fillStyle = color("--lane-lost");
      c.fillRect(known, y, end - known, height);
      c.globalAlpha = 1;
    }
    c.fillStyle = color(killed ? "--lane-lost" : "--lane");
    c.fillRect(a, y, known - a, height);
    c.fillStyle = color("--accent");
    if (run.started !== null) c.fillRect(plot.x(run.started) - 1, y, 3, height);
    c.fillStyle = color(killed ? "--bad" : "--soft");
    if (run.fate !== "running") c.fillRect(known - 2, y, 3, height);
    const from = Math.max(a, plot.left) + 9;
    const name = run.address || run.id, fate = run.fate === "running" ? "" : ` · ${run.fate}`;
    label(c, from, y + 16, Math.min(known, plot.left + plot.plotWidth) - from - 8, name, fate);
  }
};
// A text, and what must not be cut, in so many pixels.
const label = (c, x, y, room, name, rest = "") => {
  c.textAlign = "left";
  c.fillStyle = color("--text");
  name = name.slice(0, 120);
  if (c.measureText(name + rest).width > room) {
    const letters = Math.floor(room / 6.6) - rest.length - 1;
    name = letters >= 6 ? `${name.slice(0, letters)}…` : "";
    if (!name) rest = rest.slice(3);
  }
  if (c.measureText(name + rest).width <= room) c.fillText(name + rest, x, y);
};
new Plot(byId("schedulers"), "Schedulers over time; the table below lists them", 36 + AXIS, drawSchedulers, {
  describe: ms => data.schedulers.filter(run => run.first <= ms && ms <= run.end).slice(-3).map(run =>
    [run.id, run.address, FATES[run.fate], run.reason].filter(Boolean).join(" · ")),
});
