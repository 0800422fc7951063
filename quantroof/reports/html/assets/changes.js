// What got slower: verdicts of Python's comparison, the ones that need a look first.

function changedRows() {
  const rows = [];
  for (let row = 0; row < rowCount(); row++) if (verdictOf(row) && isOn("v", verdictOf(row))) rows.push(row);
  const lost = (row) => (column("base", row) === null || column("median", row) === null ? 0 : column("median", row) - column("base", row));
  return rows.sort((a, b) => column("verdict", a) - column("verdict", b) || lost(b) - lost(a));
}

function verdictChips() {
  const counts = data.verdicts.map(() => 0);
  for (const index of data.points.verdict) if (index !== null) counts[index] += 1;
  return data.verdicts.map((name, index) =>
    chip(`${name} ${counts[index]}`, isOn("v", name), () => { changeLimit = PAGE; setState({ v: toggled("v", name) }); }));
}

function changeRow(row) {
  const interval = column("ratio_low", row) === null ? NONE : `${changeText(column("ratio_low", row))} … ${changeText(column("ratio_high", row))}`;
  const gone = subjectOf(row) < 0;
  const open = element("button", { type: "button", class: "plain link", onclick: () => setState({ rec: String(row) }) }, `${kernelName(row)} M ${caseOf("m", row)} ${layerKey(row)}`);
  return element("tr", {},
    cell(open), cell(verdictOf(row), { class: verdictOf(row) }), cell(changeText(column("ratio", row)), { class: "number" }),
    cell(timeText(gone ? column("median", row) : column("base", row)), { class: "number" }),
    cell(gone ? NONE : timeText(column("median", row)), { class: "number" }),
    cell(interval, { class: "number" }), cell(deviceLabel(row)), cell(causeTexts(row).join("; ") || NONE));
}

function drawChanges() {
  if (!byId("changes-table") || !data.points.verdict) return;
  const rows = changedRows();
  const head = ["case", "verdict", "change", "base", "now", "95 % interval", "device", "what else changed"].map((text) => element("th", { scope: "col" }, text));
  const body = rows.slice(0, changeLimit).map(changeRow);
  const empty = element("p", { class: "quiet" }, "No case has these verdicts.");
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  byId("changes-table").replaceChildren(rows.length ? table : empty);
  const more = element("button", { type: "button", onclick: () => { changeLimit *= 4; drawChanges(); } }, `show more of ${rows.length}`);
  byId("changes-views").replaceChildren(...verdictChips(), ...(rows.length > changeLimit ? [more] : []));
}
