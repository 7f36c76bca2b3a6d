// Plots: canvases that share the axis of time.

let css = {};
const color = name => {
  if (!(name in css)) css[name] = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return css[name];
};
// The scrollbar of the lanes lies within the margin on the right.
const AXIS = 20, RIGHT = 16, TOP = 6;

class Plot {
  // A canvas on the shared axis of time. `draw` is called with the context in place.
  constructor(parent, label, height, draw, options = {}) {
    this.parent = parent;
    this.height = height;
    this.draw = draw;
    this.bottom = options.axis === false ? 0 : AXIS;
    this.describe = options.describe;
    this.box = options.box;
    this.fades = options.fades;
    this.canvas = make("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", label);
    parent.append(this.canvas);
    this.c = this.canvas.getContext("2d");
    plots.push(this);
    new ResizeObserver(redraw).observe(this.canvas);
    this.listen();
  }

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
    const c = this.c;
    // One width for all, or a scrollbar would shift the times of one plot.
    const shared = byId("schedulers").clientWidth;
    this.left = shared < 520 ? 38 : 52;
    this.plotWidth = shared - this.left - RIGHT;
    this.canvas.dataset.left = this.left;
    this.canvas.dataset.right = RIGHT;
    this.floor = this.height - this.bottom;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, this.height);
    c.font = '12px system-ui, -apple-system, "Segoe UI", sans-serif';
    c.textBaseline = "alphabetic";
    this.ruler();
    c.save();
    c.beginPath();
    c.rect(this.left, 0, this.plotWidth, this.height);
    c.clip();
    this.draw(this);
    this.ends();
    if (brush) {
      const [a, b] = [this.x(brush[0]), this.x(brush[1])];
      c.globalAlpha = 0.16;
      c.fillStyle = color("--accent");
      c.fillRect(Math.min(a, b), 0, Math.abs(b - a), this.floor);
      c.globalAlpha = 1;
    }
    if (cursor !== null) this.line(cursor, color("--text"), []);
    c.restore();
  }

  line(ms, style, dash) {
    const c = this.c, x = Math.round(this.x(ms)) + 0.5;
    c.strokeStyle = style;
    c.setLineDash(dash);
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(x, 0);
    c.lineTo(x, this.floor);
    c.stroke();
    c.setLineDash([]);
  }

  // Ends of schedulers, in every plot: what follows belongs to another one.
  ends() {
    for (const run of data.schedulers) {
      if (run.fate === "killed") {
        // From here to the next start no level is known.
        if (this.fades) {
          const a = this.x(run.last), b = this.x(run.end);
          this.c.globalAlpha = 0.6;
          this.c.fillStyle = color("--panel");
          this.c.fillRect(a, 0, b - a, this.floor);
          this.c.globalAlpha = 1;
        }
        this.line(run.last, color("--bad"), [3, 3]);
      }
      if (run.fate === "stopped") this.line(run.end, color("--soft"), [3, 3]);
    }
  }

  ruler() {
    const c = this.c;
    const least = (view[1] - view[0]) / this.plotWidth * 86;
    const step = STEPS.find(s => s >= least) || STEPS[STEPS.length - 1];
    c.strokeStyle = color("--grid");
    c.fillStyle = color("--soft");
    c.textAlign = "center";
    c.lineWidth = 1;
    for (let ms = Math.ceil(view[0] / step) * step; ms <= view[1]; ms += step) {
      const x = Math.round(this.x(ms)) + 0.5;
      c.beginPath();
      c.moveTo(x, 0);
      c.lineTo(x, this.floor + (this.bottom ? 4 : 0));
      c.stroke();
      if (!this.bottom) continue;
      const label = tickLabel(ms, step), half = c.measureText(label).width / 2;
      if (x - half >= 0 && x + half <= this.canvas.clientWidth)
        c.fillText(label, x, this.floor + 16);
    }
    if (!this.bottom) return;
    c.strokeStyle = color("--edge");
    c.beginPath();
    c.moveTo(this.left, this.floor + 0.5);
    c.lineTo(this.left + this.plotWidth, this.floor + 0.5);
    c.stroke();
  }

  // An axis of whole numbers from zero; gives the scale.
  scale(most, above = TOP) {
    const c = this.c, room = this.floor - above;
    const rough = Math.max(most, 1) / Math.max(2, Math.floor(room / 42));
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].find(n => n * power >= rough) * power);
    // A little air, and not up to the next tick, which could be far.
    const top = Math.max(most * 1.04, 1);
    const y = n => this.floor - n / top * room;
    c.strokeStyle = color("--grid");
    for (let n = 0; n <= top; n += step) {
      const at = Math.round(y(n)) + 0.5;
      if (n) {
        c.beginPath();
        c.moveTo(this.left, at);
        c.lineTo(this.left + this.plotWidth, at);
        c.stroke();
      }
      this.yLabels.push([short(n), at + 4]);
    }
    return y;
  }

  listen() {
    const canvas = this.canvas;
    let from = null;
    const at = event => event.clientX - canvas.getBoundingClientRect().left;
    const clamp = x => Math.min(Math.max(x, this.left), this.left + this.plotWidth);
    canvas.addEventListener("pointerdown", event => {
      if (event.button) return;
      from = clamp(at(event));
      canvas.setPointerCapture(event.pointerId);
      point(this, this.time(from), event);
    });
    canvas.addEventListener("pointermove", event => {
      const x = clamp(at(event));
      if (from !== null && Math.abs(x - from) > 4) brush = [this.time(from), this.time(x)];
      point(this, this.time(x), event);
    });
    canvas.addEventListener("pointerup", () => {
      const chosen = brush;
      from = brush = null;
      if (!chosen) return;
      // The pointer is at another time now.
      leave();
      show(Math.min(...chosen), Math.max(...chosen));
    });
    canvas.addEventListener("pointercancel", () => { from = brush = null; leave(); });
    canvas.addEventListener("lostpointercapture", () => { from = brush = null; redraw(); });
    canvas.addEventListener("pointerleave", () => { if (from === null) leave(); });
    canvas.addEventListener("blur", leave);
    canvas.addEventListener("dblclick", reset);
    canvas.addEventListener("wheel", event => {
      const scrolls = this.box && this.box.scrollHeight > this.box.clientHeight + 1;
      if (scrolls && !event.shiftKey) return;
      const by = event.deltaMode ? event.deltaY * 30 : event.deltaY;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        move(event.deltaX / this.plotWidth);
        return;
      }
      // With nothing to zoom out of, the wheel scrolls the page.
      if (by > 0 && view === FULL) return;
      event.preventDefault();
      zoom(Math.exp(Math.min(Math.max(by, -300), 300) * 0.0015), this.time(clamp(at(event))));
    }, { passive: false });
    canvas.addEventListener("keydown", event => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
      if (event.key in steps) step(this, steps[event.key]);
      else if (event.key === "Home") step(this, -Infinity);
      else if (event.key === "End") step(this, Infinity);
      else if (event.key === "+" || event.key === "=") zoom(0.5, cursor ?? undefined);
      else if (event.key === "-") zoom(2, cursor ?? undefined);
      else return;
      event.preventDefault();
    });
  }
}

// Labels of the y axis lie outside of what a plot is clipped to.
const withScale = draw => plot => {
  plot.yLabels = [];
  draw(plot);
  const c = plot.c;
  c.restore();
  c.save();
  c.fillStyle = color("--soft");
  c.textAlign = "right";
  for (const [text, y] of plot.yLabels) c.fillText(text, plot.left - 7, y);
  c.beginPath();
  c.rect(plot.left, 0, plot.plotWidth, plot.height);
  c.clip();
};

// Levels hold from the start of their bin to the start of the next one.
const steps = (plot, values, y, from, to) => {
  const c = plot.c;
  let level = from ? y(values(from - 1)) : y(0);
  c.lineTo(plot.left - 1, level);
  for (let i = from; i < to; i++) {
    const x = plot.x(starts[i]);
    c.lineTo(x, level);
    level = y(values(i));
    c.lineTo(x, level);
  }
  // What comes after the log is not known.
  const right = Math.min(plot.x(data.end), plot.left + plot.plotWidth + 1);
  c.lineTo(right, level);
  return right;
};
const area = (plot, values, y, from, to, fill) => {
  const c = plot.c;
  c.beginPath();
  c.moveTo(plot.left - 1, plot.floor);
  const right = steps(plot, values, y, from, to);
  c.lineTo(right, plot.floor);
  c.closePath();
  c.fillStyle = fill;
  c.fill();
};
const visibleBins = () => [after(view[0]), after(view[1])];
