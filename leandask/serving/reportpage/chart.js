// Chart of the resident memory over time.

// Samples with their places in the drawing, which is 1000 wide and 100 high.
let points = [];

function showChart(samples) {
  points = [];
  if (!samples.length) return;
  const first = samples[0][0], last = samples.at(-1)[0];
  const most = Math.max(...samples.map(([, rss]) => rss));
  const top = topOfAxis(most);
  points = samples.map(([time, rss]) => ({
    time, rss, y: 100 - rss / top * 100,
    x: last > first ? (time - first) / (last - first) * 1000 : 1000,
  }));
  if (points.length === 1) points.unshift({ ...points[0], x: 0 });
  const line = points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(2)}`).join("L");
  byId("line").setAttribute("d", `M${line}`);
  byId("area").setAttribute("d", `M0,100L${line}L1000,100Z`);
  showAxis(top);
  const past = formatDuration(Math.max(last - first, 0));
  setText(byId("x-first"), `${past} ago`);
  setText(byId("chart-text"), `Resident memory over the last ${past}: now `
    + `${formatSize(points.at(-1).rss)}, most ${formatSize(most)}`);
  showPoint(points.at(-1));
}

// A round number of bytes, at least a tenth above the highest sample.
function topOfAxis(bytes) {
  const unit = 1024 ** Math.floor(Math.log(bytes) / Math.log(1024));
  const steps = [1, 2, 3, 4, 6, 8, 12, 16, 20, 32, 40, 60, 80, 100, 120, 160, 200, 240,
    320, 400, 480, 640, 800, 1024];
  return unit * steps.find((step) => step * unit >= bytes * 1.1 || step === 1024);
}

function showAxis(top) {
  const marks = [0, .5, 1];
  if (!byId("grid").firstChild) marks.forEach(addMark);
  marks.forEach((mark, i) => setText(byId("y").children[i],
    mark ? formatSize(mark * top).replace(/\.0+(?=\D)/, "") : "0"));
}

function addMark(mark) {
  const y = 100 - mark * 100;
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [name, value] of [["x1", 0], ["x2", 1000], ["y1", y], ["y2", y]])
    line.setAttribute(name, value);
  line.setAttribute("class", "grid");
  byId("grid").append(line);
  const label = document.createElement("span");
  label.style.top = `${y}%`;
  byId("y").append(label);
}

function showPoint({ x, y, time, rss }, withTip = false) {
  byId("dot").hidden = false;
  byId("dot").style.left = `${x / 10}%`;
  byId("dot").style.top = `${y}%`;
  byId("tip").hidden = !withTip;
  byId("tip").style.left = `clamp(76px, ${x / 10}%, calc(100% - 76px))`;
  if (withTip)
    setText(byId("tip"), `${formatSize(rss)} at ${formatTime(time * 1000)}`);
}

byId("plot").addEventListener("pointermove", (event) => {
  if (!points.length) return;
  const box = byId("plot").getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width * 1000;
  const distance = (point) => Math.abs(point.x - x);
  showPoint(points.reduce((a, b) => distance(b) < distance(a) ? b : a), true);
});
byId("plot").addEventListener("pointerleave", () => {
  if (points.length) showPoint(points.at(-1));
});
