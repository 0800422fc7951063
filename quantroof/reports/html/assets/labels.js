// Names of the roofs: in the right margin where there is room, and always as a list below the chart.

const labelHeight = () => (printing() ? 12 : 15);

const hasLabels = () => !isNarrow() && state.dev !== "grid" && shownSubjects().length === 1;

// Roofs within 2 % of each other are one line to the eye, so they share one label.
function merged(roofs) {
  const groups = [];
  for (const roof of [...roofs].sort((a, b) => b.rate - a.rate)) {
    const last = groups.at(-1);
    if (last && last.quantity === roof.quantity && last.basis === roof.basis && roof.rate > last.rate * 0.98) last.names.push(roof.name);
    else groups.push({ ...roof, names: [roof.name] });
  }
  return groups;
}

// Pushes labels apart, downwards first, then back up where they run out of room.
function spread(labels, top, bottom) {
  labels.sort((a, b) => a.y - b.y);
  let free = top;
  for (const label of labels) free = (label.y = Math.max(label.y, free)) + labelHeight();
  free = bottom;
  for (const label of labels.toReversed()) free = (label.y = Math.min(label.y, free - labelHeight()));
}

function drawLabels() {
  const box = byId("labels");
  box.replaceChildren();
  const { xaxis, yaxis } = byId("chart")._fullLayout;
  if (state.y !== "rate" || !hasLabels() || !yaxis) return;
  const groups = merged(boundingRoofs().map(({ meta }) => meta)).map((roof) => {
    const flat = roof.quantity === "matrix";
    return { ...roof, y: yaxis._offset + yaxis.l2p(Math.log10(roof.rate)) - labelHeight() / 2 };
  });
  const [top, bottom] = [yaxis._offset, yaxis._offset + yaxis._length];
  const flat = groups.filter(({ quantity, y }) => quantity === "matrix" && y > top - labelHeight() && y < bottom);
  spread(flat, top, bottom);
  const right = xaxis._offset + xaxis._length + 5;
  for (const roof of flat) box.append(roofLabel(roof, roof.y, "left", right, box.clientWidth - right));
  const slopes = groups.filter(({ quantity }) => quantity === "bandwidth");
  const crossing = (roof, y) => xaxis._offset + xaxis.l2p(yaxis.p2l(y - yaxis._offset) - Math.log10(roof.rate));
  // Above the memory roof nothing can lie, so its names stand there, each ending at its own height.
  slopes.forEach((roof, i) => {
    const y = top + yaxis._length * 0.45 + i * labelHeight();
    const end = Math.min(...slopes.map((other) => crossing(other, y + labelHeight()))) - 8;
    if (end > xaxis._offset + 180) box.append(roofLabel(roof, y, "right", box.clientWidth - end, end - xaxis._offset));
  });
}

function roofText(roof) {
  const name = roof.quantity === "bandwidth" ? "DRAM read" : roof.names.join(" = ");
  return `${name} ${roof.text}${roof.basis === "measured" ? "" : `, ${roof.basis}`}`;
}

// Room right of the plot for the longest name, by the width of a character.
function labelMargin() {
  if (state.y !== "rate" || !hasLabels()) return 16;
  const flat = merged(boundingRoofs().map(({ meta }) => meta)).filter(({ quantity }) => quantity === "matrix");
  return Math.min(300, 16 + (printing() ? 5.3 : 6.3) * Math.max(0, ...flat.map((roof) => roofText(roof).length)));
}

function roofLabel(roof, y, side, offset, room) {
  const text = roofText(roof);
  const label = element("span", { class: `roof ${roof.basis}` }, text);
  Object.assign(label.style, { top: `${y}px`, [side]: `${offset}px`, maxWidth: `${room}px` });
  return label;
}

function listRoofs() {
  const ranges = new Map();
  for (const { meta: roof } of boundingRoofs()) {
    const key = `${roof.basis} ${roof.quantity} ${roof.name}`;
    if (!ranges.has(key)) ranges.set(key, { ...roof, rates: [] });
    ranges.get(key).rates.push(roof.rate);
  }
  const items = [...ranges.values()].map((roof) => {
    const unit = roof.quantity === "bandwidth" ? "B/s" : "FLOP/s";
    const [low, high] = [Math.min(...roof.rates), Math.max(...roof.rates)].map((rate) => rateText(rate, unit));
    const span = low === high ? high : `${low} to ${high} on ${roof.rates.length} devices`;
    return element("li", { class: roof.basis }, `${roof.name} ${span}`, element("small", {}, ` ${roof.source}`));
  });
  const text = state.y === "share" ? "100 % is each case's own measured roof" : "no roof is shown";
  const plain = element("li", { class: "plain" }, text);
  byId("roofs").replaceChildren(...(items.length && state.y === "rate" ? items : [plain]));
}
