// M by format for one layer of one device. Python chose winners and ties; a cell shows one figure of the best kernel.

const CELLS = {
  time: ["time", (row) => timeText(column("median", row))],
  speedup: ["× bf16", (row, base) => (base === undefined ? NONE : `${significant(column("median", base) / column("median", row))}×`)],
  share: ["% of roof", (row) => shareText(roofShare(row))],
  error: ["error", (row) => errorText(column("loss", row) ?? column("error", row))],
};
const WINNER = 3;
const TIE = 2;

const tableSubject = () => (/^\d+$/.test(state.dev) ? Number(state.dev) : 0);

function bestRows(subject, layer) {
  const batches = new Map();
  for (let row = 0; row < rowCount(); row++) {
    if (subjectOf(row) !== subject || !column("rank", row) || layerKey(row) !== layer) continue;
    const m = caseOf("m", row);
    if (!batches.has(m)) batches.set(m, new Map());
    batches.get(m).set(schemeOf(row), row);
  }
  return [...batches].sort(([a], [b]) => a - b);
}

function formatCell(row, baseline) {
  if (row === undefined) return cell(NONE, { class: "none" });
  const rank = column("rank", row);
  const role = rank === WINNER ? "winner" : rank === TIE ? "tie" : "";
  const value = CELLS[state.cell][1](row, baseline);
  const small = [column("bound", row) ?? "?", rank === TIE && "ties", column("arithmetic", row)].filter(Boolean).join(", ");
  const inner = element("button", { type: "button", class: "plain", title: hoverTitle(row), onclick: () => setState({ rec: String(row) }) }, value, element("small", {}, small));
  return element("td", { class: role }, inner);
}

// What stands beside the speeds, a row each: losses of a studied model, format error, worst kernel error.
function errorRows(subject, schemes) {
  const costs = (own) => own.map(([method, words]) => element("div", {}, method, method ? element("br") : "", words));
  return data.accuracy[subject].errors.map(({ name, of, cells }) => element("tr", { class: "errors" },
    element("th", { scope: "row", colspan: "2" }, name, element("small", {}, of)),
    ...schemes.map((scheme) => element("td", {}, ...(costs(cells[data.schemes[scheme].name] ?? [["", NONE]]))))));
}

const hoverTitle = (row) => `${kernelName(row)}: ${timeText(column("median", row))}, ${shareText(roofShare(row))} of its roof, error ${errorText(column("error", row))}`;

function drawFormats() {
  if (!layerKeys().length) return;
  const [subject, layer] = [tableSubject(), chosenLayer()];
  const batches = bestRows(subject, layer);
  const schemes = [...new Set(batches.flatMap(([, best]) => [...best.keys()]))].sort((a, b) => a - b);
  const bf16 = data.schemes.findIndex(({ name }) => name === "bf16");
  const head = element("tr", {}, element("th", { scope: "col" }, "M"), element("th", { scope: "col" }, "winner"),
    ...schemes.map((scheme) => element("th", { scope: "col", title: data.schemes[scheme].summary }, swatch(scheme), data.schemes[scheme].name, data.schemes[scheme].competes ? "" : " *")));
  const rows = batches.map(([m, best]) => {
    const leads = [...best].filter(([, row]) => [TIE, WINNER].includes(column("rank", row)));
    return element("tr", {}, element("th", { scope: "row" }, String(m)), cell(leads.map(([scheme]) => data.schemes[scheme].name).join(" = ") || NONE, { class: "word" }),
      ...schemes.map((scheme) => formatCell(best.get(scheme), best.get(bf16))));
  });
  const own = data.subjects[subject].layers.find(({ n, k }) => `${n}x${k}` === layer);
  byId("crossover").textContent = own ? `N ${own.n} × K ${own.k} on ${data.subjects[subject].label}: ${own.sentence}.` : "";
  byId("formats-table").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...errorRows(subject, schemes), ...rows)));
  byId("format-views").replaceChildren(
    choice("show", Object.entries(CELLS).map(([key, [text]]) => [key, text]), state.cell, (value) => setState({ cell: value })),
    element("div", { class: "group" }, layerSelect(), data.subjects.length > 1 ? deviceSelect() : null),
  );
}
