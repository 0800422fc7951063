// What the batch path and the format table draw: per format and M one mark, of one layer or of all together.

const SUM = ["scheme", "m", "ns", "low", "high", "flops", "bytes", "roof", "bound", "rank", "speed"];
const ALL_LAYERS = "all";
const WINNER = 3;
const TIE = 2;

const sumsOf = (subject) => data.subjects[subject].sums.map((values) => ({ ...Object.fromEntries(SUM.map((name, i) => [name, values[i]])), row: null, subject }));

function markOf(row) {
  return {
    scheme: schemeOf(row), m: caseOf("m", row), ns: column("median", row), low: column("low", row), high: column("high", row),
    flops: caseOf("flops", row), bytes: caseOf("bytes", row), roof: column("roof", row), bound: column("bound", row),
    rank: column("rank", row), speed: null, row, subject: subjectOf(row),
  };
}

// The best kernel of every format and M at one layer, with its speed-up over the 16-bit format that was timed there.
function layerMarks(subject, layer) {
  const marks = [];
  for (let row = 0; row < rowCount(); row++) {
    if (subjectOf(row) === subject && isTimed(row) && column("rank", row) && layerKey(row) === layer) marks.push(markOf(row));
  }
  const base = ["bf16", "fp16"].find((name) => marks.some((mark) => data.schemes[mark.scheme].name === name));
  const times = new Map(marks.filter((mark) => data.schemes[mark.scheme].name === base).map((mark) => [mark.m, mark.ns]));
  for (const mark of marks) mark.speed = times.has(mark.m) ? times.get(mark.m) / mark.ns : null;
  return marks;
}

const marksOf = (subject, layer) => (layer === ALL_LAYERS ? sumsOf(subject) : layerMarks(subject, layer));

function layerKeys() {
  const keys = new Map();
  for (const subject of data.subjects) for (const { n, k } of subject.layers) keys.set(`${n}x${k}`, n * k);
  return [...(data.subjects.some(({ sums }) => sums.length) ? [ALL_LAYERS] : []), ...keys.keys()];
}

function chosenLayer() {
  const keys = layerKeys();
  return keys.includes(state.layer) ? state.layer : keys[0];
}

const layerText = (key) => (key === ALL_LAYERS ? "all layers together" : `N ${key.replace("x", " × K ")}`);

const wins = (path) => path.filter(({ rank }) => rank >= TIE).length;

// With many paths only those that win somewhere, and bf16, have their gap and their batches drawn.
const isLead = (path, paths) => paths.length <= 4 || wins(path) > 0 || data.schemes[path[0].scheme].name === "bf16";

const markRate = (mark) => (mark.flops / mark.ns) * 1e9;
const markShare = (mark) => (mark.roof === null ? null : mark.roof / mark.ns);

function markText(mark, layer) {
  const lines = [
    `<b>${escaped(data.schemes[mark.scheme].name)}</b> M ${mark.m}, ${layerText(layer)}`,
    `${timeText(mark.ns)} [${timeText(mark.low)}, ${timeText(mark.high)}], ${rateText(markRate(mark), "FLOP/s")}`,
    `${shareText(markShare(mark))} of the measured roof, bound by ${mark.bound ?? "an unknown roof"}`,
  ];
  if (mark.speed) lines.push(`${significant(mark.speed)}× 16 bit`);
  if (data.subjects.length > 1) lines.push(escaped(data.subjects[mark.subject].label));
  return lines.join("<br>");
}
