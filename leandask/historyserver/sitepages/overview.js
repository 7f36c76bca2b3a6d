// Overview: memory, workers and tasks over time, verdict, configuration.
const STATES = ["memory", "processing", "queued", "waiting", "no_worker", "erred"];

function overview(found) {
  const { samples, counts } = found.curves;
  const limit = (samples.limit || []).find((n) => n) || found.start.limit;
  const perSecond = (name) => counts[name].map((n) => (n * 1000) / counts.width);
  const problems = Object.entries(found.problems).filter(([kind]) => kind !== "scheduler");
  const charts = [
    chart("Memory of the scheduler", samples.ms, [["RSS", samples.rss || []]], bytes, limit),
    chart("Tasks by state", samples.ms,
      STATES.filter((s) => samples[`tasks_${s}`]).map((s) => [s.replace("_", "-"), samples[`tasks_${s}`]]), number),
    samples.workers && chart("Workers", samples.ms, [["workers", samples.workers]], number),
    !samples.workers && chart("Workers", counts.ms, [["workers", counts.workers]], number),
    chart("Runs of tasks a second", counts.ms,
      [["finished", perSecond("finished")], ["erred", perSecond("erred")]],
      (n) => (n || 0).toFixed(1)),
  ].filter((each) => each);
  return [
    found.verdict && el("p", { class: "problem" }, found.verdict),
    ...charts,
    charts.length ? null : el("p", { class: "soft" }, "There are no samples in this log."),
    found.n_pressures ? el("h2", null, `Memory pressure, ${number(found.n_pressures)} times`) : null,
    ...found.pressures.slice(-10).map((each) => el("details", null,
      el("summary", null, `${time(each.timestamp)} ${each.level || ""} RSS ${bytes(each.rss)} of ${bytes(each.limit)}`),
      el("pre", null, (each.holders || []).join("\n")))),
    el("h2", null, "Start and configuration"),
    fields(Object.entries(found.start).map(([name, value]) =>
      [name, name === "limit" && value ? bytes(value) : value])),
    found.settings.length ? el("pre", null, found.settings.join("\n")) : null,
    Object.keys(found.stop).length ? el("h2", null, "Stop") : null,
    fields(Object.entries(found.stop)),
    el("h2", null, "The log"),
    fields([["records", number(found.records)], ["records missing", number(found.missing)],
      ...problems.map(([kind, n]) => [kind, number(n)])]),
  ];
}
