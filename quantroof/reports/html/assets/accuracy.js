// Speed against cost: Python judged every pair, this draws the chosen batch and cost, and lists the same below.

const COST = ["scheme", "label", "speed", "low", "high", "cost", "least", "most", "words", "behind", "competes"];
const named = (row) => Object.fromEntries(COST.map((name, i) => [name, row[i]]));
const accuracyOf = () => data.accuracy[tableSubject()];

function chosenView() {
  const own = accuracyOf().views;
  return own[Number(state.cost)] ?? own[0];
}

function chosenBatch(view) {
  return view.batches.find(([m]) => String(m) === state.batch) ?? view.batches[0];
}

const shadeOf = (name) => color(data.schemes.findIndex((scheme) => scheme.name === name));
const costText = (view, value) => (view.log ? errorText(value) : value.toFixed(4));

// A label goes where it meets no mark and no other label; where there is no room the table below names the mark.
function costLabels(view, rows, layout) {
  const box = { width: byId("tradeoff").clientWidth - layout.margin.l - layout.margin.r, height: layout.height - layout.margin.t - layout.margin.b };
  const places = (values, span, size) => values.map((value) => ((value - span[0]) / (span[1] - span[0])) * size);
  const xs = places(rows.map((row) => row.speed), layout.xaxis.range, box.width);
  const ys = places(rows.map((row) => (view.log ? Math.log10(row.cost) : row.cost)), layout.yaxis.range, box.height);
  const taken = xs.map((x, i) => [x - 6, x + 6, ys[i] - 6, ys[i] + 6]);
  const meets = (one) => taken.some((other) => one[0] < other[1] && other[0] < one[1] && one[2] < other[3] && other[2] < one[3]);
  return rows.map((row, i) => {
    const text = row.label + (row.competes ? "" : " *");
    const wide = text.length * 6;
    const tries = {
      "top center": [xs[i] - wide / 2, xs[i] + wide / 2, ys[i] + 7, ys[i] + 20], "bottom center": [xs[i] - wide / 2, xs[i] + wide / 2, ys[i] - 20, ys[i] - 7],
      "middle right": [xs[i] + 8, xs[i] + 8 + wide, ys[i] - 6, ys[i] + 6], "middle left": [xs[i] - 8 - wide, xs[i] - 8, ys[i] - 6, ys[i] + 6],
    };
    const found = Object.entries(tries).find(([, area]) => area[0] >= 0 && area[1] <= box.width && area[2] >= 0 && area[3] <= box.height && !meets(area));
    if (found) taken.push(found[1]);
    return found ? [escaped(text), found[0]] : ["", "top center"];
  });
}

// Room around the values; plotly's own ranges would not be known before it has drawn.
function spanned(values, share = 0.08) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}

function tradeoffTrace(view, rows, layout) {
  const bars = (middle, low, high) => ({
    type: "data", symmetric: false, thickness: 1, width: 3, color: ink("--muted"),
    array: rows.map((row) => row[high] - row[middle]), arrayminus: rows.map((row) => row[middle] - row[low]),
  });
  const labels = costLabels(view, rows, layout);
  return {
    type: "scatter", mode: "markers+text", x: rows.map((row) => row.speed), y: rows.map((row) => row.cost),
    error_x: bars("speed", "low", "high"), ...(view.log ? {} : { error_y: bars("cost", "least", "most") }),
    text: labels.map(([text]) => text), textposition: labels.map(([, place]) => place), textfont: { size: 11, color: ink("--ink") },
    marker: { size: 9, color: rows.map((row) => shadeOf(row.scheme)), symbol: rows.map((row) => (row.behind ? "circle-open" : "circle")), line: { width: 2, color: rows.map((row) => shadeOf(row.scheme)) } },
    customdata: rows.map((row) => `<b>${escaped(row.label)}</b> ${significant(row.speed)}× [${significant(row.low)}, ${significant(row.high)}]<br>${view.log ? costText(view, row.cost) : escaped(row.words)}${row.behind ? `<br>behind ${escaped(row.behind)}` : ""}`),
    hovertemplate: "%{customdata}<extra></extra>",
  };
}

// What nothing that can win beats in both medians, as steps.
function frontTrace(rows) {
  const front = [];
  for (const row of rows.filter(({ competes }) => competes)) if (!front.length || row.cost < front.at(-1).cost) front.push(row);
  return { type: "scatter", mode: "lines", hoverinfo: "skip", x: front.map((row) => row.speed), y: front.map((row) => row.cost), line: { dash: "dot", width: 1, shape: "vh", color: ink("--muted") } };
}

function tradeoffTable(view, rows) {
  const titles = ["format", "speed-up", "95 % interval", view.log ? view.name : `${view.name} (nats a token)`, "verdict"];
  const body = rows.map((row) => element("tr", { class: row.behind ? "behind" : "" },
    element("th", { scope: "row" }, swatch(data.schemes.findIndex(({ name }) => name === row.scheme)), row.label + (row.competes ? "" : " *")),
    cell(`${significant(row.speed)}×`, { class: "number" }), cell(`${significant(row.low)} to ${significant(row.high)}`),
    cell(view.log ? costText(view, row.cost) : row.words), cell(row.behind ? `behind ${row.behind}` : row.competes ? "on the front" : "cannot win", { class: "word" })));
  return element("table", {}, element("thead", {}, element("tr", {}, ...titles.map((text) => element("th", { scope: "col" }, text)))), element("tbody", {}, ...body));
}

function drawTradeoff() {
  if (!byId("tradeoff")) return;
  const own = accuracyOf();
  const view = chosenView();
  const [m, raw] = (view && chosenBatch(view)) ?? [];
  byId("tradeoff-legend").hidden = !raw;
  const devices = data.subjects.length > 1 ? element("div", { class: "group" }, deviceSelect()) : null;
  if (!raw) {
    byId("tradeoff-views").replaceChildren(...[devices].filter(Boolean));
    byId("tradeoff-note").textContent = "No speed-up over a 16-bit format is known on this device, so there is nothing to set against accuracy.";
    Plotly.purge("tradeoff");
    byId("tradeoff-table").replaceChildren();
    return;
  }
  const rows = raw.map(named);
  byId("tradeoff-views").replaceChildren(
    choice("cost", own.views.map(({ name, of }, i) => [String(i), name, of]), String(own.views.indexOf(view)), (cost) => setState({ cost })),
    choice("batch M", view.batches.map(([batch]) => [String(batch), String(batch)]), String(m), (batch) => setState({ batch })), ...[devices].filter(Boolean),
  );
  const without = data.schemes.filter(({ name }) => own.timed.includes(name) && !rows.some((row) => row.scheme === name)).map(({ name }) => name);
  byId("tradeoff-note").textContent = `M = ${m} on ${data.subjects[tableSubject()].label}. Cost: ${view.name} of ${view.of}.${without.length ? ` Without such a cost: ${without.join(", ")}.` : ""}`;
  const layout = sized(figures.tradeoff.layout, isNarrow() ? 320 : 380);
  layout.xaxis = { ...layout.xaxis, title: { text: escaped(own.base) } };
  layout.yaxis = { ...layout.yaxis, type: view.log ? "log" : "linear", title: { text: escaped(view.axis) }, exponentformat: "power", ...(view.log ? { dtick: 1 } : {}) };
  layout.xaxis.range = spanned(rows.flatMap((row) => [row.low, row.high]));
  layout.yaxis.range = spanned(rows.flatMap((row) => (view.log ? [Math.log10(row.cost)] : [row.least, row.most])), 0.12);
  Plotly.react("tradeoff", [frontTrace(rows), tradeoffTrace(view, rows, layout)], layout, PLAIN);
  byId("tradeoff-table").replaceChildren(tradeoffTable(view, rows));
}
