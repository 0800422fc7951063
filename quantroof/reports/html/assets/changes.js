// What got slower: verdicts of Python's comparison, the ones that need a look first, with the samples behind them.

function changedRows() {
  const rows = [];
  for (let row = 0; row < rowCount(); row++) if (verdictOf(row) && isOn("v", verdictOf(row))) rows.push(row);
  const lost = (row) => (column("base", row) === null || column("median", row) === null ? 0 : column("median", row) - column("base", row));
  return rows.sort((a, b) => column("verdict", a) - column("verdict", b) || lost(b) - lost(a));
}

function verdictChips() {
  const counts = data.verdicts.map(() => 0);
  for (const index of data.points.verdict) if (index !== null) counts[index] += 1;
  return data.verdicts.flatMap((name, index) => (counts[index] === 0 ? [] : [
    chip(`${name} ${counts[index]}`, isOn("v", name), () => { changeLimit = PAGE; setState({ v: toggled("v", name) }); })]));
}

// Two histograms on one scale, before above and now below the middle line.
function histograms(row) {
  const own = column("samples_of", row);
  if (!own) return NONE;
  const [low, high, before, after] = own;
  const [wide, tall] = [144, 17];
  const bar = (counts, up) => counts.map((count, i) => [count / Math.max(...counts), i]).filter(([share]) => share > 0).map(([share, i]) => svg("rect", {
    x: (i * wide) / counts.length, width: wide / counts.length - 0.5, height: Math.max(1, share * tall), y: up ? tall - Math.max(1, share * tall) : tall + 1, fill: up ? ink("--muted") : color(schemeOf(row)),
  }));
  const words = `samples from ${timeText(low)} to ${timeText(high)}, before above and now below`;
  return svg("svg", { class: "samples", width: wide, height: 2 * tall + 1, viewBox: `0 0 ${wide} ${2 * tall + 1}`, role: "img", "aria-label": words },
    ...bar(before, true), ...bar(after, false), svg("line", { x1: 0, x2: wide, y1: tall + 0.5, y2: tall + 0.5, stroke: ink("--grid") }));
}

function changeRow(row, causes) {
  const interval = column("ratio_low", row) === null ? NONE : `${changeText(column("ratio_low", row))} … ${changeText(column("ratio_high", row))}`;
  const gone = subjectOf(row) < 0;
  const open = element("button", { type: "button", class: "plain link", onclick: () => setState({ rec: String(row) }) }, `${caseWords(row)}, ${kernelName(row)}`);
  return element("tr", {},
    element("th", { scope: "row" }, open), cell(verdictOf(row), { class: verdictOf(row) }), cell(changeText(column("ratio", row)), { class: "number" }),
    element("td", {}, histograms(row)),
    cell(timeText(gone ? column("median", row) : column("base", row)), { class: "number" }),
    cell(gone ? NONE : timeText(column("median", row)), { class: "number" }),
    cell(interval, { class: "number" }), ...(data.subjects.length > 1 ? [cell(deviceLabel(row))] : []), ...(causes ? [cell(causeTexts(row).join("; ") || NONE, { class: "long" })] : []));
}

function drawChanges() {
  if (!byId("changes-table") || !data.points.verdict) return;
  const rows = changedRows();
  const causes = rows.some((row) => causeTexts(row).length);
  const head = ["case", "verdict", "change", "samples", "base", "now", "95 % interval", ...(data.subjects.length > 1 ? ["device"] : []), ...(causes ? ["what else changed"] : [])].map((text) => element("th", { scope: "col", class: ["change", "base", "now", "95 % interval"].includes(text) ? "number" : "" }, text));
  const body = rows.slice(0, changeLimit).map((row) => changeRow(row, causes));
  const empty = element("p", { class: "quiet" }, "No case has these verdicts.");
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  byId("changes-table").replaceChildren(rows.length ? table : empty);
  const more = element("button", { type: "button", onclick: () => { changeLimit *= 4; drawChanges(); } }, `${changeLimit} of ${rows.length} shown: show more`);
  byId("changes-views").replaceChildren(...verdictChips(), ...(rows.length > changeLimit ? [more] : []));
}
