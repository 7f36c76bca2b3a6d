// Charts: lines over time, in SVG, with the values at the pointer below.
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000, HEIGHT = 100;

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Draw series [[name, values], ...] over times in ms; `limit` is a line of its own.
function chart(title, ms, series, format, limit) {
  const shown = series.filter(([, values]) => values.some((v) => v));
  if (ms.length < 2 || !shown.length) return null;
  const first = ms[0], span = ms[ms.length - 1] - first || 1;
  let top = 0;
  for (const [, values] of shown) for (const v of values) if (v > top) top = v;
  const most = top;
  // A limit far above would make all of it flat.
  const hasLimit = limit && limit < 4 * top;
  if (hasLimit && limit > top) top = limit;
  top = top * 1.05 || 1;
  const x = (t) => ((t - first) / span) * WIDTH;
  const y = (v) => HEIGHT - (v / top) * HEIGHT;
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    "aria-label": title,
  });
  for (const part of [0, 0.5, 1])
    svg.append(shape("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part }));
  if (hasLimit)
    svg.append(shape("line", { class: "limit", x1: 0, x2: WIDTH, y1: y(limit), y2: y(limit) }));
  shown.forEach(([, values], i) => {
    const points = [];
    values.forEach((v, k) => {
      if (v !== null && v !== undefined) points.push(`${x(ms[k]).toFixed(1)},${y(v).toFixed(1)}`);
    });
    svg.append(shape("polyline", { class: `s${i % 6}`, points: points.join(" ") }));
  });
  const outputs = shown.map(() => el("span", null));
  const when = el("span", null);
  const show = (k) => {
    when.textContent = clock(ms[k]);
    outputs.forEach((output, i) => { output.textContent = format(shown[i][1][k]); });
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = first + ((event.clientX - box.left) / box.width) * span;
    let k = ms.findIndex((t) => t >= at);
    if (k < 0) k = ms.length - 1;
    show(k);
  });
  show(ms.length - 1);
  return el("figure", null,
    el("figcaption", null, el("b", null, title),
      el("span", null, `at most ${format(most)}`), when,
      ...shown.map(([name], i) => el("span", null,
        el("span", { class: `s${i % 6}`, "aria-hidden": "true" }, "━ "), `${name} `, outputs[i]))),
    svg,
    el("div", { class: "axis" }, el("span", null, clock(first)), el("span", null, clock(first + span))));
}
