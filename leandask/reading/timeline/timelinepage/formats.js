// Formats: how times and numbers are shown. All times are in UTC.

// Years go up to 9999, so a time always has this form.
const isoTime = ms => new Date(ms).toISOString();
const clockTime = ms => isoTime(ms).slice(0, 23).replace("T", " ");
const formatNumber = n => n.toLocaleString("en-US");
const formatShort = n => n >= 1e9 ? +(n / 1e9).toPrecision(3) + "G"
  : n >= 1e6 ? +(n / 1e6).toPrecision(3) + "M"
  : n >= 1e4 ? +(n / 1e3).toPrecision(3) + "k" : String(n);

// Bytes of the units of memory. Sizes are small numbers of one of them, as in words.py.
const MIB = 2 ** 20, GIB = 2 ** 30;
const unitOf = bytes => bytes >= 10 * GIB ? ["GiB", GIB, 1] : ["MiB", MIB, 0];
const formatSize = (bytes, [unit, size, digits] = unitOf(bytes)) => {
  const number = (bytes / size).toLocaleString("en-US", {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
  return `${number} ${unit}`;
};
const formatBytes = bytes => bytes >= MIB ? formatSize(bytes)
  : bytes >= 1024 ? `${formatNumber(Math.round(bytes / 1024))} KiB` : `${bytes} bytes`;

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
// The two largest units: "3 d 4 h", "28 s".
const formatDuration = ms => {
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

// Of runs of tasks: times in microseconds, of a start since that of the data.
const formatMicroseconds = us => us < 1000 ? `${us} µs`
  : us < 1e6 ? `${+(us / 1000).toFixed(3)} ms` : formatDuration(us / 1000);
const isoMicroseconds = us => {
  const ms = Math.floor(us / 1000), rest = String(us - 1000 * ms).padStart(3, "0");
  return isoTime(data.start + ms).replace("Z", `${rest}Z`);
};

// Distances between two ticks of the axis of time.
const TICK_STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map(n => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map(n => n * MINUTE),
  ...[1, 2, 3, 6, 12].map(n => n * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 365, 730, 1825, 3650, 36500, 365000].map(n => n * DAY),
];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const formatTick = (ms, step) => {
  const text = isoTime(ms);
  const date = `${+text.slice(8, 10)} ${MONTHS[text.slice(5, 7) - 1]}`;
  if (step >= 200 * DAY) return `${MONTHS[text.slice(5, 7) - 1]} ${text.slice(0, 4)}`;
  if (step >= DAY || ms % DAY === 0) return date;
  if (step >= MINUTE) return text.slice(11, 16);
  return step >= SECOND ? text.slice(11, 19) : text.slice(14, 23);
};
