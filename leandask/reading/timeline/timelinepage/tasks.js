// Tasks by state.

const hidden = new Set();
const drawTasks = withScale(plot => {
  const [from, to] = visibleBins();
  const shown = data.states.filter(name => !hidden.has(name));
  const sums = shown.map(() => new Float64Array(to - from + 1));
  let most = 0;
  for (let i = Math.max(from - 1, 0); i < to; i++) {
    let sum = 0;
    shown.forEach((name, s) => { sums[s][i - from + 1] = sum += data.levels[name][i]; });
    most = Math.max(most, sum);
  }
  const y = plot.scale(most);
  // The highest first: each area covers what is below its top.
  for (let s = shown.length - 1; s >= 0; s--)
    area(plot, i => sums[s][i - from + 1], y, from, to, color(`--${shown[s]}`));
});
if (data.states.length) {
  const words = data.states.map(name => `${name} at most ${count(Math.max(0, ...data.levels[name]))}`);
  new Plot(byId("tasks"), `Tasks by state over time: ${words.join(", ")}`, 250, drawTasks, { fades: true });
  for (const name of [...data.states].reverse()) {
    const button = make("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const swatch = make("i");
    swatch.style.background = `var(--${name})`;
    button.append(swatch, make("span", name));
    button.addEventListener("click", () => {
      if (!hidden.delete(name)) hidden.add(name);
      button.setAttribute("aria-pressed", String(!hidden.has(name)));
      redraw();
    });
    byId("legend").append(button);
  }
} else {
  byId("legend").hidden = true;
  byId("tasks").append(make("p", data.flows.erred.some(Boolean)
    ? "Of transitions, only those into erred were recorded. leandask-scheduler --log-transitions records all."
    : "No transitions were recorded. leandask-scheduler --log-transitions records them.", "hint"));
}
