// Tables: rows of the API, sorted by any column, a hundred at a time.
const ROWS = 100, MOST = 1000;

// Columns are [heading, value for sorting, what is shown of a row].
function table(columns, rows, details) {
  const body = el("tbody");
  let by = -1, down = true, shown = ROWS;
  const heads = columns.map(([heading], i) => el("th", null,
    el("button", { type: "button", onclick: () => sort(i) }, heading)));
  const more = el("button", { type: "button", onclick: () => { shown += ROWS; draw(); } }, "Show more");
  function sort(i) {
    down = by === i ? !down : true;
    by = i;
    const value = columns[i][1];
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const order = x === y ? 0 : (x ?? -1) < (y ?? -1) ? -1 : 1;
      return down ? -order : order;
    });
    heads.forEach((head, k) => head.setAttribute("aria-sort", k !== i ? "none" : down ? "descending" : "ascending"));
    draw();
  }
  function draw() {
    fill(body, ...rows.slice(0, shown).flatMap((row) => [
      el("tr", null, ...columns.map(([, value, show]) => {
        const made = show ? show(row) : value(row);
        return el("td", { class: typeof made === "string" && made.length > 24 ? "name" : "" }, made ?? "-");
      })),
      details ? details(row, columns.length) : null,
    ].filter((each) => each)));
    more.hidden = shown >= rows.length;
  }
  draw();
  return [el("div", { class: "scroll", tabindex: 0 }, el("table", null, el("thead", null, el("tr", null, ...heads)), body)), more];
}

const total = (row, phase) => (row[`${phase}_seconds`] || {}).total || 0;
const part = (row, phase, name) => (row[`${phase}_seconds`] || {})[name];

function tasks(rows) {
  if (!rows.length) return [el("p", { class: "soft" }, "There are no records of runs of tasks in this log.")];
  return table([
    ["Prefix", (r) => r.prefix], ["Runs", (r) => r.count, (r) => number(r.count)],
    ["Erred", (r) => r.erred, (r) => (r.erred ? el("span", { class: "bad" }, number(r.erred)) : "0")],
    ["Compute", (r) => total(r, "compute"), (r) => seconds(total(r, "compute"))],
    ["mean", (r) => part(r, "compute", "mean"), (r) => seconds(part(r, "compute", "mean"))],
    ["p50", (r) => part(r, "compute", "p50"), (r) => seconds(part(r, "compute", "p50"))],
    ["p99", (r) => part(r, "compute", "p99"), (r) => seconds(part(r, "compute", "p99"))],
    ["max", (r) => part(r, "compute", "max"), (r) => seconds(part(r, "compute", "max"))],
    ["Transfer", (r) => total(r, "transfer"), (r) => seconds(total(r, "transfer"))],
    ["Disk", (r) => total(r, "disk"), (r) => seconds(total(r, "disk"))],
    ["Deserialize", (r) => total(r, "deserialize"), (r) => seconds(total(r, "deserialize"))],
    ["Bytes", (r) => r.nbytes, (r) => bytes(r.nbytes)],
  ], rows);
}

function errors(rows, run) {
  if (!rows.length) return [el("p", { class: "soft" }, "No task erred, as far as this log tells.")];
  return rows.map((error) => el("details", { open: rows.length < 4 },
    el("summary", null, el("b", { class: "bad" }, `${number(error.count)} × `), error.text || error.type || "no exception"),
    fields([["type", error.type], ["at", error.line || "-"],
      ["prefixes", Object.entries(error.prefixes || {}).map(([p, n]) => `${p} (${n})`)]]),
    el("p", null, "first ", el("a", { href: `${base}/runs/${run}?view=story&key=${encodeURIComponent(error.first_key)}` }, error.first_key)),
    error.traceback ? el("pre", null, error.traceback) : null));
}

function workers(rows) {
  if (!rows.length) return [el("p", { class: "soft" }, "No worker is in this log.")];
  return table([
    ["Address", (r) => r.address], ["Name", (r) => r.name || ""],
    ["Joined", (r) => r.joined, (r) => time(r.joined)], ["Left", (r) => r.left, (r) => time(r.left)],
    ["Why", (r) => r.why || "", (r) => el("span", { class: r.lost ? "bad" : "" }, r.why || "")],
    ["Runs", (r) => r.count, (r) => number(r.count)], ["Erred", (r) => r.erred, (r) => number(r.erred)],
    ["Compute", (r) => r.compute_seconds, (r) => seconds(r.compute_seconds)],
  ], rows, (row, n) => {
    const lines = (row.last_words || []).map((w) => `${time(w.timestamp)} ${w.severity} ${w.message}`);
    if (row.lost && (row.processing || []).length) lines.push(`it was processing ${row.processing.join(", ")}`);
    return lines.length ? el("tr", null, el("td", { colspan: n, class: "text" }, el("pre", null, lines.join("\n")))) : null;
  });
}

function comparison(found) {
  const rows = found.prefixes.concat([{ prefix: "(all)", a: found.a.total, b: found.b.total }]);
  const columns = [["Prefix", (r) => r.prefix]];
  for (const [name, heading, format] of [["count", "Runs", number], ["erred", "Erred", number], ["seconds", "Compute", seconds], ["nbytes", "Bytes", bytes]]) {
    for (const side of ["a", "b"])
      columns.push([`${heading} ${side.toUpperCase()}`, (r) => (r[side] || {})[name], (r) => (r[side] ? format(r[side][name]) : "-")]);
    columns.push(["B − A", (r) => ((r.b || {})[name] || 0) - ((r.a || {})[name] || 0), (r) => {
      const change = ((r.b || {})[name] || 0) - ((r.a || {})[name] || 0);
      return change ? `${change < 0 ? "−" : "+"}${format(Math.abs(change))}` : "0";
    }]);
  }
  return table(columns, rows);
}
