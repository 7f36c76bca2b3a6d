// Elements: makes parts of a page. Texts of a log are set as text, never as markup.
const base = document.body.dataset.base;

function el(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const number = (n) => (n === null || n === undefined ? "-" : n.toLocaleString("en"));

function bytes(n) {
  if (n === null || n === undefined) return "-";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i += 1; }
  return `${n < 10 && i ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

function seconds(s) {
  if (s === null || s === undefined) return "-";
  if (s === 0) return "0 s";
  if (s < 1e-3) return `${Math.round(s * 1e6)} µs`;
  if (s < 1) return `${Math.round(s * 1e3)} ms`;
  if (s < 120) return `${s.toFixed(s < 10 ? 2 : 1)} s`;
  if (s < 7200) return `${(s / 60).toFixed(1)} min`;
  return s < 172800 ? `${(s / 3600).toFixed(1)} h` : `${(s / 86400).toFixed(1)} d`;
}

const time = (text) => (text ? text.slice(0, 23).replace("T", " ") : "-");
const clock = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

// Return the answer of the API, or throw with what it says is wrong.
async function ask(path) {
  const response = await fetch(`${base}/api/v1${path}`);
  const found = await response.json().catch(() => ({}));
  if (response.ok) return found;
  throw new Error(found.error ? found.error.message : `error ${response.status}`);
}

// Replace what is in an element, and keep the place on the page.
function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child));
}

function fields(pairs) {
  const list = el("dl", { class: "fields" });
  for (const [name, value] of pairs) {
    const text = Array.isArray(value) ? value.join(", ") : String(value ?? "-");
    list.append(el("dt", null, name.replaceAll("_", " ")), el("dd", null, text));
  }
  return list;
}

// Return the last value of a parameter of this page's address.
const parameter = (name) => new URLSearchParams(location.search).get(name) || "";

// Change parameters of the address, so that the link shows the same.
function remember(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}
