// Draws a view: Python built axes and roofs, the page adds the paths or points that the view selects.

const CHART_CONFIG = { displaylogo: false, responsive: true, scrollZoom: false, displayModeBar: true, modeBarButtons: [["toImage", "resetViews"]] };
const hasBaseline = () => Boolean(data.points.base);
const showsBaseline = () => hasBaseline() && state.base === "1";

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
function panels(view, layout) {
  const count = view.subjects.length;
  if (!view.grid || count < 2) return layout;
  const across = isNarrow() ? 1 : Math.min(4, Math.ceil(Math.sqrt(count)));
  const down = Math.ceil(count / across);
  const pad = Math.min(0.3, 88 / (byId(view.id).clientWidth / across)); // room for the tick texts of each panel
  const own = { ...layout, annotations: [], height: Math.max(420, down * 230) };
  for (let i = 0; i < count; i++) {
    const [x, y] = [i % across, Math.floor(i / across)];
    const domains = [[(x + pad) / across, (x + 0.98) / across], [1 - (y + 0.88) / down, 1 - (y + 0.1) / down]];
    const follow = i ? { matches: "x", matchesY: "y" } : {};
    own[`xaxis${i ? i + 1 : ""}`] = { ...layout.xaxis, title: null, domain: domains[0], anchor: axis("y", i), matches: follow.matches };
    own[`yaxis${i ? i + 1 : ""}`] = { ...layout.yaxis, title: null, domain: domains[1], anchor: axis("x", i), matches: follow.matchesY, nticks: 5 };
    own.annotations.push({
      text: escaped(data.subjects[view.subjects[i]].label), showarrow: false, xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom",
      x: domains[0][0], y: domains[1][1],
    });
  }
  return own;
}

// The ranges of a path: its points, the ridges of their roofs, and a little room; log axes count in powers of ten.
function pathRanges(view, paths) {
  const marks = paths.flat();
  const roofs = boundingRoofs(view).filter(({ meta }) => meta.quantity === "matrix");
  if (view.y !== "rate" || !marks.length) return null;
  const ridges = roofs.map((trace) => trace.x[0]);
  const x = [...marks.map(markIntensity), ...ridges].filter((value) => value > 0);
  const y = marks.map(markRate);
  const tops = [...y, ...roofs.map(({ meta }) => meta.rate)];
  return {
    x: [Math.log10(Math.min(...marks.map(markIntensity)) / 1.6), Math.log10(Math.max(...x) * 1.5)],
    y: [Math.log10(Math.min(...y) / 2), Math.log10(Math.max(...tops) * 1.5)],
  };
}

function chartLayout(view, paths) {
  const room = view.room ?? labelMargin(view, paths);
  const layout = themed({
    ...figures[view.y].layout, height: printing() ? view.paper ?? 330 : view.tall, width: printing() ? 690 : null,
    margin: { ...figures.rate.layout.margin, r: room, ...view.margin }, uirevision: `${view.y} ${view.grid} ${view.layer}`,
  });
  layout.autosize = !printing();
  const ranges = view.ranges ?? (view.show === "path" ? pathRanges(view, paths) : null);
  if (ranges) {
    layout.xaxis = { ...layout.xaxis, range: ranges.x, autorange: false };
    layout.yaxis = { ...layout.yaxis, range: ranges.y, autorange: false };
  }
  if (view.strip) {
    layout.xaxis = { ...layout.xaxis, title: null };
    layout.yaxis = { ...layout.yaxis, title: { text: "of the roof" }, automargin: false, nticks: 6 };
  }
  return panels(view, layout);
}

async function drawChart(view) {
  const isPath = view.show === "path";
  const paths = isPath ? selectedPaths(view) : [];
  const rows = isPath && !view.strip ? [] : selectedRows(view);
  const drawn = thinned(view, rows);
  const groups = groupRows(view, drawn);
  const sized = isPath || !view.roofs.includes("sized") ? [] : [sizedTrace(view, drawn)];
  const traces = [
    ...roofTraces(view), ...sized, ...(showsBaseline() && !view.strip ? groups.flatMap((group) => baseTraces(view, group)) : []),
    ...groups.map((group) => (view.strip ? stripTrace : pointTrace)(view, group)), ...paths.flatMap((path) => pathTraces(view, path, paths)),
  ];
  await Plotly.react(view.id, traces, chartLayout(view, paths), CHART_CONFIG);
  drawLabels(view, paths);
  const thin = drawn.length < rows.length ? "; overlapping points are drawn once" : "";
  return isPath && !view.strip ? `${paths.flat().length} points of ${paths.length} paths` : `${rows.length} of ${timedCount()} points shown${thin}`;
}

const timedCount = () => data.points.median?.filter((value, row) => value !== null && subjectOf(row) >= 0).length ?? 0;
