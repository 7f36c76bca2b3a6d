// The data of the page, and how times and numbers are shown.

// Texts in the data are not trusted: they become text nodes, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const starts = data.bins.map(n => data.start + n * data.width);
const LOSSES = [
  ["lost", "Workers lost", "--bad", "worker lost"],
  ["dropped", "Records dropped", "--no-worker", "records dropped"],
  ["missing", "Records missing by seq", "--queued", "records missing"],
  ["warned", "Other warnings", "--warn", "warning"],
];
// Entries of a list that the page shows at once; zooming in shows the others.
const LISTED = 100;

const make = (tag, text, name) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
};

// Years up to 9999, so a time always has this form.
const iso = ms => new Date(ms).toISOString();
const clock = ms => iso(ms).slice(0, 23).replace("T", " ");
const count = n => n.toLocaleString("en-US");
const short = n => n >= 1e9 ? +(n / 1e9).toPrecision(3) + "G"
  : n >= 1e6 ? +(n / 1e6).toPrecision(3) + "M"
  : n >= 1e4 ? +(n / 1e3).toPrecision(3) + "k" : String(n);
const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const span = ms => {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${+(ms / SECOND).toFixed(3)} s`;
  const units = [["d", DAY], ["h", HOUR], ["min", MINUTE], ["s", SECOND]];
  const parts = [];
  for (const [unit, size] of units) {
    const n = Math.floor(ms / size);
    ms -= n * size;
    if (n) parts.push(`${n} ${unit}`);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ");
};
const STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map(n => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map(n => n * MINUTE),
  ...[1, 2, 3, 6, 12].map(n => n * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 365, 730, 1825, 3650, 36500, 365000].map(n => n * DAY),
];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const tickLabel = (ms, step) => {
  const text = iso(ms);
  const date = `${+text.slice(8, 10)} ${MONTHS[text.slice(5, 7) - 1]}`;
  if (step >= 200 * DAY) return `${MONTHS[text.slice(5, 7) - 1]} ${text.slice(0, 4)}`;
  if (step >= DAY || ms % DAY === 0) return date;
  if (step >= MINUTE) return text.slice(11, 16);
  return step >= SECOND ? text.slice(11, 19) : text.slice(14, 23);
};

// First index whose start is after a time.
const after = ms => {
  let low = 0, high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= ms) low = middle + 1; else high = middle;
  }
  return low;
};
