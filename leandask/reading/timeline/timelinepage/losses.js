// Losses over time, and the list of those in view.

// Height of the row of one kind of loss, in pixels.
const LOSS_HEIGHT = 34;
const drawLosses = plot => {
  const context = plot.context, [from, to] = visibleBins();
  LOSSES.forEach(({ name, title, color }, row) => {
    const y = row * LOSS_HEIGHT, values = data.flows[name];
    let visible = 0;
    context.strokeStyle = colorOf("--grid");
    context.beginPath();
    context.moveTo(plot.left, y + LOSS_HEIGHT + 0.5);
    context.lineTo(plot.right, y + LOSS_HEIGHT + 0.5);
    context.stroke();
    context.fillStyle = colorOf(color);
    for (let i = Math.max(from - 1, 0); i < to; i++) {
      if (!values[i]) continue;
      const x = plot.x(starts[i] + data.width / 2);
      if (x < plot.left) continue;
      visible += values[i];
      context.fillRect(x - 1.5, y + 19, 3, LOSS_HEIGHT - 23);
    }
    context.fillStyle = colorOf(visible ? "--text" : "--soft");
    context.textAlign = "left";
    context.fillText(`${title}  ${formatNumber(visible)}`, plot.left + 6, y + 14);
  });
};
new Plot(
  byId("losses"), "Losses over time; the list below names them",
  LOSSES.length * LOSS_HEIGHT + 2 + AXIS, drawLosses,
);

const listLosses = (from, to) => showMarks(
  byId("losses-marks"),
  LOSSES.flatMap(({ name: kind, noun }) => marksBetween(data.marks[kind], from, to)
    .map(([ms, name, message]) => [ms, `${noun}: ${name}`, message])),
);
