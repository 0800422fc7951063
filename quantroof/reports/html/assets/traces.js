// The traces of a roofline: roofs in the color of their format, paths with the gap below the roof, single points.

const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const axis = (letter, panel) => (panel === 0 ? letter : letter + (panel + 1));
const axesOf = (view, subject) => {
  const panel = view.grid ? view.subjects.indexOf(subject) : 0;
  return { xaxis: axis("x", panel), yaxis: axis("y", panel) };
};
const faint = (shade, alpha) => `rgba(${[1, 3, 5].map((i) => parseInt(shade.slice(i, i + 2), 16)).join()},${alpha})`;
const markIntensity = (mark) => mark.flops / mark.bytes;
const markHeight = (view, mark) => (view.y === "share" ? markShare(mark) : markRate(mark));

function pathTraces(view, path, paths) {
  const [{ scheme, subject }] = path;
  const { dash, hollow, name } = data.schemes[scheme];
  const shade = color(scheme);
  const x = path.map(markIntensity);
  const y = path.map((mark) => markHeight(view, mark));
  const axes = { type: "scatter", ...axesOf(view, subject) };
  const line = {
    ...axes, mode: "lines+markers", name: escaped(name), x, y, customdata: path.map(({ row }) => row),
    hovertext: path.map((mark) => markText(mark, view.layer)), hoverinfo: "text",
    line: { color: shade, width: 2.5, dash },
    marker: { color: hollow ? ink("--ground") : shade, size: isNarrow() || printing() ? 6 : 8, line: { color: shade, width: hollow ? 2 : 0.8 } },
  };
  const roof = path.map((mark) => (view.y === "share" ? 1 : mark.roof === null ? null : (mark.flops / mark.roof) * 1e9));
  if (!isLead(path, paths) || view.grid || view.strip || path.length < 2 || roof.includes(null)) return [line];
  const gap = {
    ...axes, mode: "lines", hoverinfo: "skip", fill: "toself", fillcolor: faint(shade, 0.1), line: { width: 0 },
    x: [...x, ...x.toReversed()], y: [...y, ...roof.toReversed()],
  };
  return [gap, line];
}

function hoverText(row) {
  const lines = [
    `<b>${escaped(caseWords(row))}</b>`,
    `${escaped(kernelName(row))} on ${escaped(deviceLabel(row))}`,
    `${timeText(column("median", row))} ± ${widthText(halfWidth(row))}, ${rateText(flopsPerSecond(row), "FLOP/s")}, ${rateText(bytesPerSecond(row), "B/s")}`,
    `${shareText(roofShare(row))} of the measured roof, bound by ${column("bound", row) ?? "an unknown roof"}`,
  ];
  if (column("error", row) !== null) lines.push(`error ${errorText(column("error", row))}, format ${errorText(column("loss", row))}`);
  if (verdictOf(row)) lines.push(`${verdictOf(row)}: ${changeText(column("ratio", row))}`);
  for (const [, text] of flagTexts(row)) lines.push(`⚑ ${escaped(text)}`);
  return lines.join("<br>");
}

function groupRows(view, rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = `${schemeOf(row)} ${view.grid ? subjectOf(row) : ""}`;
    if (!groups.has(key)) groups.set(key, { scheme: schemeOf(row), subject: subjectOf(row), rows: [] });
    groups.get(key).rows.push(row);
  }
  return [...groups.values()];
}

function pointTrace(view, { scheme, subject, rows }) {
  const flagged = rows.map((row) => Boolean(column("flags", row)));
  const { hollow, name } = data.schemes[scheme];
  const shade = color(scheme);
  const edge = hollow ? shade : ink("--ground");
  return {
    type: "scatter", mode: "markers", name: escaped(name), ...axesOf(view, subject),
    x: rows.map(intensity), y: rows.map((row) => height(view, row)), customdata: rows,
    text: rows.map(hoverText), hovertemplate: "%{text}<extra></extra>",
    marker: {
      color: hollow ? ink("--ground") : shade, size: isNarrow() || printing() ? 7 : 8, opacity: 0.92,
      line: { color: flagged.map((bad) => (bad ? ink("--bad") : edge)), width: flagged.map((bad) => (bad || hollow ? 2 : 0.6)) },
    },
  };
}

// Single layers behind their format's line: small and faint, so that the line stays in front.
function stripTrace(view, group) {
  const trace = pointTrace(view, group);
  return { ...trace, marker: { ...trace.marker, size: 5, opacity: 0.5, line: { ...trace.marker.line, width: 0 } } };
}

// Two runs on one chart: the base is hollow, now is filled, a line joins them.
function baseTraces(view, { scheme, subject, rows }) {
  const both = rows.filter((row) => column("base", row) !== null);
  const before = (row) => (view.y === "share" ? roofShare(row, column("base", row)) : flopsPerSecond(row, column("base", row)));
  const axes = { ...axesOf(view, subject), type: "scatter", hoverinfo: "skip" };
  return [
    {
      ...axes, mode: "lines", line: { color: color(scheme), width: 1 },
      x: both.flatMap((row) => [intensity(row), intensity(row), null]), y: both.flatMap((row) => [before(row), height(view, row), null]),
    },
    { ...axes, mode: "markers", x: both.map(intensity), y: both.map(before), marker: { color: color(scheme), size: 8, symbol: "circle-open" } },
  ];
}

// The roof of each shown case at its own number of bytes: small cases cannot reach the full bandwidth.
function sizedTrace(view, rows) {
  const known = rows.filter((row) => column("sized", row) !== null);
  return {
    type: "scatter", mode: "markers", hoverinfo: "skip", x: known.map(intensity),
    y: known.map((row) => (view.y === "share" ? column("roof", row) / column("sized", row) : flopsPerSecond(row, column("sized", row)))),
    marker: { symbol: "line-ew-open", size: 12, color: ink("--muted"), line: { width: 1.5 } },
  };
}

const roofShade = (meta) => (meta.color ? shadeOfPair(meta.color) : ink("--ink"));

// Measured roofs are solid and carry a mark at their ridge; the others are faint.
function roofTraces(view) {
  if (view.y !== "rate") return [];
  return boundingRoofs(view).flatMap((trace) => {
    const shade = roofShade(trace.meta);
    const measured = trace.meta.basis === "measured";
    const own = { ...trace, ...axesOf(view, trace.meta.subject), line: { ...trace.line, width: measured ? 1.6 : 1.2, color: shade }, opacity: measured ? 0.9 : 0.45 };
    if (!measured || trace.meta.quantity !== "matrix" || view.grid) return [own];
    const ridge = { ...axesOf(view, trace.meta.subject), type: "scatter", mode: "markers", hoverinfo: "skip", x: [trace.x[0]], y: [trace.y[0]], marker: { symbol: "line-ns-open", size: 9, color: shade, line: { width: 1.5 } } };
    return [own, ridge];
  });
}
