// Workers: their number, and a lane for each.

const drawWorkers = withScale(plot => {
  const [from, to] = visibleBins(), levels = data.levels.workers;
  let most = 0;
  for (let i = Math.max(from - 1, 0); i < to; i++) most = Math.max(most, levels[i]);
  const y = plot.scale(most), c = plot.c;
  area(plot, i => levels[i], y, from, to, color("--lane"));
  c.beginPath();
  steps(plot, i => levels[i], y, from, to);
  c.strokeStyle = color("--accent");
  c.lineWidth = 1.5;
  c.stroke();
});
new Plot(byId("workers"), "Number of workers over time", 96 + AXIS, drawWorkers, { fades: true });

const ROW = 22, lanes = byId("lanes");
if (data.lanes.length) {
  const total = data.lanes.length * ROW + 4;
  // The canvas is only as high as the panel, and is redrawn when that scrolls.
  const inner = make("div");
  inner.style.height = `${total}px`;
  lanes.append(inner);
  const drawLanes = plot => {
    const c = plot.c, top = lanes.scrollTop;
    for (let n = Math.floor(top / ROW); n < Math.min(data.lanes.length, (top + plot.height) / ROW); n++) {
      const [address, stays] = data.lanes[n], y = n * ROW - top + 4, height = ROW - 4;
      let last = -Infinity;
      for (const [joined, left, lost, joinKnown, leaveKnown] of stays) {
        const a = plot.x(joined), b = Math.max(plot.x(left), a + 2);
        if (b < plot.left || a > plot.left + plot.plotWidth) continue;
        c.fillStyle = color(lost ? "--lane-lost" : "--lane");
        c.fillRect(a, y, b - a, height);
        c.fillStyle = color("--accent");
        if (joinKnown) c.fillRect(a, y, 2, height);
        c.fillStyle = color(lost ? "--bad" : "--soft");
        if (leaveKnown) c.fillRect(b - 2, y, lost ? 3 : 2, height);
        const from = Math.max(a, plot.left) + 8;
        if (from < last) continue;
        label(c, from, y + 13, Math.min(b, plot.left + plot.plotWidth) - from - 8,
          address.replace(/^[a-z]+:\/\//, ""), lost ? " · lost" : "");
        last = b;
      }
    }
  };
  const plot = new Plot(inner, `Lanes of ${data.lanes.length} workers`, Math.min(total, 290), drawLanes, {
    axis: false,
    fades: true,
    box: lanes,
    describe: (ms, event) => {
      if (!event) return [];
      const y = event.clientY - plot.canvas.getBoundingClientRect().top + lanes.scrollTop;
      const lane = data.lanes[Math.floor((y - 2) / ROW)];
      if (!lane) return [];
      const stay = lane[1].find(([joined, left]) => joined <= ms && ms <= left);
      if (!stay) return [lane[0]];
      const [joined, left, lost, joinKnown, leaveKnown] = stay;
      return [lane[0], joinKnown ? `joined ${iso(joined)}` : "joined before this log",
        leaveKnown ? `${lost ? "lost" : "left"} ${iso(left)}, after ${span(left - joined)}`
          : "there until its scheduler or the log ended"];
    },
  });
  lanes.addEventListener("scroll", redraw, { passive: true });
} else {
  lanes.hidden = true;
}
