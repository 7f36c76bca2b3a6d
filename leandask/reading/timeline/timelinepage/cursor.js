// Cursor: the time that is pointed at, and its tooltip.

const tip = byId("tip");
const hideCursor = () => {
  cursor = null;
  tip.hidden = true;
  redraw();
};

const addFigure = (list, name, value, swatch) => {
  const dt = makeElement("dt", name);
  if (swatch) dt.style.setProperty("--swatch", colorOf(swatch));
  list.append(dt, makeElement("dd", value));
};

const FLOWS = [
  ["finished", "into memory"],
  ["erred", "into erred"],
  ["moved", "other transitions"],
  ...(data.errors === "failed" ? [["failed", "tasks erred"]] : []),
  ...LOSSES.map(({ name, noun }) => [name, noun]),
];

// What the tooltip tells of a time: the counts of its bin.
const countsAt = ms => {
  const i = binAfter(ms) - 1, inBin = i >= 0 && ms < starts[i] + data.width;
  const list = makeElement("dl");
  for (const name of [...data.states].reverse())
    addFigure(list, name, formatNumber(i < 0 ? 0 : data.levels[name][i]), `--${name}`);
  addFigure(list, "workers", formatNumber(i < 0 ? 0 : data.levels.workers[i]), "--accent");
  if (inBin)
    for (const [name, label] of FLOWS)
      if (data.flows[name][i]) addFigure(list, label, `+${formatNumber(data.flows[name][i])}`);
  // Between two bins, the levels of the earlier one still hold.
  return [
    makeElement("strong", isoTime(inBin ? starts[i] : Math.floor(ms))),
    makeElement("span", inBin ? `bin of ${formatDuration(data.width)}` : "no record at this time"),
    list,
  ];
};

// What the tooltip tells of one thing that a plot shows.
const listFacts = ({ title, facts, notes }) => {
  const list = makeElement("dl");
  for (const [name, value] of facts) addFigure(list, name, value);
  return [makeElement("strong", title), list, ...notes.map(text => makeElement("p", text))];
};

// Show the cursor at a time. The tooltip is next to the pointer, if there is an event.
const showCursor = (plot, ms, event) => {
  cursor = ms;
  const found = plot.facts && plot.facts(ms, event);
  tip.replaceChildren(...(found ? listFacts(found) : countsAt(ms)));
  if (plot.describe)
    for (const text of plot.describe(ms, event)) tip.append(makeElement("p", text));
  tip.hidden = false;
  const box = plot.canvas.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const x = event ? event.clientX : box.left + plot.x(ms);
  const y = event ? event.clientY : box.top + 20;
  const left = x + 16 + size.width < innerWidth - 8 ? x + 16 : x - 16 - size.width;
  tip.style.left = `${Math.min(Math.max(left, 8), Math.max(innerWidth - size.width - 8, 8))}px`;
  tip.style.top = `${Math.max(Math.min(y + 14, innerHeight - size.height - 8), 8)}px`;
  redraw();
};

// Move the cursor by so many bins.
const stepCursor = (plot, by) => {
  const [from, to] = visibleBins();
  if (from >= to) return;
  // Without a cursor, a step forward goes to the first bin, one back to the last.
  const now = cursor === null ? (by > 0 ? from - 1 : to) : binAfter(cursor) - 1;
  const i = Math.min(Math.max(now + by, from), to - 1);
  showCursor(plot, starts[i], null);
  byId("spoken").textContent = tip.innerText;
};
