// Tables of the histories and of the last warnings.

// Histories that have a bound for each holder, and one in bytes for all of them.
const BOUNDED_EACH = { events: "per topic", messages: "per connection" };

// Cells of each history, by its name.
const historyCells = new Map();

function showHistories(histories) {
  let bytes = 0, bound = 0;
  for (const [name, history] of Object.entries(histories)) {
    showHistory(name, history);
    if (name === "event-bytes") continue; // counted with the events
    bytes += history.bytes;
    bound = bound === null || history.bound_bytes === null ? null
      : bound + history.bound_bytes;
  }
  setValueAndBound(byId("histories-bytes"), formatSize(bytes), formatBound(bound));
}

function showHistory(name, { kept, bound, bytes, bound_bytes: boundBytes, seen }) {
  if (!historyCells.has(name)) historyCells.set(name, addHistory(name));
  const cells = historyCells.get(name), each = BOUNDED_EACH[name];
  const format = name === "event-bytes" ? formatSize : formatNumber;
  const keptText = format(kept);
  const boundText = formatBound(bound, format)
    + (each && bound !== null ? ` ${each}` : "");
  const [value, most] = each ? [bytes, boundBytes] : [kept, bound];
  setBar(cells.bar, value, most, `${keptText} of ${boundText}`);
  setValueAndBound(cells.kept, keptText, boundText);
  setValueAndBound(cells.bytes, formatSize(bytes), formatBound(boundBytes));
  const evicted = Math.max(seen - kept, 0);
  setText(cells.seen, seen === null ? "–" : formatNumber(seen));
  setText(cells.evicted, seen === null ? "–" : formatNumber(evicted));
}

function formatBound(bound, format = formatSize) {
  return bound === null ? "unbounded" : format(bound);
}

function addHistory(name) {
  const row = addRow(byId("histories").querySelector("table"));
  row.dataset.history = name;
  const title = document.createElement("th");
  title.scope = "row";
  title.setAttribute("role", "rowheader");
  title.textContent = name.replaceAll("-", " ");
  row.append(title);
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-label", `${title.textContent} against the bound`);
  addCell(row, "fill", "fill").append(bar);
  return {
    bar,
    kept: addCell(row, "kept"),
    bytes: addCell(row, "bytes", "bytes"),
    seen: addCell(row, "seen", "past"),
    evicted: addCell(row, "evicted", "past"),
  };
}

let shownWarnings = "";

function showWarnings(warnings) {
  // Making the rows again would lose a selection.
  const json = JSON.stringify(warnings);
  if (json === shownWarnings) return;
  shownWarnings = json;
  const table = byId("warnings").querySelector("table");
  table.hidden = !warnings.length;
  byId("no-warnings").hidden = warnings.length > 0;
  table.tBodies[0].replaceChildren();
  for (const { timestamp, severity, message } of warnings) {
    const row = addRow(table);
    const time = document.createElement("time");
    time.dateTime = timestamp;
    time.textContent = new Date(timestamp).toLocaleString();
    addCell(row, "time", "soft").append(time);
    const tone = severity === "WARNING" ? "is-warn" : "is-bad";
    setText(addCell(row, "severity"), severity, tone);
    setText(addCell(row, "message"), message);
  }
}
