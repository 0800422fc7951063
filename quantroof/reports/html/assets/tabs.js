// One panel per tab. A panel is drawn when it is shown, because a chart needs the size of its place.

const PANELS = {
  summary: drawSummary, roofline: drawRoofline, formats: drawFormatPanel, changes: drawChanges, serve: drawAdvice,
  health: drawHealth, data: drawPoints,
};

async function drawSummary() {
  if (!timedCount()) return;
  const whole = layerKeys()[0] === ALL_LAYERS; // else no M was timed on all layers, and a path has few points
  byId("summary-title").textContent = `Roofline of ${data.subjects[data.first].label}, ${whole ? layerText(ALL_LAYERS) : "all points"}`;
  byId("summary-gap").hidden = !whole;
  byId("summary-m").hidden = !whole || isNarrow();
  await drawChart(whole ? summaryView() : { ...summaryView(), show: "all", statics: true });
}

async function drawRoofline() {
  if (!timedCount()) return;
  const view = chartView();
  const repeats = view.show === "path" && view.layer === layerKeys()[0] && ["y", "dev", "off", "without", "static", "roofs"].every((key) => state[key] === defaults[key]);
  byId("section-roofline").classList.toggle("repeats", repeats); // on paper the summary has this chart already
  drawViews();
  drawFilters();
  listRoofs(view);
  const shown = await drawChart(view);
  byId("shown").textContent = shown;
  await drawStrip(view);
  opensRecords("chart");
}

async function drawStrip(view) {
  const paths = hasStrip(view) ? selectedPaths(view) : [];
  byId("strip").hidden = !paths.length;
  if (!paths.length) return;
  await drawChart(stripView(view, paths));
  opensRecords("strip-chart");
}

function opensRecords(id) {
  byId(id).removeAllListeners("plotly_click"); // a redraw keeps the element
  byId(id).on("plotly_click", ({ points: [point] }) => {
    if (typeof point.customdata === "number") setState({ rec: String(point.customdata) });
  });
}

function drawFormatPanel() {
  drawFormats();
  drawTradeoff();
}

function drawHealth() {
  drawBandwidth();
  if (byId("states")?.open) drawState();
}

const currentTab = () => (PANELS[state.tab] ? state.tab : "summary");

function showTab() {
  for (const panel of document.querySelectorAll("[data-panel]")) panel.hidden = !printing() && panel.dataset.panel !== currentTab();
  for (const link of document.querySelectorAll(".tabs [data-tab]")) {
    if (link.dataset.tab === currentTab()) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// Redrawn chips are new elements: give the focus back to the one that was pressed.
async function drawTab() {
  const { activeElement } = document;
  const [place, text] = [activeElement?.closest("[id]")?.id, activeElement?.textContent];
  await PANELS[currentTab()]();
  if (place && activeElement.tagName === "BUTTON" && !activeElement.isConnected) {
    [...document.querySelectorAll(`#${CSS.escape(place)} button`)].find((button) => button.textContent === text)?.focus();
  }
}

async function drawEverything() {
  for (const draw of Object.values(PANELS)) await draw();
}

function setUpTabs() {
  for (const link of document.querySelectorAll("a[data-tab]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      setState({ tab: link.dataset.tab });
      scrollTo(0, 0);
    });
  }
}
