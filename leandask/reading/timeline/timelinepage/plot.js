// Plots: canvases that share the axis of time.

// Colors of the style by the name of their variable; emptied if the color scheme changes.
let colors = {};
const colorOf = name => {
  colors[name] ??= getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return colors[name];
};
// Pixels: the height of the axis of time, and the margins of a plot. The margin on the
// right has room for the scrollbar of the lanes.
const AXIS = 20, RIGHT = 16, TOP = 6;
// How far the keys move the range, with Shift.
const SHARES = { ArrowLeft: -0.2, ArrowRight: 0.2 };

class Plot {
  // `draw` is called with the plot, whose context is clipped to what is within the axes.
  // Options: `axis: false` leaves the axis of time out; `fades` makes pale what follows a
  // killed scheduler; `describe` yields lines of the tooltip, `facts` what it has instead
  // of the counts; `onKey` is called first; `scrollBox` scrolls the plot.
  constructor(parent, label, height, draw, options = {}) {
    this.height = height;
    this.draw = draw;
    this.axisHeight = options.axis === false ? 0 : AXIS;
    this.describe = options.describe;
    this.facts = options.facts;
    this.onKey = options.onKey;
    this.scrollBox = options.scrollBox;
    this.fades = options.fades;
    this.canvas = makeElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", label);
    parent.append(this.canvas);
    this.context = this.canvas.getContext("2d");
    plots.push(this);
    new ResizeObserver(redraw).observe(this.canvas);
    this.addListeners();
    addGestures(this);
  }

  get right() { return this.left + this.plotWidth; }

  x(ms) { return this.left + (ms - view[0]) / (view[1] - view[0]) * this.plotWidth; }
  time(x) { return view[0] + (x - this.left) / this.plotWidth * (view[1] - view[0]); }

  paint() {
    const ratio = window.devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    if (!width) return;
    const pixels = [Math.round(width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== pixels[0] || this.canvas.height !== pixels[1]) {
      [this.canvas.width, this.canvas.height] = pixels;
      this.canvas.style.height = `${this.height}px`;
    }
    const context = this.context;
    // All plots have the same width: a scrollbar must not shift the times of one of them.
    const shared = byId("schedulers").clientWidth;
    this.left = shared < 520 ? 38 : 52;
    this.plotWidth = shared - this.left - RIGHT;
    this.canvas.dataset.left = this.left;
    this.canvas.dataset.right = RIGHT;
    this.baseline = this.height - this.axisHeight;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, this.height);
    context.font = '12px system-ui, -apple-system, "Segoe UI", sans-serif';
    context.textBaseline = "alphabetic";
    this.drawTimeAxis();
    this.numberLabels = [];
    context.save();
    context.beginPath();
    context.rect(this.left, 0, this.plotWidth, this.height);
    context.clip();
    this.draw(this);
    this.drawEnds();
    if (brush) {
      const [a, b] = [this.x(brush[0]), this.x(brush[1])];
      context.globalAlpha = 0.16;
      context.fillStyle = colorOf("--accent");
      context.fillRect(Math.min(a, b), 0, Math.abs(b - a), this.baseline);
      context.globalAlpha = 1;
    }
    if (cursor !== null) this.drawTime(cursor, colorOf("--text"), []);
    context.restore();
    // They are left of what the plot is clipped to.
    context.fillStyle = colorOf("--soft");
    context.textAlign = "right";
    for (const [text, y] of this.numberLabels) context.fillText(text, this.left - 7, y);
  }

  drawTime(ms, style, dash) {
    const context = this.context, x = Math.round(this.x(ms)) + 0.5;
    context.strokeStyle = style;
    context.setLineDash(dash);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, this.baseline);
    context.stroke();
    context.setLineDash([]);
  }

  // The ends of schedulers, in every plot: what follows belongs to another scheduler.
  drawEnds() {
    for (const run of data.schedulers) {
      if (run.fate === "killed") {
        // From here to the next start, no level is known.
        if (this.fades) {
          const a = this.x(run.last), b = this.x(run.end);
          this.context.globalAlpha = 0.6;
          this.context.fillStyle = colorOf("--panel");
          this.context.fillRect(a, 0, b - a, this.baseline);
          this.context.globalAlpha = 1;
        }
        this.drawTime(run.last, colorOf("--bad"), [3, 3]);
      }
      if (run.fate === "stopped") this.drawTime(run.end, colorOf("--soft"), [3, 3]);
    }
  }

  drawTimeAxis() {
    const context = this.context;
    // A label needs 86 pixels.
    const least = (view[1] - view[0]) / this.plotWidth * 86;
    const step = TICK_STEPS.find(each => each >= least) || TICK_STEPS.at(-1);
    context.strokeStyle = colorOf("--grid");
    context.fillStyle = colorOf("--soft");
    context.textAlign = "center";
    context.lineWidth = 1;
    for (let ms = Math.ceil(view[0] / step) * step; ms <= view[1]; ms += step) {
      const x = Math.round(this.x(ms)) + 0.5;
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, this.baseline + (this.axisHeight ? 4 : 0));
      context.stroke();
      if (!this.axisHeight) continue;
      const label = formatTick(ms, step), half = context.measureText(label).width / 2;
      if (x - half >= 0 && x + half <= this.canvas.clientWidth)
        context.fillText(label, x, this.baseline + 16);
    }
    if (!this.axisHeight) return;
    context.strokeStyle = colorOf("--edge");
    context.beginPath();
    context.moveTo(this.left, this.baseline + 0.5);
    context.lineTo(this.right, this.baseline + 0.5);
    context.stroke();
  }

  // Draw an axis of whole numbers from zero; return what turns a number into pixels.
  drawNumberAxis(most, above = TOP) {
    const context = this.context, room = this.baseline - above;
    const rough = Math.max(most, 1) / Math.max(2, Math.floor(room / 42));
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].find(n => n * power >= rough) * power);
    // Just above the highest number: the next tick could be far above it.
    const top = Math.max(most * 1.04, 1);
    const y = n => this.baseline - n / top * room;
    context.strokeStyle = colorOf("--grid");
    for (let n = 0; n <= top; n += step) {
      const at = Math.round(y(n)) + 0.5;
      if (n) {
        context.beginPath();
        context.moveTo(this.left, at);
        context.lineTo(this.right, at);
        context.stroke();
      }
      this.numberLabels.push([formatShort(n), at + 4]);
    }
    return y;
  }

  addListeners() {
    const canvas = this.canvas;
    // Where the button was pressed, or null.
    let from = null;
    const xOf = event => {
      const x = event.clientX - canvas.getBoundingClientRect().left;
      return Math.min(Math.max(x, this.left), this.right);
    };
    canvas.addEventListener("pointerdown", event => {
      if (event.button || isGesture(event)) return;
      from = xOf(event);
      canvas.setPointerCapture(event.pointerId);
      showCursor(this, this.time(from), event);
    });
    canvas.addEventListener("pointermove", event => {
      const x = xOf(event);
      if (from !== null && Math.abs(x - from) > 4) brush = [this.time(from), this.time(x)];
      showCursor(this, this.time(x), event);
    });
    canvas.addEventListener("pointerup", () => {
      const chosen = brush;
      from = brush = null;
      if (!chosen) return;
      // The pointer will be over another time.
      hideCursor();
      showRange(Math.min(...chosen), Math.max(...chosen));
    });
    canvas.addEventListener("pointercancel", () => { from = brush = null; hideCursor(); });
    canvas.addEventListener("lostpointercapture", () => { from = brush = null; redraw(); });
    canvas.addEventListener("pointerleave", () => { if (from === null) hideCursor(); });
    canvas.addEventListener("blur", hideCursor);
    canvas.addEventListener("dblclick", showAll);
    canvas.addEventListener("wheel", event => {
      const box = this.scrollBox;
      const scrolls = box && box.scrollHeight > box.clientHeight + 1;
      if (scrolls && !event.shiftKey && !event.ctrlKey) return;
      // Some browsers count in lines, of 30 pixels here.
      const pixels = event.deltaMode ? event.deltaY * 30 : event.deltaY;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        moveBy(event.deltaX / this.plotWidth);
        return;
      }
      // If all is visible already, the wheel scrolls the page.
      if (pixels > 0 && view === FULL) return;
      event.preventDefault();
      zoomBy(Math.exp(Math.min(Math.max(pixels, -300), 300) * 0.0015), this.time(xOf(event)));
    }, { passive: false });
    canvas.addEventListener("keydown", event => {
      const bins = {
        ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity,
      };
      if (event.shiftKey && event.key in SHARES) moveBy(SHARES[event.key]);
      else if (this.onKey && this.onKey(event.key));
      else if (event.key in bins) stepCursor(this, bins[event.key]);
      else if (event.key === "+" || event.key === "=") zoomBy(0.5, cursor ?? undefined);
      else if (event.key === "-") zoomBy(2, cursor ?? undefined);
      else return;
      event.preventDefault();
    });
  }
}

const visibleBins = () => [binAfter(view[0]), binAfter(view[1])];

// Trace the levels of bins as steps: a level holds from the start of its bin to the start
// of the next one. Return where the steps end.
const traceLevels = (plot, levelAt, y, from, to) => {
  const context = plot.context;
  let level = y(from ? levelAt(from - 1) : 0);
  context.lineTo(plot.left - 1, level);
  for (let i = from; i < to; i++) {
    const x = plot.x(starts[i]);
    context.lineTo(x, level);
    level = y(levelAt(i));
    context.lineTo(x, level);
  }
  // After the end of the log, no level is known.
  const right = Math.min(plot.x(data.end), plot.right + 1);
  context.lineTo(right, level);
  return right;
};
const fillLevels = (plot, levelAt, y, from, to, fill) => {
  const context = plot.context;
  context.beginPath();
  context.moveTo(plot.left - 1, plot.baseline);
  const right = traceLevels(plot, levelAt, y, from, to);
  context.lineTo(right, plot.baseline);
  context.closePath();
  context.fillStyle = fill;
  context.fill();
};

// Draw a name in at most so many pixels. The name may be cut, the rest may not.
const drawLabel = (plot, x, y, room, name, rest = "") => {
  const context = plot.context;
  context.textAlign = "left";
  context.fillStyle = colorOf("--text");
  name = name.slice(0, 120);
  if (context.measureText(name + rest).width > room) {
    // A letter is 6.6 pixels wide on average.
    const letters = Math.floor(room / 6.6) - rest.length - 1;
    name = letters >= 6 ? `${name.slice(0, letters)}…` : "";
    if (!name) rest = rest.slice(3);
  }
  if (context.measureText(name + rest).width <= room) context.fillText(name + rest, x, y);
};
