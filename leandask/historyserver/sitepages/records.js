// Records: events with filters, and the story of a task.
const FILTERS = { topic: "", action: "remove-worker", event_name: "dask.event", worker: "tcp://", client: "", level: "WARNING", since: "1 hour", until: "" };

function line(record) {
  const what = record.event_name === "dask.task.transition"
    ? `${record.task_start} → ${record.task_finish} ${record.task_key} (${record.stimulus_id})`
    : record.message || record.event_name;
  const bad = record.severity_number >= 13;
  const { message, ...rest } = record;
  return el("details", null,
    el("summary", null, `${time(record.timestamp)} `,
      el("span", { class: bad ? "bad" : "soft" }, record.severity), ` ${what}`),
    fields(Object.entries(rest).map(([n, v]) => [n, typeof v === "object" ? JSON.stringify(v) : v])));
}

// A form whose fields are parameters of the page's address.
function form(fieldsOf, onSubmit, label) {
  const inputs = Object.entries(fieldsOf).map(([name, hint]) => el("label", name === "key" ? { class: "wide" } : null,
    name.replace("_", " "), el("input", { name, value: parameter(name), placeholder: hint })));
  return el("form", {
    class: "search",
    onsubmit: (event) => {
      event.preventDefault();
      remember(Object.fromEntries(new FormData(event.target)));
      onSubmit();
    },
  }, ...inputs, el("button", null, label));
}

function events(view, run) {
  const list = el("div"), more = el("button", { type: "button", hidden: "" }, "Show older");
  let last = 0;
  async function load(isMore) {
    if (!isMore) { last = 0; fill(list, el("p", { class: "soft" }, "Reading the log …")); }
    const query = new URLSearchParams({ limit: 100 });
    for (const name of Object.keys(FILTERS)) if (parameter(name)) query.set(name, parameter(name));
    if (last) query.set("before", last);
    try {
      const found = await ask(`/runs/${run}/events?${query}`);
      if (!isMore) fill(list);
      list.append(...found.records.map(line));
      if (!list.children.length) fill(list, el("p", { class: "soft" }, "No record matches."));
      if (found.records.length) last = found.records[found.records.length - 1].seq;
      more.hidden = !found.has_more;
    } catch (error) {
      fill(list, el("p", { class: "problem" }, error.message));
    }
  }
  more.addEventListener("click", () => load(true));
  fill(view, form(FILTERS, () => load(false), "Filter"), list, more);
  return load(false);
}

function story(view, run) {
  const list = el("div");
  async function load() {
    if (!parameter("key")) return;
    fill(list, el("p", { class: "soft" }, "Reading the log …"));
    try {
      const found = await ask(`/runs/${run}/story?${new URLSearchParams({ key: parameter("key") })}`);
      fill(list, ...found.records.map(line),
        found.records.length ? null : el("p", { class: "soft" }, "No record of this key or stimulus."),
        found.has_more ? el("p", { class: "soft" }, "There are more; the log has all.") : null);
    } catch (error) {
      fill(list, el("p", { class: "problem" }, error.message));
    }
  }
  fill(view, form({ key: "key of a task" }, load, "Show"), list);
  return load();
}
