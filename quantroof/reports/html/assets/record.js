// One record in a dialog: what was measured, under which state, with which flags, and how to repeat it.

function recordFacts(row) {
  const state_ = [
    column("clock", row) === null ? null : `SM ${column("clock", row)} MHz`,
    column("temperature", row) === null ? null : `${column("temperature", row)} °C`,
    column("power", row) === null ? null : `${column("power", row)} W`,
    ...eventWords(row),
  ].filter(Boolean).join(", ");
  const config = Object.entries(data.configs[column("config", row)] ?? {}).map(([name, value]) => `${name} ${value}`).join(", ");
  return [
    ["case", caseOf("id", row)], ["device", deviceLabel(row)], ["kernel", kernelName(row)], ["status", column("status", row)],
    ["reason", reasonText(row)],
    ["median", column("median", row) === null ? null : `${timeText(column("median", row))}, 95 % interval ${timeText(column("low", row))} to ${timeText(column("high", row))}, of ${column("samples", row)} ${column("basis", row)}`],
    ["rate", isTimed(row) ? `${rateText(flopsPerSecond(row), "FLOP/s")}, ${rateText(bytesPerSecond(row), "B/s")}` : null],
    ["measured roof", roofShare(row) === null ? null : `${shareText(roofShare(row))}, bound by ${column("bound", row)}, at best ${timeText(column("roof", row))}`],
    ["datasheet roof", column("sheet", row) === null ? null : `at best ${timeText(column("sheet", row))}`],
    ["roof at this size", column("sized", row) === null ? null : `at best ${timeText(column("sized", row))}`],
    ["error", column("error", row) === null ? null : `${errorText(column("error", row))} against fp64 of the same values; ${errorText(column("loss", row))} against unquantized ones`],
    ["state", state_ || null], ["configuration", config || null],
    ["change", verdictOf(row) ? `${verdictOf(row)} ${changeText(column("ratio", row))}` : null],
    ...flagTexts(row).map(([code, text]) => [code, text]),
    ["repeat it", repeatCommand(row)],
  ].filter(([, text]) => text !== null);
}

function repeatCommand(row) {
  const subject = data.subjects[subjectOf(row)] ?? data.subjects[0];
  const word = (text) => (/^[\w.:/@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  if (caseOf("id", row).startsWith("call/")) return subject.command.map(word).join(" "); // its function is not in the case's id
  const provider = data.providers[providerOf(row)].name;
  const words = ["--case", caseOf("id", row), "--device", subject.device, "--provider", provider, ...subject.repeat];
  return `quantroof run ${words.map(word).join(" ")}`;
}

// Where the page may not write to the clipboard, the record shows the command to select.
async function copyCommand(button, row) {
  try {
    await navigator.clipboard.writeText(repeatCommand(row));
    button.textContent = "copied";
  } catch {
    setState({ rec: String(row) });
  }
}

function drawRecord() {
  const dialog = byId("record");
  const row = /^\d+$/.test(state.rec) && Number(state.rec) < rowCount() ? Number(state.rec) : null;
  if (row === null) {
    if (dialog.open) dialog.close();
    return;
  }
  const facts = recordFacts(row).flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]);
  byId("record-title").replaceChildren(swatch(schemeOf(row)), caseWords(row));
  byId("record-facts").replaceChildren(...facts);
  byId("record-copy").textContent = "copy the command";
  if (!dialog.open) dialog.showModal();
}

function setUpRecord() {
  const dialog = byId("record");
  dialog.addEventListener("close", () => { if (state.rec) setState({ rec: "" }); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  byId("record-copy").addEventListener("click", (event) => copyCommand(event.target, Number(state.rec)));
  byId("record-close").addEventListener("click", () => dialog.close());
}
