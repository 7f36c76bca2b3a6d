// Updates: the report is fetched every two seconds, and a failure is shown.

// Milliseconds.
const INTERVAL = 2000, TIMEOUT = 10000;

let lostSince = null;

function showConnection(isLost) {
  if (!isLost) lostSince = null;
  else if (lostSince === null) lostSince = new Date();
  document.body.classList.toggle("live", !isLost);
  document.body.classList.toggle("lost", isLost);
  byId("lost").hidden = !isLost;
  if (isLost)
    setText(byId("lost"), `Not reachable since ${formatTime(lostSince)}. `
      + "The figures are from before that. "
      + `This page tries again every ${INTERVAL / 1000} seconds.`);
  setText(byId("state"), isLost ? "not reachable" : "live");
}

async function update() {
  try {
    const response = await fetch("leandask.json",
      { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
    if (!response.ok) throw new Error(response.status);
    showReport(await response.json());
    showConnection(false);
  } catch {
    showConnection(true);
  }
}

async function run() {
  if (!document.hidden) await update();
  setTimeout(run, INTERVAL);
}

run();
