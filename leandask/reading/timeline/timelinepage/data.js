// Data of the page, and the elements that show it.

// Texts in the data are not trusted: they become text nodes, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
// Start of each bin, in milliseconds since the epoch as all times here.
const starts = data.bins.map(n => data.start + n * data.width);
// Losses by their name in the data, in the order in which they show.
const LOSSES = [
  { name: "lost", title: "Workers lost", noun: "worker lost", color: "--bad" },
  { name: "dropped", title: "Records dropped", noun: "records dropped", color: "--no-worker" },
  { name: "missing", title: "Records missing by seq", noun: "records missing", color: "--queued" },
  { name: "warned", title: "Other warnings", noun: "warning", color: "--warn" },
];

// Index of the first bin that starts after a time.
const binAfter = ms => {
  let low = 0, high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= ms) low = middle + 1; else high = middle;
  }
  return low;
};

const marksBetween = (marks, from, to) => marks.filter(([ms]) => from <= ms && ms <= to);

const byId = id => document.getElementById(id);
const makeElement = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};
