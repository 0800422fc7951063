// Format by M as a heat map: Python chose winners and ties, the color is the speed-up over 16 bit.

const CELLS = {
  speedup: ["× 16 bit", (mark) => (mark.speed === null ? NONE : `${mark.speed.toFixed(mark.speed < 10 ? 2 : 1)}×`)],
  time: ["time", (mark) => timeText(mark.ns)],
  share: ["% of roof", (mark) => shareText(markShare(mark))],
};

const tableSubject = () => (/^\d+$/.test(state.dev) && Number(state.dev) < data.subjects.length ? Number(state.dev) : data.first);

// Twice as fast has the full color of gain, half as fast that of loss; the text stays readable on both.
function tint(mark) {
  if (!mark.speed) return "";
  const size = Math.min(1, Math.abs(Math.log2(mark.speed)) / 2);
  return `--tint: ${size.toFixed(3)}`;
}

function formatCell(mark) {
  if (mark === undefined) return cell(NONE, { class: "none" });
  const role = mark.rank === WINNER ? "winner" : mark.rank === TIE ? "tie" : "";
  const words = { winner: ", winner", tie: ", tie" }[role] ?? "";
  const value = CELLS[state.cell][1](mark);
  const small = element("small", {}, state.cell === "time" ? mark.bound ?? "?" : timeText(mark.ns), words ? element("span", { class: "hidden" }, words) : "");
  const attributes = { class: `${role} ${mark.speed !== null && mark.speed < 1 ? "under" : "over"}`, title: plainText(markText(mark, chosenLayer())) };
  const inner = mark.row === null ? [value, small] : [element("button", { type: "button", class: "plain", onclick: () => setState({ rec: String(mark.row) }) }, value, small)];
  const made = element("td", attributes, ...inner);
  made.style.cssText = tint(mark);
  return made;
}

const plainText = (html) => html.replaceAll("<br>", "\n").replaceAll(/<\/?b>/g, "").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

// What stands beside the speeds, a column each: losses of a studied model, format error, worst kernel error.
function errorCell(own) {
  return element("td", { class: "errors" }, ...own.map(([method, words]) => element("div", {}, method, method ? element("br") : "", words)));
}

// Errors span decades: a bar of length zero is 1e-7, a whole one is 1.
function errorBar(words) {
  const value = Number(words);
  if (!(value > 0)) return "";
  const bar = element("i");
  bar.style.width = `${Math.max(2, Math.min(100, (1 + Math.log10(value) / 7) * 100)).toFixed(0)}%`;
  return element("span", { class: "meter" }, bar);
}

function formatRow(scheme, batches, own, columns) {
  const { name, summary, competes, arithmetic } = data.schemes[scheme];
  const notes = [arithmetic, competes ? null : "cannot win"].filter(Boolean).join(", ");
  const head = element("th", { scope: "row", title: summary }, swatch(scheme), name, element("small", {}, notes));
  const errors = columns.map(({ name: column_, cells }) => {
    const made = errorCell(cells[name] ?? [["", NONE]]);
    if (column_.includes("error")) made.append(errorBar((cells[name] ?? [["", ""]])[0][1]));
    return made;
  });
  return element("tr", { class: competes ? "" : "static" }, head, ...batches.map((m) => formatCell(own.get(m))), ...errors);
}

function formatTable(subject, marks) {
  const batches = [...new Set(marks.map(({ m }) => m))].sort((a, b) => a - b);
  const schemes = [...new Set(marks.map(({ scheme }) => scheme))].sort((a, b) => a - b).filter((scheme) => state.static === "1" || !data.schemes[scheme].hollow);
  const columns = data.accuracy[subject].errors;
  const head = element("tr", {}, element("th", { scope: "col" }, "format"), ...batches.map((m) => element("th", { scope: "col" }, `M ${m}`)),
    ...columns.map(({ name, of }) => element("th", { scope: "col" }, name, element("small", {}, of))));
  const winners = batches.map((m) => marks.filter((mark) => mark.m === m && mark.rank >= TIE).map(({ scheme }) => data.schemes[scheme].name).join(" = ") || NONE);
  const first = element("tr", { class: "winners" }, element("th", { scope: "row" }, "winner"), ...winners.map((text) => cell(text, { class: "word" })), ...columns.map(() => element("td")));
  const rows = schemes.map((scheme) => formatRow(scheme, batches, new Map(marks.filter((mark) => mark.scheme === scheme).map((mark) => [mark.m, mark])), columns));
  return element("table", { class: "heat" }, element("thead", {}, head), element("tbody", {}, first, ...rows));
}

function drawFormats() {
  if (!layerKeys().length) return;
  const [subject, layer] = [tableSubject(), chosenLayer()];
  const own = data.subjects[subject].layers.find(({ n, k }) => `${n}x${k}` === layer);
  byId("crossover").textContent = own ? `N ${own.n} × K ${own.k} on ${data.subjects[subject].label}: ${own.sentence}.` : `All layers together on ${data.subjects[subject].label}: the total time of the fastest kernel per layer.`;
  byId("formats-table").replaceChildren(formatTable(subject, marksOf(subject, layer)));
  const statics = data.schemes.some(({ hollow }) => hollow) ? chip("-static", state.static === "1", () => setState({ static: state.static === "1" ? "0" : "1" }), null, "formats whose activations arrive quantized: they cannot win") : null;
  byId("format-views").replaceChildren(
    choice("cell", Object.entries(CELLS).map(([key, [text]]) => [key, text]), CELLS[state.cell] ? state.cell : "speedup", (value) => setState({ cell: value })),
    element("div", { class: "group" }, layerSelect(), data.subjects.length > 1 ? deviceSelect(false) : null, statics),
  );
}
