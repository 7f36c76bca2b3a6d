// Prefixes of tasks: their colors and their legend.

// The prefix that is highlighted, or null.
let highlighted = null;
const HUES = 17, TIERS = 3, SLOTS = HUES * TIERS;

const hashOf = text => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++)
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  // Else names that differ in their last digit alone would look alike.
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  return (hash ^ hash >>> 13) >>> 0;
};

// The slot of each prefix: that of its name, so that it has the same color in each page,
// or the next one if a prefix that took longer has that.
const slotsOf = prefixes => {
  const slots = new Array(prefixes.length), taken = new Set();
  for (const [index, { name }] of byCompute(prefixes)) {
    let slot = hashOf(name) % SLOTS;
    while (taken.size < SLOTS && taken.has(slot)) slot = (slot + 1) % SLOTS;
    taken.add(slot);
    slots[index] = slot;
  }
  return slots;
};
const byCompute = prefixes =>
  [...prefixes.entries()].sort(([, a], [, b]) => b.compute - a.compute);

const rgbOf = (hue, saturation, lightness) => [0, 8, 4].map(n => {
  const k = (n + hue / 30) % 12, most = saturation * Math.min(lightness, 1 - lightness);
  return Math.round(255 * (lightness - most * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
});
// No red: that of runs that erred is one.
const slotColor = slot => {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const lightness = [0.5, 0.66, 0.37][slot % TIERS] + (isDark ? 0.06 : 0);
  return rgbOf(28 + Math.floor(slot / TIERS) * 18, 0.5, lightness);
};

const prefixSlots = data.runs ? slotsOf(data.runs.prefixes) : [];

const showLegend = element => {
  const buttons = byCompute(data.runs.prefixes).map(([index, prefix]) => {
    const button = makeElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    const swatch = makeElement("i");
    button.append(
      swatch, makeElement("span", prefix.name), makeElement("b", formatNumber(prefix.runs)),
    );
    button.title = `${formatMicroseconds(Math.round(prefix.compute * 1e6))} of computing`;
    button.addEventListener("click", () => {
      highlighted = highlighted === index ? null : index;
      for (const each of buttons)
        each.setAttribute("aria-pressed", String(each === button && highlighted !== null));
      element.classList.toggle("chosen", highlighted !== null);
      redraw();
    });
    button.paint = () => { swatch.style.background = `rgb(${slotColor(prefixSlots[index])})`; };
    return button;
  });
  const paint = () => { for (const button of buttons) button.paint(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
  element.append(...buttons);
};
