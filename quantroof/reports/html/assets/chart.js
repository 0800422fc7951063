// The roofline: Python built axes and ceilings, this adds the selected points, in the colors of the theme.

let chartRows = [];

const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const hasBaseline = () => Boolean(data.points.base);
const showsBaseline = () => hasBaseline() && state.base === "1";

function hoverText(row) {
  const lines = [
    `<b>${escaped(schemeName(row))}</b> ${escaped(kernelName(row))}`,
    `M ${caseOf("m", row)}, N ${caseOf("n", row)}, K ${caseOf("k", row)} on ${escaped(deviceLabel(row))}`,
    `${timeText(column("median", row))} ± ${widthText(halfWidth(row))}, ${rateText(flopsPerSecond(row), "FLOP/s")}, ${rateText(bytesPerSecond(row), "B/s")}`,
    `${shareText(roofShare(row))} of the measured roof, bound by ${column("bound", row) ?? "an unknown roof"}`,
  ];
  if (column("error", row) !== null) lines.push(`error ${errorText(column("error", row))}, format ${errorText(column("loss", row))}`);
  if (verdictOf(row)) lines.push(`${verdictOf(row)}: ${changeText(column("ratio", row))}`);
  for (const [, text] of flagTexts(row)) lines.push(`⚑ ${escaped(text)}`);
  return lines.join("<br>");
}

const axis = (letter, panel) => (panel === 0 ? letter : letter + (panel + 1));

function groupRows(rows) {
  const grid = state.dev === "grid";
  const groups = new Map();
  for (const row of rows) {
    const device = grid || state.show === "path" ? subjectOf(row) : -1;
    const provider = state.show === "path" ? -1 : providerOf(row);
    const key = [schemeOf(row), provider, device].join();
    if (!groups.has(key)) groups.set(key, { scheme: schemeOf(row), panel: grid ? subjectOf(row) : 0, rows: [] });
    groups.get(key).rows.push(row);
  }
  return [...groups.values()];
}

// A variant has its format's color: a dot in the mark and a dashed path tell it apart.
const symbol = (row, hollow = "") => data.providers[providerOf(row)].symbol + hollow + (data.schemes[schemeOf(row)].variant ? "-dot" : "");

function pointTrace({ scheme, panel, rows }) {
  const path = state.show === "path";
  if (path) rows.sort((a, b) => caseOf("m", a) - caseOf("m", b));
  const flagged = rows.map((row) => Boolean(column("flags", row)));
  return {
    type: "scatter", mode: path ? "lines+markers" : "markers", name: data.schemes[scheme].name,
    x: rows.map(intensity), y: rows.map(height), customdata: rows,
    text: rows.map(hoverText), hovertemplate: "%{text}<extra></extra>",
    line: { color: color(scheme), width: 1.5, dash: data.schemes[scheme].variant ? "dash" : "solid" },
    marker: {
      color: color(scheme), size: isNarrow() || printing() ? 7 : 8, opacity: 0.92,
      symbol: rows.map((row) => symbol(row)),
      line: { color: flagged.map((bad) => ink(bad ? "--bad" : "--ground")), width: flagged.map((bad) => (bad ? 2 : 0.6)) },
    },
    xaxis: axis("x", panel), yaxis: axis("y", panel),
  };
}

// Two runs on one chart: the base is hollow, now is filled, a line joins them.
function baseTraces({ scheme, panel, rows }) {
  const both = rows.filter((row) => column("base", row) !== null);
  const before = (row) => (state.y === "share" ? roofShare(row, column("base", row)) : flopsPerSecond(row, column("base", row)));
  const axes = { xaxis: axis("x", panel), yaxis: axis("y", panel), type: "scatter", hoverinfo: "skip" };
  return [
    {
      ...axes, mode: "lines", line: { color: color(scheme), width: 1 },
      x: both.flatMap((row) => [intensity(row), intensity(row), null]),
      y: both.flatMap((row) => [before(row), height(row), null]),
    },
    {
      ...axes, mode: "markers", x: both.map(intensity), y: both.map(before),
      marker: { color: color(scheme), size: 8, symbol: both.map((row) => symbol(row, "-open")) },
    },
  ];
}

// The roof of each shown case at its own number of bytes: small cases cannot reach the full bandwidth.
function sizedTrace(rows) {
  const known = rows.filter((row) => column("sized", row) !== null);
  return {
    type: "scatter", mode: "markers", hoverinfo: "skip", x: known.map(intensity),
    y: known.map((row) => (state.y === "share" ? column("roof", row) / column("sized", row) : flopsPerSecond(row, column("sized", row)))),
    marker: { symbol: "line-ew-open", size: 12, color: ink("--muted"), line: { width: 1.5 } },
  };
}

function ceilingTraces() {
  if (state.y !== "rate") return [];
  return boundingRoofs().map((trace) => {
    const panel = state.dev === "grid" ? trace.meta.subject : 0;
    const line = { ...trace.line, color: ink(trace.meta.basis === "measured" ? "--ink" : "--muted") };
    return { ...trace, line, xaxis: axis("x", panel), yaxis: axis("y", panel) };
  });
}

function themed(layout) {
  const lines = { gridcolor: ink("--grid"), linecolor: ink("--muted"), zerolinecolor: ink("--grid"), tickfont: { color: ink("--ink") } };
  const own = { ...layout, font: { family: "system-ui, sans-serif", size: printing() ? 10 : isNarrow() ? 11 : 12, color: ink("--ink") } };
  for (const name of Object.keys(own)) if (/^[xy]axis/.test(name)) own[name] = { ...own[name], ...lines };
  own.shapes = (own.shapes ?? []).map((shape) => ({ ...shape, line: { ...shape.line, color: ink("--ink") } }));
  own.modebar = { bgcolor: "rgba(0,0,0,0)", color: ink("--muted"), activecolor: ink("--ink") };
  own.hoverlabel = { ...own.hoverlabel, bgcolor: ink("--panel"), bordercolor: ink("--muted"), font: { color: ink("--ink"), size: 12 } };
  return own;
}

// Small multiples: one panel per device, all with the ranges of the first.
function panels(layout) {
  const count = data.subjects.length;
  if (state.dev !== "grid" || count < 2) return layout;
  const across = isNarrow() ? 1 : Math.min(4, Math.ceil(Math.sqrt(count)));
  const down = Math.ceil(count / across);
  const pad = Math.min(0.3, 88 / (byId("chart").clientWidth / across)); // room for the tick texts of each panel
  const own = { ...layout, annotations: [], height: Math.max(420, down * 230) };
  for (let i = 0; i < count; i++) {
    const [x, y] = [i % across, Math.floor(i / across)];
    const domains = [[(x + pad) / across, (x + 0.98) / across], [1 - (y + 0.88) / down, 1 - (y + 0.1) / down]];
    const follow = i ? { matches: "x", matchesY: "y" } : {};
    own[`xaxis${i ? i + 1 : ""}`] = { ...layout.xaxis, title: null, domain: domains[0], anchor: axis("y", i), matches: follow.matches };
    own[`yaxis${i ? i + 1 : ""}`] = { ...layout.yaxis, title: null, domain: domains[1], anchor: axis("x", i), matches: follow.matchesY, nticks: 5 };
    own.annotations.push({
      text: escaped(data.subjects[i].label), showarrow: false, xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom",
      x: domains[0][0], y: domains[1][1],
    });
  }
  return own;
}

function drawChart() {
  const rows = selectedRows();
  chartRows = thinned(rows);
  const groups = groupRows(chartRows);
  const traces = [
    ...ceilingTraces(),
    ...(isOn("roofs", "sized") ? [sizedTrace(chartRows)] : []),
    ...(showsBaseline() ? groups.flatMap(baseTraces) : []),
    ...groups.map(pointTrace),
  ];
  const narrow = isNarrow();
  const layout = panels(themed({
    ...figures[state.y].layout, height: printing() ? 360 : narrow ? 380 : 520, width: printing() ? 690 : null,
    margin: { ...figures.rate.layout.margin, r: labelMargin() }, uirevision: `${state.y} ${state.dev}`,
  }));
  layout.autosize = !printing();
  const thin = chartRows.length < rows.length ? `; ${chartRows.length} drawn, the rest lie under them` : "";
  byId("shown").textContent = `${rows.length} of ${timedCount()} points shown${thin}`;
  return Plotly.react("chart", traces, layout, { displaylogo: false, responsive: true, scrollZoom: false, displayModeBar: narrow || printing() ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] });
}

const timedCount = () => data.points.median?.filter((value, row) => value !== null && subjectOf(row) >= 0).length ?? 0;
