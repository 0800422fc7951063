// The controls above the chart: what it shows, then which formats and providers.

function drawFilters() {
  const formats = data.schemes.map(({ name, summary, hollow }, index) =>
    hollow && state.static !== "1" ? null : chip(name, !isOn("off", name), () => setState({ off: toggled("off", name) }), swatch(index), summary)).filter(Boolean);
  const statics = data.schemes.some(({ hollow }) => hollow)
    ? [chip("-static", state.static === "1", () => setState({ static: state.static === "1" ? "0" : "1" }), null, "formats whose activations arrive quantized: they cannot win")] : [];
  const providers = data.providers.map(({ name }) =>
    chip(name, !isOn("without", name), () => setState({ without: toggled("without", name) })));
  const all = chip("all", false, () => setState({ off: "", without: "" }), null, "switch all formats and providers on");
  const groups = [group("formats", ...formats, ...statics)];
  if (state.show !== "path") groups.push(group("providers", ...providers));
  groups.at(-1).append(all);
  byId("filters").replaceChildren(...groups);
}

const group = (legend, ...chips) => element("div", { class: "group", role: "group", "aria-label": legend }, element("span", { class: "legend" }, legend), ...chips);

function drawViews() {
  const groups = [
    choice("show", [
      ["path", "batch path", "one line per format: the best kernel as M grows"],
      ["best", "best per format and M", "the quickest kernel of each format at each layer and M"],
      ["all", "all points"],
    ], state.show, (show) => setState({ show })),
    choice("height", [["rate", "FLOP/s"], ["share", "% of measured roof"]], state.y, (y) => setState({ y })),
    group("roofs", ...roofChips()),
  ];
  if (hasBaseline() && state.show !== "path") {
    groups.push(group("compare", chip("baseline, hollow", state.base === "1", () => setState({ base: state.base === "1" ? "0" : "1" }))));
  }
  const lists = [];
  if (data.subjects.length > 1) lists.push(deviceSelect());
  if (state.show === "path") lists.push(layerSelect());
  byId("views").replaceChildren(...groups, element("div", { class: "group" }, ...lists));
}

function roofChips() {
  const known = new Set(figures.rate.data.map((trace) => trace.meta.basis));
  const options = [["measured", "measured"], ["datasheet", "datasheet"], ["held", "at held clock"]].filter(([name]) => known.has(name));
  if (data.points.sized && state.show !== "path") options.push(["sized", "at each case's size"]);
  return options.map(([name, text]) => chip(text, isOn("roofs", name), () => setState({ roofs: toggled("roofs", name) })));
}

function deviceSelect(whole = true) {
  const devices = data.subjects.map(({ label, name }, index) => [String(index), `${label} ${name}`]);
  const all = whole ? [["all", "all, overlaid"], ["grid", "all, side by side"]] : [];
  return select("device", [...all, ...devices], whole ? state.dev : String(tableSubject()), (dev) => setState({ dev }));
}

function layerSelect() {
  return select("layer", layerKeys().map((key) => [key, layerText(key)]), chosenLayer(), (layer) => setState({ layer }));
}
