// Which points the chart shows: by device, format, provider and view, thinned where marks would only pile up.

const MARKS = 4000;

const shownSubjects = () =>
  data.subjects.map((_, index) => index).filter((index) => ["all", "grid", String(index)].includes(state.dev));

// A view is what one chart shows: the one of the summary is fixed, the other follows the controls.
const chartView = () => ({
  id: "chart", labels: "labels", y: state.y, show: state.show, layer: chosenLayer(), subjects: shownSubjects(), grid: state.dev === "grid",
  roofs: listOf("roofs"), off: new Set(listOf("off")), without: new Set(listOf("without")), statics: state.static === "1",
  tall: isNarrow() ? 400 : Math.min(720, Math.max(480, innerHeight - 470)),
});

// Below the batch path: how much of its own roof each layer reaches, on the same x axis. A log-log chart hides 20 %.
const stripView = (view, paths) => ({
  ...view, id: "strip-chart", labels: null, y: "share", strip: true, roofs: [], tall: isNarrow() ? 220 : 240, paper: 210, margin: { l: byId("chart")._fullLayout._size.l, b: 28 },
  room: labelMargin(view, paths), ranges: { x: pathRanges(view, paths).x, y: [0, stripTop(view)] },
});

const hasStrip = (view) => view.show === "path" && view.y === "rate" && view.subjects.length === 1;

// 110 %, or more where a point lies above its roof, up to 200 %.
const stripTop = (view) => Math.min(2, Math.max(1.1, ...selectedRows({ ...view, strip: true }).map((row) => (roofShare(row) ?? 0) * 1.05)));

const summaryView = () => ({
  id: "summary-chart", labels: "summary-labels", y: "rate", show: "path", layer: layerKeys()[0], subjects: [data.first], grid: false,
  roofs: ["measured"], off: new Set(), without: new Set(), statics: false, tall: isNarrow() ? 360 : Math.min(760, Math.max(430, innerHeight - 290)),
});

const isShown = (view, scheme) => !view.off.has(data.schemes[scheme].name) && (view.statics || !data.schemes[scheme].hollow);

function selectedRows(view) {
  const subjects = new Set(view.subjects);
  const rows = [];
  for (let row = 0; row < rowCount(); row++) {
    if (!isTimed(row) || !subjects.has(subjectOf(row)) || !isShown(view, schemeOf(row))) continue;
    if (view.without.has(data.providers[providerOf(row)].name)) continue;
    if ((view.show === "best" || view.strip) && !column("rank", row)) continue;
    if (view.strip && view.layer !== ALL_LAYERS && layerKey(row) !== view.layer) continue;
    rows.push(row);
  }
  return rows;
}

// The marks of every shown device and format, each path by rising M.
function selectedPaths(view) {
  const paths = new Map();
  for (const subject of view.subjects) {
    for (const mark of marksOf(subject, view.layer)) {
      if (!isShown(view, mark.scheme)) continue;
      const key = `${subject} ${mark.scheme}`;
      if (!paths.has(key)) paths.set(key, []);
      paths.get(key).push(mark);
    }
  }
  for (const path of paths.values()) path.sort((a, b) => a.m - b.m);
  return [...paths.values()];
}

// Only roofs that bound a shown format: the others would be lines without points.
function boundingRoofs(view) {
  const elements = new Set(data.schemes.filter((_, scheme) => isShown(view, scheme)).map(({ compute }) => compute));
  const shown = new Set(view.subjects);
  return figures.rate.data.filter(({ meta }) =>
    shown.has(meta.subject) && view.roofs.includes(meta.basis) && (meta.quantity === "bandwidth" || elements.has(meta.name)));
}

const height = (view, row) => (view.y === "share" ? roofShare(row) : flopsPerSecond(row));

// Always kept: what is flagged or changed, and the lowest and highest of every format.
function mustStay(view, rows) {
  const kept = new Set();
  const ends = new Map();
  for (const row of rows) {
    if (column("flags", row) || ["slower", "undecided"].includes(verdictOf(row))) kept.add(row);
    const value = height(view, row);
    const [least, most] = ends.get(schemeOf(row)) ?? [row, row];
    ends.set(schemeOf(row), [value < height(view, least) ? row : least, value > height(view, most) ? row : most]);
  }
  for (const pair of ends.values()) pair.forEach((row) => kept.add(row));
  return kept;
}

// One mark per format and grid cell, on the finest grid that stays within the limit.
function thinned(view, rows) {
  if (rows.length <= MARKS) return rows;
  const ordinate = (row) => (view.y === "share" ? height(view, row) : Math.log10(height(view, row)));
  const u = rows.map((row) => Math.log10(intensity(row)));
  const v = rows.map(ordinate);
  const range = (values) => values.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
  const [[left, right], [bottom, top]] = [range(u), range(v)];
  const kept = mustStay(view, rows);
  for (let cells = 512; ; cells = Math.floor(cells * 0.7)) {
    const taken = new Map();
    rows.forEach((row, i) => {
      const x = Math.floor(((u[i] - left) / (right - left || 1)) * cells);
      const y = Math.floor(((v[i] - bottom) / (top - bottom || 1)) * cells);
      const place = (x * 1024 + y) * 64 + schemeOf(row);
      if (!taken.has(place)) taken.set(place, row);
    });
    if (taken.size <= MARKS || cells < 8) return [...new Set([...kept, ...taken.values()])];
  }
}
