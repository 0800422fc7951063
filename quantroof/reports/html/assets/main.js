// Starts the page: data first, then tables, then plotly and the charts; and redraws what a change concerns.

const CHART_KEYS = ["y", "show", "layer", "dev", "off", "without", "roofs", "base"];

async function drawCharts() {
  await drawChart();
  drawLabels();
  listRoofs();
}

function drawControls() {
  const focused = document.activeElement?.textContent;
  const place = document.activeElement?.closest("[id]")?.id;
  drawFilters();
  drawViews();
  // Redrawn chips are new elements: give the focus back to the one that was pressed.
  if (place) [...document.querySelectorAll(`#${CSS.escape(place)} button`)].find((b) => b.textContent === focused)?.focus();
}

function drawTables() {
  drawFormats();
  drawChanges();
  drawPoints();
}

function drawPanels() {
  drawBandwidth();
  drawState();
  drawTradeoff();
  drawAdvice();
}

function drawAll() {
  drawControls();
  drawTables();
  drawPanels();
  return drawCharts();
}

const nextFrame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

function printMode(on) {
  document.documentElement.classList.toggle("print", on);
  for (const details of document.querySelectorAll("details.print")) details.open = on;
  drawAll();
}

function listen() {
  onState(CHART_KEYS, () => { drawControls(); drawCharts(); });
  onState(["layer", "dev", "cell"], drawFormats);
  onState(["dev"], drawPanels);
  onState(["cost", "batch"], drawTradeoff);
  onState(["v"], drawChanges);
  onState(["q", "sort"], drawPoints);
  onState(["rec"], drawRecord);
  byId("chart").on("plotly_click", ({ points: [point] }) => {
    if (typeof point.customdata === "number") setState({ rec: String(point.customdata) });
  });
  byId("chart").on("plotly_relayout", drawLabels);
  addEventListener("hashchange", () => { readHash(); drawAll(); drawRecord(); });
  addEventListener("beforeprint", () => printMode(true));
  addEventListener("afterprint", () => printMode(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  matchMedia("(max-width: 719px)").addEventListener("change", drawAll);
}

function fold() {
  for (const details of document.querySelectorAll("details.setup, details.controls")) details.open &&= !isNarrow();
}

function preset() {
  defaults = { ...DEFAULTS, ...data.preset };
  if (timedCount() > 2000) defaults.show = "best";
  if (isNarrow()) defaults.roofs = "measured";
}

async function start() {
  const library = startPlotly(); // both blocks are unpacked at once
  ({ data, figures } = JSON.parse(await unpack("data")));
  preset();
  fold();
  readHash();
  setUpPoints();
  setUpRecord();
  drawTables();
  await library;
  if (timedCount()) {
    drawControls();
    await drawCharts();
    await nextFrame(); // the roofline is on the screen before the smaller figures are begun
    drawPanels();
    listen();
  }
  drawRecord();
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  byId("failure").hidden = false;
  byId("failure").textContent = `This page could not be drawn: ${error.message}`;
  throw error;
});
