// Task stream: what each thread of each worker computed, a row each.

const streamBox = byId("stream");
// Pixels of the panel that scrolls, and of a row.
const STREAM_HEIGHT = 480, LOWEST_ROW = 6, HIGHEST_ROW = 18;
const streamRows = data.runs ? data.runs.rows : [];
const rowHeight = Math.min(
  Math.max(Math.floor(STREAM_HEIGHT / Math.max(streamRows.length, 1)), LOWEST_ROW), HIGHEST_ROW,
);
const strip = new Strip();
// The run that is shown: its row and its index in the finest level, or null.
let pointed = null;

// As pixels have it: blue, green, red from the highest byte on.
const packColor = ([red, green, blue]) => blue << 16 | green << 8 | red;
const cssColor = name => packColor(
  [1, 3, 5].map(i => parseInt(colorOf(name).slice(i, i + 2), 16)),
);

const streamColors = () => ({
  erred: cssColor("--erred"),
  phases: PHASE_COLORS.map(cssColor),
  kinds: prefixSlots.map((slot, index) => highlighted === null || highlighted === index
    ? packColor(slotColor(slot)) : cssColor("--pale")),
});

// The coarsest level whose merged runs are narrower than half a pixel.
const levelFor = pixel => levels.findLast(level => level.width <= pixel / 2) || levels[0];

const drawStream = plot => {
  if (!levels.length) return;
  const ratio = window.devicePixelRatio || 1, context = plot.context;
  const left = Math.round(plot.left * ratio), width = Math.round(plot.plotWidth * ratio);
  const scale = width / ((view[1] - view[0]) * 1000);
  const shift = (data.start - view[0]) * 1000 * scale;
  const top = streamBox.scrollTop, first = Math.floor(top / rowHeight);
  const last = Math.min(streamRows.length, Math.ceil((top + plot.baseline) / rowHeight));
  const waitHeight = Math.max(1, Math.round(rowHeight * ratio / 8));
  const barHeight = Math.max(1, Math.round(rowHeight * ratio) - waitHeight - Math.round(ratio));
  strip.begin(width, Math.ceil((last - first) * rowHeight * ratio), {
    shift, scale, barHeight, waitHeight, colors: streamColors(),
  });
  const level = levelFor(1 / scale);
  for (let r = first; r < last; r++) {
    const y = Math.round((r - first) * rowHeight * ratio);
    strip.drawRow(level, r, y);
  }
  strip.paste(context, left, Math.round((first * rowHeight - top) * ratio));
  drawRowNames(plot, first, last, top);
  if (cursor !== null && pointed) outline(plot, top);
};

// The name of a worker stands at its first thread, if there is room.
const drawRowNames = (plot, first, last, top) => {
  // Letters that there is room for.
  const letters = plot.left < 45 ? 4 : 6;
  let free = -Infinity;
  for (let r = first; r < last; r++) {
    const y = r * rowHeight - top + Math.min(rowHeight, 14) - 3;
    const { worker, name } = streamRows[r];
    const isFirst = r === first || streamRows[r - 1].worker !== worker;
    if (!isFirst || y < free) continue;
    const text = name.replace(/^[a-z]+:\/\//, "");
    plot.numberLabels.push([text.length > letters + 1 ? `…${text.slice(-letters)}` : text, y]);
    free = y + 13;
  }
};

const outline = (plot, top) => {
  const { start, end } = levels[0], { row, i } = pointed, context = plot.context;
  const a = plot.x(data.start + start[i] / 1000), b = plot.x(data.start + end[i] / 1000);
  context.strokeStyle = colorOf("--text");
  context.lineWidth = 1;
  context.strokeRect(Math.floor(a) - 0.5, row * rowHeight - top - 0.5, Math.max(b - a, 2) + 1, rowHeight);
};

// The run at a time of a row, or the most conspicuous one within two pixels; or null.
const runAt = (plot, row, ms) => {
  const level = levels[0], time = (ms - data.start) * 1000;
  const near = (view[1] - view[0]) * 1000 / plot.plotWidth * 2;
  const end = level.offsets[row + 1];
  let found = null;
  const weight = i => (level.kind[i] & 1 ? 1e18 : 0) + level.busy[i];
  let i = lowerBound(level.reach, level.offsets[row], end, time - near);
  for (; i < end && level.start[i] <= time + near; i++)
    if (level.end[i] >= time - near && (found === null || weight(i) > weight(found))) found = i;
  return found === null ? null : { row, i: found };
};

// What the tooltip tells of a run, or of several that were merged.
const factsOf = ({ row, i }) => {
  const level = levels[0], { worker, name, thread } = streamRows[row];
  const runs = level.runs[i], prefix = data.runs.prefixes[level.kind[i] >> 1].name;
  const known = runs === 1 ? detailsOf(row, level.start[i]) : -1;
  const facts = [["prefix", prefix]];
  if (runs > 1) facts.push(["runs", `${formatNumber(runs)}, merged`]);
  facts.push(
    ["worker", name === worker ? worker : `${name} (${worker})`],
    ["thread", thread ? String(thread) : "not known"],
    ["start", isoMicroseconds(level.start[i])],
    [runs > 1 ? "computed together" : "computed", formatMicroseconds(level.busy[i])],
  );
  if (runs > 1) facts.push(["within", formatMicroseconds(level.end[i] - level.start[i])]);
  for (const phase of PHASES)
    if (level[phase][i]) facts.push([phase, formatMicroseconds(Math.round(level[phase][i]))]);
  if (known >= 0 && details.nbytes[known] >= 0)
    facts.push(["result", formatBytes(details.nbytes[known])]);
  const unknown = runs > 1 ? "" : "Its key is not in this page. One of a shorter time (--since, --until) has more.";
  return {
    title: known >= 0 ? details.keys[known] : `${prefix}${runs > 1 ? "" : ", a run"}`,
    facts,
    notes: [
      level.kind[i] & 1 ? `erred: ${details.reasons[known] || "see the errors"}` : "",
      known >= 0 ? "" : unknown,
    ].filter(Boolean),
  };
};

const rowAt = (plot, event) => {
  const y = event.clientY - plot.canvas.getBoundingClientRect().top + streamBox.scrollTop;
  return Math.floor(y / rowHeight);
};

// What is pointed at; without a pointer, it is what the keys have chosen.
const describeRun = (plot, ms, event) => {
  if (!levels.length) return null;
  if (event) {
    const row = rowAt(plot, event);
    pointed = row >= 0 && row < streamRows.length ? runAt(plot, row, ms) : null;
  }
  return pointed && factsOf(pointed);
};

// The arrows go from run to run, and from row to row.
const stepRun = (plot, key) => {
  const level = levels[0];
  if (!level || !level.n) return;
  const [from, to] = view.map(ms => (ms - data.start) * 1000);
  let row = pointed ? pointed.row : 0, i;
  if (pointed && (key === "ArrowLeft" || key === "ArrowRight")) {
    i = pointed.i + (key === "ArrowLeft" ? -1 : 1);
  } else {
    if (pointed) row += key === "ArrowUp" ? -1 : 1;
    row = Math.min(Math.max(row, 0), streamRows.length - 1);
    const time = cursor === null ? from : (cursor - data.start) * 1000;
    i = lowerBound(level.start, level.offsets[row], level.offsets[row + 1], time);
  }
  i = Math.min(Math.max(i, level.offsets[row]), level.offsets[row + 1] - 1);
  pointed = { row, i };
  const ms = data.start + level.start[i] / 1000;
  if (level.start[i] < from || level.start[i] > to) {
    const half = (view[1] - view[0]) / 2;
    showRange(ms - half, ms + half);
  }
  const y = row * rowHeight;
  if (y < streamBox.scrollTop || y + rowHeight > streamBox.scrollTop + plot.baseline)
    streamBox.scrollTop = y - plot.baseline / 2;
  showCursor(plot, ms, null);
  byId("spoken").textContent = tip.innerText;
};

if (!streamRows.length) {
  const option = "leandask-scheduler --log-tasks";
  const text = data.runs ? "Of no run of a task it is known when it began."
    : `No runs of tasks were recorded. ${option} records them.`;
  streamBox.append(makeElement("p", text, "hint"));
  for (const id of ["stream-legend", "stream-phases"]) byId(id).hidden = true;
} else if (typeof DecompressionStream === "undefined") {
  streamBox.append(makeElement("p", "This browser is too old to unpack the runs of tasks.", "hint"));
} else {
  const inner = makeElement("div"), total = streamRows.length * rowHeight;
  inner.style.height = `${total}px`;
  streamBox.append(inner);
  const text = `What each of ${streamRows.length} threads computed over time`;
  const plot = new Plot(inner, text, Math.min(total, STREAM_HEIGHT), drawStream, {
    axis: false,
    scrollBox: streamBox,
    facts: (ms, event) => describeRun(plot, ms, event),
    onKey: key => key.startsWith("Arrow") && (stepRun(plot, key), true),
  });
  new Plot(byId("stream-axis"), "Axis of time", AXIS, () => {});
  streamBox.addEventListener("scroll", redraw, { passive: true });
  showLegend(byId("stream-legend"));
  unpackRuns().then(() => {
    plot.canvas.dataset.ready = performance.now();
    redraw();
  });
}
