// Workers: their number, and a lane for each.

const drawWorkers = plot => {
  const [from, to] = visibleBins(), levels = data.levels.workers;
  let most = 0;
  for (let i = Math.max(from - 1, 0); i < to; i++) most = Math.max(most, levels[i]);
  const y = plot.drawNumberAxis(most), context = plot.context;
  fillLevels(plot, i => levels[i], y, from, to, colorOf("--lane"));
  context.beginPath();
  traceLevels(plot, i => levels[i], y, from, to);
  context.strokeStyle = colorOf("--accent");
  context.lineWidth = 1.5;
  context.stroke();
};

new Plot(byId("workers"), "Number of workers over time", 96 + AXIS, drawWorkers, { fades: true });

// Height of a lane in pixels, and of the panel that scrolls them.
const LANE_HEIGHT = 22, LANES_HEIGHT = 290;
const lanes = byId("lanes");

const drawLanes = plot => {
  const top = lanes.scrollTop, first = Math.floor(top / LANE_HEIGHT);
  const end = Math.min(data.lanes.length, (top + plot.height) / LANE_HEIGHT);
  for (let n = first; n < end; n++) drawLane(plot, data.lanes[n], n * LANE_HEIGHT - top + 4);
};

const drawLane = (plot, [address, stays], y) => {
  const context = plot.context, height = LANE_HEIGHT - 4;
  // Right end of the bar that was labelled last.
  let labelled = -Infinity;
  for (const [joined, left, lost, joinKnown, leaveKnown] of stays) {
    const a = plot.x(joined), b = Math.max(plot.x(left), a + 2);
    if (b < plot.left || a > plot.right) continue;
    context.fillStyle = colorOf(lost ? "--lane-lost" : "--lane");
    context.fillRect(a, y, b - a, height);
    context.fillStyle = colorOf("--accent");
    if (joinKnown) context.fillRect(a, y, 2, height);
    context.fillStyle = colorOf(lost ? "--bad" : "--soft");
    if (leaveKnown) context.fillRect(b - 2, y, lost ? 3 : 2, height);
    const from = Math.max(a, plot.left) + 8;
    if (from < labelled) continue;
    const room = Math.min(b, plot.right) - from - 8;
    const name = address.replace(/^[a-z]+:\/\//, "");
    drawLabel(plot, from, y + 13, room, name, lost ? " · lost" : "");
    labelled = b;
  }
};

const describeLane = (plot, ms, event) => {
  // Without a pointer, no lane is pointed at.
  if (!event) return [];
  const y = event.clientY - plot.canvas.getBoundingClientRect().top + lanes.scrollTop;
  const lane = data.lanes[Math.floor((y - 2) / LANE_HEIGHT)];
  if (!lane) return [];
  const [address, stays] = lane;
  const stay = stays.find(([joined, left]) => joined <= ms && ms <= left);
  if (!stay) return [address];
  const [joined, left, lost, joinKnown, leaveKnown] = stay;
  const end = `${lost ? "lost" : "left"} ${isoTime(left)}, after ${formatDuration(left - joined)}`;
  return [
    address,
    joinKnown ? `joined ${isoTime(joined)}` : "joined before this log",
    leaveKnown ? end : "there until its scheduler or the log ended",
  ];
};

if (data.lanes.length) {
  const total = data.lanes.length * LANE_HEIGHT + 4;
  // The canvas is only as high as the panel, and is redrawn when that scrolls.
  const inner = makeElement("div");
  inner.style.height = `${total}px`;
  lanes.append(inner);
  const text = `Lanes of ${data.lanes.length} workers`;
  const plot = new Plot(inner, text, Math.min(total, LANES_HEIGHT), drawLanes, {
    axis: false,
    fades: true,
    scrollBox: lanes,
    describe: (ms, event) => describeLane(plot, ms, event),
  });
  lanes.addEventListener("scroll", redraw, { passive: true });
} else {
  lanes.hidden = true;
}
