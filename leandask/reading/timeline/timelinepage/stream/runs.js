// Runs: unpacks the runs of tasks. All their times are in microseconds since the start of
// the data. A span is one run, or several short ones that were merged.

// The longest runs and those that erred have a key: columns, by row and start.
let details = null;
// Spans by level, the finest first.
const levels = [];

// Bytes of base64 that deflate made. No request is made, which the policy would refuse.
const inflate = async text => {
  const packed = atob(text), bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

// A level of n spans of the rows that begin at these offsets.
const makeLevel = (n, width) => ({
  n, width,
  offsets: new Uint32Array(data.runs.rows.length + 1),
  start: new Float64Array(n), end: new Float64Array(n), busy: new Float64Array(n),
  transfer: new Float32Array(n), disk: new Float32Array(n), deserialize: new Float32Array(n),
  runs: new Uint32Array(n), kind: new Uint16Array(n),
  // The latest end of this span of its row and of those before it.
  reach: new Float64Array(n),
});

const PHASES = ["transfer", "disk", "deserialize"];
const COLUMNS = ["start", "end", "busy", ...PHASES, "runs", "kind"];

// A column is packed in planes: the lowest byte of each number, then the next one.
const readColumn = (bytes, n, name, column) => {
  data.runs.spans.planes.forEach(([of, k], plane) => {
    if (of !== name) return;
    const factor = 256 ** k, at = plane * n;
    for (let i = 0; i < n; i++) column[i] += bytes[at + i] * factor;
  });
  return column;
};

const readSpans = bytes => {
  const rows = data.runs.rows, n = rows.reduce((sum, row) => sum + row.spans, 0);
  const level = makeLevel(n, 0);
  const numbers = name => readColumn(bytes, n, name, new Float64Array(n));
  for (const name of [...PHASES, "kind"])
    readColumn(bytes, n, name, level[name]);
  readColumn(bytes, n, "n", level.runs);
  const gap = numbers("gap"), length = numbers("length"), idle = numbers("idle");
  let i = 0;
  rows.forEach((row, r) => {
    let time = 0;
    for (const to = i + row.spans; i < to; i++) {
      // In zigzag, so that a gap can be below zero.
      time += gap[i] % 2 ? -(gap[i] + 1) / 2 : gap[i] / 2;
      level.start[i] = time;
      level.end[i] = time += length[i];
      level.busy[i] = length[i] - idle[i];
    }
    level.offsets[r + 1] = i;
    sortRow(level, r);
  });
  return measureReach(level);
};

// Most rows are in the order of time. A task that left its thread comes late.
const sortRow = (level, r) => {
  const from = level.offsets[r], to = level.offsets[r + 1], start = level.start;
  let i = from + 1;
  while (i < to && start[i - 1] <= start[i]) i++;
  if (i >= to) return;
  const order = Uint32Array.from({ length: to - from }, (_, k) => from + k);
  order.sort((a, b) => start[a] - start[b]);
  for (const name of COLUMNS) {
    const column = level[name];
    column.set(Array.from(order, k => column[k]), from);
  }
};

const measureReach = level => {
  for (let r = 0; r < data.runs.rows.length; r++) {
    let latest = -Infinity;
    for (let i = level.offsets[r]; i < level.offsets[r + 1]; i++)
      level.reach[i] = latest = Math.max(latest, level.end[i]);
  }
  return level;
};

// Merge runs of a row and a kind that are shorter than a width and start within it, so
// that a level has few spans in a pixel.
const coarser = (fine, width) => {
  const into = new Uint32Array(fine.n), offsets = new Uint32Array(fine.offsets.length);
  const open = new Int32Array(2 * data.runs.prefixes.length).fill(-1);
  let n = 0;
  for (let r = 0; r + 1 < fine.offsets.length; r++) {
    let cell = -1, first = n;
    for (let i = fine.offsets[r]; i < fine.offsets[r + 1]; i++) {
      const kind = fine.kind[i], at = Math.floor(fine.start[i] / width);
      // `first`: what is open from before it belongs to another cell.
      if (at !== cell) { cell = at; first = n; }
      if (fine.end[i] - fine.start[i] >= width) { into[i] = n++; first = n; continue; }
      if (open[kind] < first) open[kind] = n++;
      into[i] = open[kind];
    }
    offsets[r + 1] = n;
  }
  const level = makeLevel(n, width);
  level.offsets.set(offsets);
  level.start.fill(Infinity);
  for (let i = 0; i < fine.n; i++) {
    const k = into[i];
    level.start[k] = Math.min(level.start[k], fine.start[i]);
    level.end[k] = Math.max(level.end[k], fine.end[i]);
    level.busy[k] += fine.busy[i];
    level.transfer[k] += fine.transfer[i];
    level.disk[k] += fine.disk[i];
    level.deserialize[k] += fine.deserialize[i];
    level.runs[k] += fine.runs[i];
    level.kind[k] = fine.kind[i];
  }
  return measureReach(level);
};

// Widths of the levels in microseconds: each is four times that of the one before.
const FIRST_WIDTH = 64, WIDER = 4;
// So many spans are drawn in no time.
const FEW = 20000;

const makeLevels = finest => {
  levels.push(finest);
  const whole = (data.end - data.start) * 1000;
  for (let width = FIRST_WIDTH; width < whole && levels.at(-1).n > FEW; width *= WIDER) {
    const level = coarser(levels.at(-1), width);
    // One that is hardly smaller only takes memory.
    if (level.n * 2 <= levels.at(-1).n) levels.push(level);
  }
};

const readDetails = bytes => {
  const found = JSON.parse(new TextDecoder().decode(bytes));
  let time = 0;
  found.starts = Float64Array.from(found.starts, step => time += step);
  return found;
};

const unpackRuns = async () => {
  const [spans, texts] = await Promise.all(
    [inflate(data.runs.spans.bytes), inflate(data.runs.details.bytes)],
  );
  makeLevels(readSpans(spans));
  details = readDetails(texts);
};

// Index of the first number of a sorted column, from one index to another, that is at
// least so much.
const lowerBound = (column, low, high, least) => {
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle] < least) low = middle + 1; else high = middle;
  }
  return low;
};

// Index of the details of a run, or -1.
const detailsOf = (row, start) => {
  const from = lowerBound(details.rows, 0, details.rows.length, row);
  const to = lowerBound(details.rows, from, details.rows.length, row + 1);
  const i = lowerBound(details.starts, from, to, start);
  return i < to && details.starts[i] === start ? i : -1;
};
