// Cursor: the time that is pointed at, and its tooltip.

const tip = byId("tip");
const leave = () => {
  cursor = null;
  tip.hidden = true;
  redraw();
};
const fact = (list, name, value, swatch) => {
  const dt = make("dt", name);
  if (swatch) dt.style.setProperty("--swatch", color(swatch));
  list.append(dt, make("dd", value));
};
const point = (plot, ms, event) => {
  cursor = ms;
  const i = after(ms) - 1, inside = i >= 0 && ms < starts[i] + data.width;
  const list = make("dl");
  for (const name of [...data.states].reverse())
    fact(list, name, count(i < 0 ? 0 : data.levels[name][i]), `--${name}`);
  fact(list, "workers", count(i < 0 ? 0 : data.levels.workers[i]), "--accent");
  const flows = [["finished", "into memory"], ["erred", "into erred"], ["moved", "other transitions"],
    ...LOSSES.map(([name, , , noun]) => [name, noun])];
  if (inside)
    for (const [name, label] of flows)
      if (data.flows[name][i]) fact(list, label, `+${count(data.flows[name][i])}`);
  // Without a record, the last levels still hold.
  tip.replaceChildren(
    make("strong", iso(inside ? starts[i] : Math.floor(ms))),
    make("span", inside ? `bin of ${span(data.width)}` : "no record at this time"), list);
  if (plot.describe)
    for (const text of plot.describe(ms, event)) tip.append(make("p", text));
  tip.hidden = false;
  const box = plot.canvas.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const x = event ? event.clientX : box.left + plot.x(ms);
  const y = event ? event.clientY : box.top + 20;
  const left = x + 16 + size.width < innerWidth - 8 ? x + 16 : x - 16 - size.width;
  tip.style.left = `${Math.min(Math.max(left, 8), Math.max(innerWidth - size.width - 8, 8))}px`;
  tip.style.top = `${Math.max(Math.min(y + 14, innerHeight - size.height - 8), 8)}px`;
  redraw();
};
const step = (plot, by) => {
  const [from, to] = visibleBins();
  if (from >= to) return;
  const now = cursor === null ? (by > 0 ? from - 1 : to) : after(cursor) - 1;
  const i = Math.min(Math.max(now + by, from), to - 1);
  point(plot, starts[i], null);
  byId("spoken").textContent = tip.innerText;
};
