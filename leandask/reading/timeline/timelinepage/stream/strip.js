// Strip: draws the spans of rows into pixels. Runs are many more than pixels, so that each
// pixel of a row gets the share of its time in which the thread computed, and the color of
// what took most of it.

const PHASE_COLORS = ["--transfer", "--disk", "--deserialize"];

class Strip {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
  }

  // Make room for so many pixels, and forget what was drawn. A time is at the pixel
  // `shift + time * scale`; a row has a bar, and below it what came before each run.
  begin(width, height, { shift, scale, barHeight, waitHeight, colors }) {
    Object.assign(this, { shift, scale, barHeight, waitHeight, colors });
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
      this.image = this.context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
      // Of each pixel of a row: the share that is taken, the largest part of it, its
      // kind, and the same of what came before a run. Runs that erred always show.
      this.share = new Float32Array(width);
      this.most = new Float32Array(width);
      this.kind = new Uint16Array(width);
      this.erred = new Uint8Array(width);
      this.waited = new Float32Array(width);
      this.phase = new Uint8Array(width);
    }
    this.pixels.fill(0);
  }

  // Draw the spans of a row that are visible, from so many pixels below the top.
  drawRow(level, row, top) {
    const { shift, scale } = this, end = level.offsets[row + 1];
    const until = (this.canvas.width - shift) / scale;
    for (const column of [this.share, this.most, this.erred, this.waited]) column.fill(0);
    let i = lowerBound(level.reach, level.offsets[row], end, -shift / scale);
    // What came before a run that starts after the range may be within it: one more.
    for (; i < end; i++) {
      const from = shift + level.start[i] * scale, to = shift + level.end[i] * scale;
      const before = level.transfer[i] + level.disk[i] + level.deserialize[i];
      if (before) this.addWaits(level, i, from, to);
      if (level.start[i] > until) break;
      this.addSpan(level, i, from, to);
    }
    this.compose(top);
  }

  addSpan(level, i, from, to) {
    const { share, most, kind } = this, width = this.canvas.width, of = level.kind[i];
    const density = to > from && level.runs[i] > 1
      ? Math.min(level.busy[i] / (level.end[i] - level.start[i]), 1) : 1;
    const left = Math.floor(from), last = Math.min(Math.max(Math.ceil(to), left + 1), width);
    for (let x = Math.max(left, 0); x < last; x++) {
      // However short it was.
      const part = Math.max(density * (Math.min(to, x + 1) - Math.max(from, x)), 0.001);
      share[x] += part;
      if (part > most[x]) { most[x] = part; kind[x] = of; }
    }
    // At least two pixels.
    if (of & 1) this.erred.fill(1, Math.max(left, 0), Math.max(last, left + 2, 0));
  }

  // What came before a run ends at its start. Of merged runs, only its sum is known.
  addWaits(level, i, from, to) {
    const isOne = level.runs[i] === 1;
    PHASES.reduceRight((end, name, phase) => {
      const length = level[name][i] * this.scale;
      if (!length) return end;
      const room = Math.max(to - from, 0.01);
      if (isOne) this.addWait(end - length, end, 1, phase);
      else this.addWait(from, from + room, Math.min(length / room, 1), phase);
      return end - length;
    }, from);
  }

  addWait(from, to, density, phase) {
    const last = Math.min(Math.ceil(to), this.canvas.width);
    for (let x = Math.max(Math.floor(from), 0); x < last; x++) {
      const part = density * (Math.min(to, x + 1) - Math.max(from, x));
      if (part > this.waited[x]) { this.waited[x] = part; this.phase[x] = phase; }
    }
  }

  compose(top) {
    const { pixels, share, kind, erred, waited, phase, colors } = this;
    const width = this.canvas.width, under = top + this.barHeight;
    for (let x = 0; x < width; x++) {
      if (share[x] || erred[x]) {
        const color = erred[x] ? colors.erred : colors.kinds[kind[x] >> 1];
        // Even a short run shows; idle time makes it paler.
        const alpha = erred[x] ? 255 : Math.round(255 * Math.min(0.35 + 0.65 * share[x], 1));
        const value = (alpha << 24 | color) >>> 0;
        for (let y = top, at = top * width + x; y < under; y++, at += width)
          pixels[at] = value;
      }
      if (waited[x]) {
        const alpha = Math.round(255 * Math.min(0.3 + 0.7 * waited[x], 1));
        const value = (alpha << 24 | colors.phases[phase[x]]) >>> 0;
        for (let y = 0, at = under * width + x; y < this.waitHeight; y++, at += width)
          pixels[at] = value;
      }
    }
  }

  // Draw what was composed onto a canvas, in its pixels.
  paste(context, x, y) {
    this.context.putImageData(this.image, 0, 0);
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.canvas, x, y);
    context.restore();
  }
}
