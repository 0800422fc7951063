// Starts the page: data first, then plotly, then the open tab; and redraws what a change concerns.

const nextFrame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

async function printMode(on) {
  document.documentElement.classList.toggle("print", on);
  showTab();
  await (on ? drawEverything() : drawTab());
}

function listen() {
  onState(Object.keys(DEFAULTS).filter((key) => key !== "rec"), drawTab);
  onState(["rec"], drawRecord);
  addEventListener("hashchange", () => { readHash(); showTab(); drawTab(); drawRecord(); });
  addEventListener("beforeprint", () => printMode(true));
  addEventListener("afterprint", () => printMode(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTab);
  matchMedia("(max-width: 719px)").addEventListener("change", drawTab);
  byId("states")?.addEventListener("toggle", drawHealth);
}

function fold() {
  for (const details of document.querySelectorAll("details.controls")) details.open &&= !isNarrow();
}

function preset() {
  defaults = { ...DEFAULTS, dev: String(data.first), ...data.preset };
  if (layerKeys()[0] !== ALL_LAYERS) defaults = { ...defaults, show: "all", static: "1" };
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
  setUpTabs();
  onState(["tab"], showTab);
  showTab();
  await library;
  await drawTab();
  await nextFrame();
  listen();
  drawRecord();
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  byId("failure").hidden = false;
  byId("failure").textContent = `This page could not be drawn: ${error.message}`;
  throw error;
});
