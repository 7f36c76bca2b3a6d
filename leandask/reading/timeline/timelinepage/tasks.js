// Tasks by state: an area for each state, stacked.

// States that the user has hidden.
const hidden = new Set();

const drawTasks = plot => {
  const [from, to] = visibleBins();
  const shown = data.states.filter(name => !hidden.has(name));
  // The top of each area by bin, from the bin before the first visible one.
  const tops = shown.map(() => new Float64Array(to - from + 1));
  let most = 0;
  for (let i = Math.max(from - 1, 0); i < to; i++) {
    let sum = 0;
    shown.forEach((name, s) => { tops[s][i - from + 1] = sum += data.levels[name][i]; });
    most = Math.max(most, sum);
  }
  const y = plot.drawNumberAxis(most);
  // The highest first: each area covers what is below its top.
  for (let s = shown.length - 1; s >= 0; s--)
    fillLevels(plot, i => tops[s][i - from + 1], y, from, to, colorOf(`--${shown[s]}`));
};

if (data.states.length) {
  const most = data.states.map(name =>
    `${name} at most ${formatNumber(Math.max(0, ...data.levels[name]))}`);
  const text = `Tasks by state over time: ${most.join(", ")}`;
  new Plot(byId("tasks"), text, 250, drawTasks, { fades: true });
  for (const name of [...data.states].reverse()) {
    const button = makeElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const swatch = makeElement("i");
    swatch.style.background = `var(--${name})`;
    button.append(swatch, makeElement("span", name));
    button.addEventListener("click", () => {
      if (!hidden.delete(name)) hidden.add(name);
      button.setAttribute("aria-pressed", String(!hidden.has(name)));
      redraw();
    });
    byId("legend").append(button);
  }
} else {
  byId("legend").hidden = true;
  const option = "leandask-scheduler --log-transitions";
  const text = data.flows.erred.some(Boolean)
    ? `Of transitions, only those into erred were recorded. ${option} records all.`
    : `No transitions were recorded. ${option} records them.`;
  byId("tasks").append(makeElement("p", text, "hint"));
}
