// The run's columns, what follows from them, and numbers as people read them. Times are nanoseconds.

let data;
let figures;

const column = (name, row) => data.points[name]?.[row] ?? null;
const caseOf = (name, row) => data.cases[name][data.points.case[row]];
const schemeOf = (row) => caseOf("scheme", row);
const schemeName = (row) => data.schemes[schemeOf(row)].name;
const kernelName = (row) => data.kernels[data.points.kernel[row]][0];
const providerOf = (row) => data.kernels[data.points.kernel[row]][1];
const subjectOf = (row) => data.points.subject[row];
const deviceLabel = (row) => data.subjects[subjectOf(row)]?.label ?? "baseline";
const isTimed = (row) => column("median", row) !== null && subjectOf(row) >= 0;
// A case for people, as Python words it; most are layers, whose words follow from their sizes.
const caseWords = (row) => caseOf("words", row) ?? `${schemeName(row)}, M ${caseOf("m", row)}, ${layerKey(row)}`;
const layerKey = (row) => `${caseOf("n", row)}x${caseOf("k", row)}`;
const rowCount = () => data.points.subject.length;

const intensity = (row) => caseOf("flops", row) / caseOf("bytes", row) || null; // none on a log axis where nothing is multiplied
const flopsPerSecond = (row, ns = column("median", row)) => (ns === null ? null : (caseOf("flops", row) / ns) * 1e9);
const bytesPerSecond = (row) => (isTimed(row) ? (caseOf("bytes", row) / column("median", row)) * 1e9 : null);
const roofShare = (row, ns = column("median", row)) =>
  ns === null || column("roof", row) === null ? null : column("roof", row) / ns;
const flagTexts = (row) => (column("flags", row) ?? []).map((index) => data.texts[index]);
const reasonText = (row) => (column("reason", row) === null ? null : data.texts[column("reason", row)][1]);
const causeTexts = (row) => (column("causes", row) ?? []).map((index) => data.texts[index][1]);
const eventWords = (row) => data.events[column("events", row)] ?? [];
const verdictOf = (row) => (column("verdict", row) === null ? null : data.verdicts[column("verdict", row)]);
const halfWidth = (row) =>
  isTimed(row) ? (column("high", row) - column("low", row)) / 2 / column("median", row) : null;

const NONE = "-";
const SI = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
const TIMES = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]];

function significant(value, digits = 3) {
  if (value === 0) return "0";
  const whole = Math.floor(Math.log10(Math.abs(value) * (1 + 10 ** -digits / 2))) + 1;
  return value.toFixed(Math.min(20, Math.max(0, digits - whole)));
}

function scaled(value, steps, base) {
  if (value === null || value === undefined) return NONE;
  const [factor, prefix] = steps.find(([step]) => Math.abs(value) >= step * 0.9995) ?? [1, base];
  return `${significant(value / factor)} ${prefix}`;
}

const rateText = (value, unit) => (value === null ? NONE : scaled(value, SI, "") + unit);
const timeText = (value) => scaled(value, TIMES, "ns");
const shareText = (value) => (value === null ? NONE : `${(value * 100).toFixed(0)} %`);
const changeText = (ratio) => {
  if (ratio === null) return NONE;
  const size = Math.abs((ratio - 1) * 100).toFixed(1);
  return `${Number(size) ? (ratio > 1 ? "+" : "−") : ""}${size} %`;
};
const widthText = (value) => (value === null ? NONE : `${(value * 100).toFixed(1)} %`);
const errorText = (value) => (value === null ? NONE : value.toExponential(1));

// Every row flat and in base units: what the table filters, sorts and hands out as CSV or JSON.
const FIELDS = {
  device: deviceLabel,
  scheme: schemeName,
  kernel: kernelName,
  provider: (row) => data.providers[providerOf(row)].name,
  m: (row) => caseOf("m", row),
  n: (row) => caseOf("n", row),
  k: (row) => caseOf("k", row),
  status: (row) => column("status", row),
  median_ns: (row) => column("median", row),
  low_ns: (row) => column("low", row),
  high_ns: (row) => column("high", row),
  samples: (row) => column("samples", row),
  interval_of: (row) => column("basis", row),
  flops: (row) => caseOf("flops", row),
  bytes: (row) => caseOf("bytes", row),
  bound: (row) => column("bound", row),
  roof_ns: (row) => column("roof", row),
  frobenius_error: (row) => column("error", row),
  format_error: (row) => column("loss", row),
  sm_clock_mhz: (row) => column("clock", row),
  temperature_c: (row) => column("temperature", row),
  power_w: (row) => column("power", row),
  flags: (row) => flagTexts(row).map(([code]) => code).join(" "),
  reason: reasonText,
  case: (row) => caseOf("id", row),
};

const record = (row) => Object.fromEntries(Object.entries(FIELDS).map(([name, of]) => [name, of(row)]));
