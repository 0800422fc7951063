// Beside the roofline: bandwidth by size, and the device's clock, power and temperature over the run.

const PLAIN = { displaylogo: false, displayModeBar: false, responsive: true };

const shade = (index) => data.schemes[index % Math.max(1, data.schemes.length)]?.color[isDark() ? 1 : 0] ?? ink("--ink");

function sized(layout, tall) {
  return themed({ ...layout, height: printing() ? 260 : tall, width: printing() ? 690 : null, autosize: !printing() });
}

function drawBandwidth() {
  if (!byId("bandwidth") || !figures.bandwidth.data.length) return;
  const dashes = { read: "solid", write: "dash", copy: "dot" };
  const shown = new Set(shownSubjects());
  const traces = figures.bandwidth.data.filter(({ meta }) => shown.has(meta.subject)).map((trace) => ({
    ...trace, line: { dash: dashes[trace.meta.name], width: 1.5, color: ink("--ink") }, marker: { color: ink("--ink"), size: 5 },
  }));
  Plotly.react("bandwidth", traces, sized(figures.bandwidth.layout, 260), PLAIN);
}

function stateTrace({ yaxis, meta }, subject) {
  const name = meta.column;
  const rows = [];
  for (let row = 0; row < rowCount(); row++) if (subjectOf(row) === subject && isTimed(row)) rows.push(row);
  const drawn = rows.length > MARKS ? rows.filter((_, i) => i % Math.ceil(rows.length / MARKS) === 0) : rows;
  return {
    type: "scatter", mode: "lines", yaxis, x: drawn.map((_, i) => i), y: drawn.map((row) => column(name, row)),
    line: { width: 1.2, color: data.subjects.length > 1 ? shade(subject) : ink("--ink") }, customdata: drawn,
    text: drawn.map((row) => `${escaped(deviceLabel(row))}: ${name} ${column(name, row)}<br>${escaped(schemeName(row))} M ${caseOf("m", row)}${eventWords(row).map((text) => `<br>${text}`).join("")}`),
    hovertemplate: "%{text}<extra></extra>",
  };
}

function drawState() {
  if (!byId("state")) return;
  const traces = shownSubjects().flatMap((subject) => figures.state.data.map((trace) => stateTrace(trace, subject)));
  Plotly.react("state", traces, sized(figures.state.layout, 90 + 75 * figures.state.data.length), PLAIN);
}
