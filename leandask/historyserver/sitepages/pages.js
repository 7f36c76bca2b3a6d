// Pages: starts what each page needs, and follows what still runs.
const page = document.body.dataset, view = document.getElementById("view");
const SECTIONS = {
  overview: async (run) => overview(note(await ask(`/runs/${run}/overview`))),
  tasks: async (run) => tasks(await all(run, "tasks")),
  errors: async (run) => errors(await all(run, "errors"), run),
  workers: async (run) => workers(await all(run, "workers")),
};

// Whether what is shown is of the log as it is now: of one that grows, an answer serves
// for a while.
let isCurrent = true;

function note(found) {
  isCurrent = found.current;
  return found;
}

// Return all rows of a section, up to ten answers.
async function all(run, name) {
  const rows = [];
  for (let i = 0; i < 10; i += 1) {
    const found = note(await ask(`/runs/${run}/${name}?limit=${MOST}&offset=${rows.length}`));
    rows.push(...found[name]);
    if (rows.length >= found.total) break;
  }
  return rows;
}

async function show() {
  const waited = showProgress(document.getElementById("waiting"));
  try {
    fill(view, ...(await SECTIONS[page.view](page.run)));
  } catch (error) {
    fill(view, el("p", { class: "problem" }, error.message));
    isCurrent = true; // until its log changes
  }
  waited();
}

// Show how much of the log was read; return what ends it.
function showProgress(line) {
  if (!line) return () => null;
  const bar = el("progress", { max: 100, value: 0, "aria-label": "Part of the log that was read" });
  const timer = setInterval(async () => {
    const found = await ask(`/runs/${page.run}/progress?part=${page.view}`).catch(() => ({}));
    if (!found.percent) return;
    bar.value = found.percent;
    if (!bar.isConnected) line.append(bar);
  }, 500);
  return () => clearInterval(timer);
}

const SHOWN = {
  ended: time, duration: seconds, tasks: number, erred: number, workers_max: number,
  workers_lost: number, dropped: number, reason: (text) => text || "",
};

// Follow a run until it ends. A section is asked for again once it has been answered. A
// tab that is not looked at follows nothing: a browser has six connections to a server.
function follow() {
  let source, timer, last = "", isAsking = false, isStale = false;
  async function refresh() {
    isStale = true;
    if (isAsking) return;
    isAsking = true;
    while (isStale && !document.hidden) {
      isStale = false;
      const start = Date.now();
      await show();
      // No more than a fifth of the time.
      await pause(Math.max(2000, 4 * (Date.now() - start)));
      isStale = isStale || !isCurrent;
    }
    isAsking = false;
  }
  function see(event) {
    if (event.data === last) return; // as before the tab was left
    last = event.data;
    tell(JSON.parse(last));
    if (SECTIONS[page.view]) refresh();
  }
  function listen() {
    clearTimeout(timer);
    if (source) source.close();
    if (document.hidden) return;
    if (isStale) refresh();
    source = new EventSource(`${base}/api/v1/runs/${page.run}/live`);
    source.addEventListener("run", see);
    source.addEventListener("end", end);
    source.addEventListener("error", (event) => { // it tries again by itself, but if refused
      if (event.target === source && source.readyState === EventSource.CLOSED) timer = setTimeout(listen, 10000);
    });
  }
  function end() {
    source.close();
    document.removeEventListener("visibilitychange", listen);
  }
  document.addEventListener("visibilitychange", listen);
  isStale = Boolean(SECTIONS[page.view]);
  listen();
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Show what the list has of a run.
function tell(run) {
  for (const element of document.querySelectorAll("[data-field]")) {
    const name = element.dataset.field;
    if (name === "rss_peak") element.textContent = run.rss_limit ? `${bytes(run.rss_peak)} of ${bytes(run.rss_limit)}` : bytes(run.rss_peak);
    else element.textContent = SHOWN[name](run[name]);
  }
  const state = document.getElementById("state");
  state.textContent = run.state.replace("-", ", probably for ");
  state.className = `state ${run.state}`;
}

// Bring the list up to date, unless someone is about to use it.
async function refreshRuns() {
  const old = document.getElementById("runs");
  if (document.hidden || old.contains(document.activeElement) || old.querySelector("input:checked")) return;
  try {
    const response = await fetch(location.href);
    if (!response.ok) return;
    const found = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = found.getElementById("runs");
    if (fresh && fresh.outerHTML !== old.outerHTML) old.replaceWith(document.adoptNode(fresh));
  } catch { /* the server is away; the next time will tell */ }
}

if (page.page === "runs") setInterval(refreshRuns, 5000);
if (page.page === "compare")
  ask(`/compare?a=${page.a}&b=${page.b}`).then(
    (found) => fill(view, ...comparison(found)),
    (error) => fill(view, el("p", { class: "problem" }, error.message)));
if (page.page === "run") {
  const goesOn = page.state === "running";
  if (page.view === "events") events(view, page.run);
  else if (page.view === "story") story(view, page.run);
  else if (SECTIONS[page.view]) { if (!goesOn) show(); } // else it is followed
  else {
    const line = document.getElementById("waiting"), frame = document.querySelector("iframe");
    const waited = showProgress(line);
    const end = () => { waited(); line.remove(); };
    frame.addEventListener("load", end);
    frame.src = frame.dataset.src;
  }
  if (goesOn) follow();
}
