// Losses over time, and the list of those in view.

const LOSS_ROW = 34;
const drawLosses = plot => {
  const c = plot.c, [from, to] = visibleBins();
  LOSSES.forEach(([name, title, tone], row) => {
    const y = row * LOSS_ROW, values = data.flows[name];
    let n = 0;
    c.strokeStyle = color("--grid");
    c.beginPath();
    c.moveTo(plot.left, y + LOSS_ROW + 0.5);
    c.lineTo(plot.left + plot.plotWidth, y + LOSS_ROW + 0.5);
    c.stroke();
    c.fillStyle = color(tone);
    for (let i = Math.max(from - 1, 0); i < to; i++) {
      if (!values[i]) continue;
      const x = plot.x(starts[i] + data.width / 2);
      if (x < plot.left) continue;
      n += values[i];
      c.fillRect(x - 1.5, y + 19, 3, LOSS_ROW - 23);
    }
    c.fillStyle = color(n ? "--text" : "--soft");
    c.textAlign = "left";
    c.fillText(`${title}  ${count(n)}`, plot.left + 6, y + 14);
  });
};
new Plot(byId("losses"), "Losses over time; the list below names them", LOSSES.length * LOSS_ROW + 2 + AXIS, drawLosses);
const listLosses = (from, to) => list(byId("losses-marks"), LOSSES.flatMap(([name, , , noun]) =>
  inView(data.marks[name], from, to).map(([ms, name, message]) => [ms, `${noun}: ${name}`, message]),
).sort(byTime));
