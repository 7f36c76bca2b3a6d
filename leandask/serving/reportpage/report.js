// A report, shown section by section.

function showReport(report) {
  showScheduler(report);
  showMemory(report.memory);
  showPresent(report.present);
  showChart(report.rss_samples);
  showHistories(report.histories);
  showRecords(report.stream);
  showEventLog(report.event_log);
  showHousekeeping(report.housekeeping, report.give_back, report.garbage);
  showGuard(report.guard, report.memory);
  showWatched(report.task_stream);
  showWarnings(report.warnings);
}

function showScheduler(report) {
  setText(byId("address"), report.address || report.scheduler_id);
  byId("address").title = printable(report.scheduler_id);
  setText(byId("uptime"), `Up for ${formatDuration(report.uptime_seconds)} with\u00a0`);
  const counts = [
    formatCount(report.workers, "worker"),
    formatCount(report.clients, "client"),
    formatCount(report.tasks, "task"),
  ];
  setText(byId("counts"), counts.join(", "));
  const versions = Object.entries(report.versions);
  setText(byId("versions"), versions.map((version) => version.join(" ")).join(", "));
}

function showMemory({ rss, rss_peak: peak, limit, limit_source: source }) {
  document.title = `${formatSize(rss)} · leandask`;
  setText(byId("rss"), formatSize(rss));
  setText(byId("rss-peak"), formatSize(peak));
  const limitText = limit === null ? "none" : formatSize(limit);
  setText(byId("limit"), limitText);
  byId("limit").title = source === null ? "" : printable(source);
  const bar = byId("limit-bar");
  const share = setBar(bar, rss, limit, `${formatSize(rss)} of ${limitText}`);
  bar.classList.toggle("high", share > .75);
  bar.classList.toggle("over", share > .9);
}

function showPresent(present) {
  for (const [name, { count, bytes }] of Object.entries(present)) {
    setText(byId(`live-${name}`),
      count ? `${formatNumber(count)}, about ${formatSize(bytes)}` : "none");
  }
}

function showRecords(stream) {
  const reasons = Object.entries(stream.dropped).filter(([, number]) => number);
  const dropped = reasons.reduce((sum, [, number]) => sum + number, 0);
  setText(byId("emitted"), formatNumber(stream.emitted));
  setText(byId("written"), formatNumber(stream.written));
  setText(byId("queued"), formatNumber(stream.queued));
  setFaults(byId("dropped"), dropped);
  setFaults(byId("errors"), stream.errors);
  setFaults(byId("restarts"), stream.restarts);
  const numbers = reasons.map(
    ([reason, number]) => `${formatNumber(number)} for ${reason}`);
  setText(byId("dropped-reasons"),
    dropped ? `Dropped: ${numbers.join(", ")}` : "No record was dropped.");
}

function showEventLog(log) {
  byId("log").hidden = !log;
  byId("no-log").hidden = Boolean(log);
  if (!log) {
    setText(byId("log-state"), "off");
    return;
  }
  if (log.failing) setText(byId("log-state"), "can't be written", "is-bad");
  else setText(byId("log-state"), "writing", "is-good");
  setText(byId("log-path"), log.path);
  setText(byId("log-lines"), formatNumber(log.lines_written));
  setText(byId("log-bytes"), formatSize(log.bytes_written));
  setFaults(byId("log-lost"), log.lines_lost);
  setFaults(byId("log-errors"), log.errors);
  showArchive(log.archive);
}

function showArchive(archive) {
  byId("archive").hidden = !archive;
  if (!archive) return;
  const count = (what) => `${formatCount(archive[`segments_${what}`], "segment")}, ${
    formatSize(archive[`bytes_${what}`])}`;
  setText(byId("archive-url"), archive.url);
  setText(byId("archive-uploaded"), count("uploaded"));
  setText(byId("archive-waiting"), count("waiting"));
  setText(byId("archive-lost"), count("lost"), archive.segments_lost ? "is-bad" : "");
  setFaults(byId("archive-lines-lost"), archive.lines_lost);
  setFaults(byId("archive-errors"), archive.errors);
  setText(byId("archive-last"), archive.last_upload ?? "none yet",
    archive.failing ? "is-bad" : "");
  setText(byId("archive-error"), archive.last_error ?? "none",
    archive.failing ? "is-bad" : "");
}

function showWatched({ tasks, bytes }) {
  setText(byId("watched"),
    tasks ? `${formatNumber(tasks)}, ${formatSize(bytes)}` : "none");
}

function showGuard(guard, { limit, limit_source: source }) {
  const percent = (part) => `${formatNumber(Math.round(part * 100))} %`;
  setText(byId("limit-source"), source === null ? "none" : printable(source));
  setText(byId("limit-warn"), limit ? percent(guard.warn) : "–");
  setText(byId("limit-refuse"), limit ? percent(guard.refuse) : "–");
  setFaults(byId("refused"), guard.refused);
}

function showHousekeeping(housekeeping, giveBack, garbage) {
  setText(byId("rounds"), formatNumber(housekeeping.rounds));
  setFaults(byId("work-errors"), housekeeping.errors);
  setText(byId("work-pause"), formatPause(housekeeping.longest_pause));
  setText(byId("given"),
    giveBack.count === 1 ? "once" : `${formatNumber(giveBack.count)} times`);
  setText(byId("given-pause"),
    giveBack.count ? formatPause(giveBack.longest_pause) : "–");
  setText(byId("garbage-pause"), formatPause(garbage.longest_pause));
}
