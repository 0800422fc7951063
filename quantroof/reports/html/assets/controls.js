// The controls above the chart: chips for formats and providers, and the choices of view.

function drawFilters() {
  const formats = data.schemes.map(({ name, summary }, index) =>
    chip(name, !isOn("off", name), () => setState({ off: toggled("off", name) }), swatch(index), summary));
  const shapes = { circle: "●", diamond: "◆", square: "■", "triangle-up": "▲", x: "✖", star: "★", "triangle-down": "▼", cross: "✚", hexagon: "⬢" };
  const providers = data.providers.map(({ name, symbol }) =>
    chip(`${shapes[symbol]} ${name}`, !isOn("without", name), () => setState({ without: toggled("without", name) })));
  const reset = chip("all", false, () => setState({ off: "", without: "" }), null, "switch all formats and providers on");
  byId("filters").replaceChildren(
    element("div", { class: "group", role: "group", "aria-label": "formats" }, element("span", { class: "legend" }, "formats"), ...formats),
    element("div", { class: "group", role: "group", "aria-label": "providers" }, element("span", { class: "legend" }, "providers"), ...providers, reset),
  );
}

function drawViews() {
  const groups = [
    choice("height", [["rate", "FLOP/s"], ["share", "% of measured roof"]], state.y, (y) => setState({ y })),
    choice("show", [
      ["all", "all points"],
      ["best", "best per format and M", "the quickest kernel of each format at each layer and M"],
      ["path", "batch path", "one line per format: the best kernel of one layer as M grows"],
    ], state.show, (show) => setState({ show })),
    element("div", { class: "group", role: "group", "aria-label": "roofs" }, element("span", { class: "legend" }, "roofs"), ...roofChips()),
  ];
  if (hasBaseline()) {
    const both = chip("baseline, hollow", state.base === "1", () => setState({ base: state.base === "1" ? "0" : "1" }));
    groups.push(element("div", { class: "group" }, element("span", { class: "legend" }, "compare"), both));
  }
  const lists = [];
  if (data.subjects.length > 1) lists.push(deviceSelect());
  if (state.show === "path") lists.push(layerSelect());
  byId("views").replaceChildren(...groups, element("div", { class: "group" }, ...lists));
}

function roofChips() {
  const known = new Set(figures.rate.data.map((trace) => trace.meta.basis));
  const options = [["measured", "measured"], ["datasheet", "datasheet"], ["held", "at held clock"]].filter(([name]) => known.has(name));
  if (data.points.sized) options.push(["sized", "at each case's size"]);
  return options.map(([name, text]) => chip(text, isOn("roofs", name), () => setState({ roofs: toggled("roofs", name) })));
}

function deviceSelect() {
  const devices = data.subjects.map(({ label, name }, index) => [String(index), `${label} ${name}`]);
  return select("devices", [["all", "all, overlaid"], ["grid", "all, side by side"], ...devices], state.dev, (dev) => setState({ dev }));
}

function layerSelect() {
  const options = layerKeys().map((key) => [key, `N ${key.replace("x", " × K ")}`]);
  return select("layer", options, chosenLayer(), (layer) => setState({ layer }));
}
