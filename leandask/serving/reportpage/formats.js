"use strict"; // in all files: they become one script, this one first

// Formats: how numbers are shown.

const formatNumber = new Intl.NumberFormat("en").format;
const formatTime = new Intl.DateTimeFormat([], { timeStyle: "medium" }).format;

function formatSize(bytes) {
  if (bytes === null) return "unknown";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (bytes >= 1024 && i < units.length - 1) { bytes /= 1024; i += 1; }
  const digits = i === 0 || bytes >= 100 ? 0 : bytes >= 10 ? 1 : 2;
  return `${bytes.toFixed(digits)}\u00a0${units[i]}`;
}

// The two largest units: "3 d 4 h", "28 s".
function formatDuration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const largest = units.findIndex(([, length]) => seconds >= length);
  if (largest < 0) return "0\u00a0s";
  return units.slice(largest, largest + 2).map(([unit, length]) => {
    const whole = Math.floor(seconds / length);
    seconds -= whole * length;
    return `${whole}\u00a0${unit}`;
  }).join(" ");
}

function formatPause(seconds) {
  return `${(seconds * 1000).toFixed(1)}\u00a0ms`;
}

function formatCount(number, noun) {
  return `${formatNumber(number)} ${noun}${number === 1 ? "" : "s"}`;
}
