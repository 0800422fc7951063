// Which points the chart shows: by device, format, provider and view, thinned where marks would only pile up.

const MARKS = 4000;

const shownSubjects = () =>
  data.subjects.map((_, index) => index).filter((index) => ["all", "grid", String(index)].includes(state.dev));

function selectedRows() {
  const off = new Set(listOf("off"));
  const without = new Set(listOf("without"));
  const subjects = new Set(shownSubjects());
  const rows = [];
  for (let row = 0; row < rowCount(); row++) {
    if (!isTimed(row) || !subjects.has(subjectOf(row))) continue;
    if (off.has(schemeName(row)) || without.has(data.providers[providerOf(row)].name)) continue;
    if (state.show !== "all" && !column("rank", row)) continue;
    if (state.show === "path" && layerKey(row) !== chosenLayer()) continue;
    rows.push(row);
  }
  return rows;
}

function layerKeys() {
  const keys = new Map();
  for (const subject of data.subjects) for (const { n, k } of subject.layers) keys.set(`${n}x${k}`, n * k);
  return [...keys.keys()];
}

function chosenLayer() {
  const keys = layerKeys();
  return keys.includes(state.layer) ? state.layer : keys[0];
}

// Only roofs that bound a shown format: the others would be lines without points.
function boundingRoofs() {
  const off = new Set(listOf("off"));
  const elements = new Set(data.schemes.filter(({ name }) => !off.has(name)).map(({ compute }) => compute));
  const shown = new Set(shownSubjects());
  return figures.rate.data.filter(({ meta }) =>
    shown.has(meta.subject) && isOn("roofs", meta.basis) && (meta.quantity === "bandwidth" || elements.has(meta.name)));
}

const height = (row) => (state.y === "share" ? roofShare(row) : flopsPerSecond(row));

// Always kept: what is flagged or changed, and the lowest and highest of every format.
function mustStay(rows) {
  const kept = new Set();
  const ends = new Map();
  for (const row of rows) {
    if (column("flags", row) || ["slower", "undecided"].includes(verdictOf(row))) kept.add(row);
    const value = height(row);
    const [least, most] = ends.get(schemeOf(row)) ?? [row, row];
    ends.set(schemeOf(row), [value < height(least) ? row : least, value > height(most) ? row : most]);
  }
  for (const pair of ends.values()) pair.forEach((row) => kept.add(row));
  return kept;
}

// One mark per format and grid cell, on the finest grid that stays within the limit.
function thinned(rows) {
  if (rows.length <= MARKS) return rows;
  const ordinate = state.y === "share" ? height : (row) => Math.log10(height(row));
  const u = rows.map((row) => Math.log10(intensity(row)));
  const v = rows.map(ordinate);
  const range = (values) => values.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
  const [[left, right], [bottom, top]] = [range(u), range(v)];
  const kept = mustStay(rows);
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
