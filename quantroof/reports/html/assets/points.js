// All points and all changes as tables: filter by words, sort by a column, download what the run file says.

const PAGE = 40;
let pointLimit = PAGE;
let changeLimit = PAGE;

const POINT_COLUMNS = [
  ["kernel", "kernel", (row) => kernelName(row)],
  ["device", "device", (row) => deviceLabel(row)],
  ["scheme", "format", (row) => schemeName(row)],
  ["m", "M", (row) => caseOf("m", row), String],
  ["n", "N", (row) => caseOf("n", row), String],
  ["k", "K", (row) => caseOf("k", row), String],
  ["median", "time", (row) => column("median", row), timeText],
  ["half", "± 95 %", halfWidth, widthText],
  ["shape", "samples", (row) => column("shape", row)],
  ["rate", "FLOP/s", (row) => flopsPerSecond(row), (value) => rateText(value, "")],
  ["bytes", "B/s", bytesPerSecond, (value) => rateText(value, "")],
  ["share", "of roof", (row) => roofShare(row), shareText],
  ["bound", "bound", (row) => column("bound", row)],
  ["error", "error", (row) => column("error", row), errorText],
  ["status", "status", (row) => column("status", row)],
  ["notes", "notes", (row) => [...flagTexts(row).map(([, text]) => text), reasonText(row)].filter(Boolean).join("; ")],
];

const shareBar = (value) => {
  const bar = element("i");
  bar.style.width = `${Math.max(0, Math.min(1, value ?? 0)) * 100}%`;
  return element("span", { class: "meter" }, bar);
};

// The samples of one measurement from its fastest to its slowest, a digit per bin.
function sparkline(digits) {
  const bars = [...digits].map((digit, i) => svg("rect", { x: i * 5, y: 14 - digit * 1.5, width: 4, height: digit * 1.5, fill: ink("--muted") }));
  return svg("svg", { class: "sparkline", width: 60, height: 14, viewBox: "0 0 60 14", role: "img", "aria-label": "samples, the fastest left" }, ...bars);
}

// Columns that would be empty in every row are left out.
const SHOWN_IF = { device: () => data.subjects.length > 1, error: () => Boolean(data.points.error), shape: () => Boolean(data.points.shape), notes: () => Boolean(data.points.flags ?? data.points.reason) };
const shownColumns = () => POINT_COLUMNS.filter(([key]) => SHOWN_IF[key]?.() ?? true);

// The command comes before the notes, which may be long, or last.
const withRepeat = (cells, own) => cells.toSpliced(SHOWN_IF.notes() ? -1 : cells.length, 0, own);

function matches(row, words) {
  const text = [
    deviceLabel(row), schemeName(row), kernelName(row), `m=${caseOf("m", row)} n=${caseOf("n", row)} k=${caseOf("k", row)}`,
    column("status", row), verdictOf(row) ?? "", flagTexts(row).flat().join(" "),
  ].join(" ").toLowerCase();
  return words.every((word) => (/^[mnk]=\d+$/.test(word) ? ` ${text} `.includes(` ${word} `) : text.includes(word)));
}

function filteredRows() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [];
  for (let row = 0; row < rowCount(); row++) {
    if (subjectOf(row) >= 0 && matches(row, words) && (state.flagged !== "1" || column("flags", row))) rows.push(row);
  }
  const [name, descending] = state.sort.startsWith("-") ? [state.sort.slice(1), true] : [state.sort, false];
  const found = POINT_COLUMNS.find(([key]) => key === name);
  return found ? sorted(rows, found[2], descending) : rows;
}

// Absent values come last in both directions.
function sorted(rows, value, descending) {
  const keyed = rows.map((row) => [value(row), row]);
  const order = ([a], [b]) => (typeof a === "string" ? a.localeCompare(b) : a - b) * (descending ? -1 : 1);
  const known = keyed.filter(([key]) => key !== null && key !== "").sort(order);
  return [...known, ...keyed.filter(([key]) => key === null || key === "")].map(([, row]) => row);
}

function pointRow(row) {
  const open = () => setState({ rec: String(row) });
  const cells = shownColumns().map(([key, , value, format]) => {
    const text = format ? format(value(row)) : (value(row) ?? NONE);
    if (key === "share") return element("td", { class: "number" }, value(row) === null ? "" : shareBar(value(row)), " ", element("span", { class: "figure" }, text));
    if (key === "shape") return element("td", {}, value(row) ? sparkline(value(row)) : NONE);
    if (key !== "kernel") return cell(text, { class: key === "notes" ? "long" : format ? "number" : "" });
    return element("th", { scope: "row" }, element("button", { type: "button", class: "plain link", onclick: open }, text));
  });
  const repeat = element("button", { type: "button", class: "chip", title: repeatCommand(row), onclick: (event) => copyCommand(event.target, row) }, "copy");
  return element("tr", { class: column("status", row) }, ...withRepeat(cells, element("td", {}, repeat)));
}

function drawPoints() {
  const rows = filteredRows();
  const head = shownColumns().map(([key, text, , format]) => {
    const direction = state.sort === key ? "ascending" : state.sort === `-${key}` ? "descending" : "none";
    const next = direction === "ascending" ? `-${key}` : key;
    const mark = { ascending: " ▲", descending: " ▼", none: "" }[direction];
    return element("th", { scope: "col", "aria-sort": direction, class: format && key !== "share" ? "number" : "" }, element("button", { type: "button", class: "plain", onclick: () => setState({ sort: next }) }, text + mark));
  });
  const body = rows.slice(0, pointLimit).map(pointRow);
  byId("points-table").replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...withRepeat(head, element("th", { scope: "col" }, "repeat it")))), element("tbody", {}, ...body)));
  const flagged = data.points.flags ? [chip("flagged only", state.flagged === "1", () => setState({ flagged: state.flagged === "1" ? "0" : "1" }))] : [];
  byId("points-views").replaceChildren(...flagged);
  byId("points-count").textContent = `${rows.length} of ${rowCountOfRuns()} records`;
  byId("points-more").hidden = rows.length <= pointLimit;
}

const rowCountOfRuns = () => data.points.subject.filter((subject) => subject >= 0).length;

const quoted = (value) => (value === null ? "" : /[",\n\r]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

function csvText(rows) {
  const lines = [Object.keys(FIELDS).join(",")];
  for (const row of rows) lines.push(Object.values(FIELDS).map((of) => quoted(of(row))).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function setUpPoints() {
  const box = byId("points-filter");
  box.value = state.q;
  box.addEventListener("input", () => { pointLimit = PAGE; setState({ q: box.value }); });
  byId("points-more").addEventListener("click", () => { pointLimit *= 4; drawPoints(); });
  byId("csv").addEventListener("click", () => save("quantroof.csv", "text/csv", csvText(filteredRows())));
  byId("json").addEventListener("click", () => save("quantroof.json", "application/json", JSON.stringify(filteredRows().map(record), null, 1)));
}
