// Names beside the lines: paths and flat roofs in the right margin, slopes above their line, M at the points.

const labelHeight = () => (printing() ? 12 : 15);
const letterWidth = () => (printing() ? 5.8 : 7.1);

const hasLabels = (view) => !isNarrow() && !view.grid && view.subjects.length === 1;

// Roofs within 2 % of each other are one line to the eye, so they share one label.
function merged(roofs) {
  const groups = [];
  for (const roof of [...roofs].sort((a, b) => b.rate - a.rate)) {
    const last = groups.at(-1);
    if (last && last.quantity === roof.quantity && last.basis === roof.basis && roof.rate > last.rate * 0.98) {
      last.names.push(roof.name);
      last.shades.add(roofShade(roof));
    } else groups.push({ ...roof, names: [roof.name], shades: new Set([roofShade(roof)]) });
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

function roofText(roof) {
  const name = roof.quantity === "bandwidth" ? "DRAM read" : `${roof.names.join(" = ")} roof`;
  return `${name} ${roof.text}${roof.basis === "measured" ? "" : `, ${roof.basis}`}`;
}

const pathText = (path) => {
  const share = markShare(path.at(-1));
  return data.schemes[path[0].scheme].name + (share === null ? "" : `, ${shareText(share)} at M ${path.at(-1).m}`);
};

const flatRoofs = (view) => (view.y === "rate" ? merged(boundingRoofs(view).map(({ meta }) => meta)).filter(({ quantity }) => quantity === "matrix") : []);

// What the right margin names: flat roofs at their height, paths at their last point.
function marginNames(view, paths) {
  const roofs = flatRoofs(view).map((roof) => ({ text: roofText(roof), value: roof.rate, css: `roof ${roof.basis}`, shade: roof.shades.size > 1 ? ink("--ink") : roofShade(roof), from: null }));
  const ends = paths.map((path) => ({ text: pathText(path), value: markHeight(view, path.at(-1)), css: "roof path", shade: color(path[0].scheme), from: markIntensity(path.at(-1)) }));
  return [...roofs, ...ends].filter(({ value }) => value !== null);
}

// Room right of the plot for the longest name, by the width of a character.
function labelMargin(view, paths) {
  if (!hasLabels(view)) return 16;
  const names = marginNames(view, paths);
  return names.length ? Math.min(300, 34 + letterWidth() * Math.max(...names.map(({ text }) => text.length))) : 16;
}

const toPixel = (scale, value) => scale._offset + scale.l2p(scale.type === "log" ? Math.log10(value) : value);

function drawLabels(view, paths) {
  if (!view.labels) return;
  const box = byId(view.labels);
  box.replaceChildren();
  const { xaxis, yaxis } = byId(view.id)._fullLayout;
  if (!hasLabels(view) || !yaxis) return;
  const taken = paths.flat().map((mark) => around(toPixel(xaxis, markIntensity(mark)), toPixel(yaxis, markHeight(view, mark)), 9));
  if (view.y === "rate") drawSlopes(view, box, xaxis, yaxis, taken);
  drawMargin(view, paths, box, xaxis, yaxis);
  drawBatches(view, paths, box, xaxis, yaxis, taken);
}

function drawMargin(view, paths, box, xaxis, yaxis) {
  const [top, bottom] = [yaxis._offset, yaxis._offset + yaxis._length];
  const names = marginNames(view, paths).map((name) => ({ ...name, at: toPixel(yaxis, name.value) })).filter(({ at }) => at > top - labelHeight() && at < bottom + labelHeight());
  for (const name of names) name.y = name.at - labelHeight() / 2;
  spread(names, top, bottom);
  const right = xaxis._offset + xaxis._length;
  const lines = svg("svg", { class: "leaders", width: "100%", height: "100%" });
  for (const name of names) {
    const middle = name.y + labelHeight() / 2;
    const start = name.from === null ? right : Math.min(right, toPixel(xaxis, name.from) + 6);
    lines.append(svg("path", { d: `M${start} ${name.at} L${right + 2} ${name.at} L${right + 22} ${middle}`, stroke: name.shade, "stroke-width": 1, fill: "none", "stroke-opacity": 0.55, "stroke-dasharray": name.from === null ? "none" : "2 3" }));
    box.append(placed(name.text, name.css, right + 26, name.y, box.clientWidth - right - 26, readable(name.shade)));
  }
  box.prepend(lines);
}

function placed(text, css, left, y, room, shade) {
  const label = element("span", { class: css }, text);
  Object.assign(label.style, { top: `${y}px`, left: `${left}px`, maxWidth: `${room}px`, color: shade });
  return label;
}

const around = (x, y, size) => [x - size / 2, y - size / 2, x + size / 2, y + size / 2];
const meets = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

// Above the memory roof nothing can lie, so its names stand there, each ending left of every slope.
function drawSlopes(view, box, xaxis, yaxis, taken) {
  const slopes = merged(boundingRoofs(view).map(({ meta }) => meta)).filter(({ quantity }) => quantity === "bandwidth");
  const crossing = (roof, y) => xaxis._offset + xaxis.l2p(yaxis.p2l(y - yaxis._offset) - Math.log10(roof.rate));
  slopes.forEach((roof, i) => {
    const y = yaxis._offset + yaxis._length * 0.45 + i * labelHeight();
    const end = Math.min(...slopes.map((other) => crossing(other, y + labelHeight()))) - 8;
    const wide = roofText(roof).length * letterWidth();
    if (end - wide < xaxis._offset) return;
    const label = placed(roofText(roof), `roof ${roof.basis}`, end - wide, y, wide, null);
    label.style.width = `${wide}px`;
    label.style.textAlign = "right";
    box.append(label);
    taken.push([end - wide, y, end, y + labelHeight()]);
  });
}

// Small boxes along every line: a number that lies on one is hard to read.
function alongLines(view, paths, xaxis, yaxis) {
  const boxes = [];
  for (const path of paths) {
    const spots = path.map((mark) => [toPixel(xaxis, markIntensity(mark)), toPixel(yaxis, markHeight(view, mark))]);
    for (let i = 1; i < spots.length; i++) {
      const [[x0, y0], [x1, y1]] = [spots[i - 1], spots[i]];
      const steps = Math.ceil(Math.hypot(x1 - x0, y1 - y0) / 5);
      for (let step = 0; step <= steps; step++) boxes.push(around(x0 + ((x1 - x0) * step) / steps, y0 + ((y1 - y0) * step) / steps, 3));
    }
  }
  return boxes;
}

// M beside the points of what leads, winners first, wherever there is room, off the lines if possible. Points that
// nearly lie on each other share one number.
function drawBatches(view, paths, box, xaxis, yaxis, taken) {
  const lines = alongLines(view, paths, xaxis, yaxis);
  const bounds = [xaxis._offset, yaxis._offset, xaxis._offset + xaxis._length, yaxis._offset + yaxis._length];
  const named = [];
  for (const path of paths.filter((own) => isLead(own, paths)).sort((a, b) => wins(b) - wins(a))) {
    for (const mark of path) {
      const [x, y] = [toPixel(xaxis, markIntensity(mark)), toPixel(yaxis, markHeight(view, mark))];
      if (named.some((other) => other.m === mark.m && Math.hypot(other.x - x, other.y - y) < 14)) continue;
      const text = mark === path[0] ? `M ${mark.m}` : String(mark.m);
      const [wide, tall] = [text.length * letterWidth() + 5, labelHeight() - 1];
      const places = [[x + 6, y + 3], [x - wide / 2, y + 7], [x - wide / 2, y - tall - 7], [x - wide - 6, y - tall - 2], [x + 12, y + 9], [x - wide - 11, y - tall - 5], [x - wide / 2, y + 13]].map(([l, t]) => [l, t, l + wide, t + tall]);
      const free = places.filter((own) => own[0] > bounds[0] && own[1] > bounds[1] && own[2] < bounds[2] && own[3] < bounds[3] && !taken.some((other) => meets(own, other)));
      const area = free.find((own) => !lines.some((other) => meets(own, other))) ?? free[0];
      if (!area) continue;
      taken.push(area);
      named.push({ m: mark.m, x, y });
      box.append(placed(text, "roof batch", area[0], area[1], wide + 4, readable(color(mark.scheme))));
    }
  }
}

function listRoofs(view) {
  const ranges = new Map();
  for (const { meta: roof } of boundingRoofs(view)) {
    const key = `${roof.basis} ${roof.quantity} ${roof.name}`;
    if (!ranges.has(key)) ranges.set(key, { ...roof, rates: [] });
    ranges.get(key).rates.push(roof.rate);
  }
  const items = [...ranges.values()].map((roof) => {
    const unit = roof.quantity === "bandwidth" ? "B/s" : "FLOP/s";
    const [low, high] = [Math.min(...roof.rates), Math.max(...roof.rates)].map((rate) => rateText(rate, unit));
    const span = low === high ? high : `${low} to ${high} on ${roof.rates.length} devices`;
    const item = element("li", { class: roof.basis }, `${roof.name} ${span}`, element("small", {}, ` ${roof.source}`));
    item.style.setProperty("--key", roofShade(roof));
    return item;
  });
  const text = view.y === "share" ? "100 % is each case's own measured roof" : "no roof is shown";
  byId("roofs").replaceChildren(...(items.length && view.y === "rate" ? items : [element("li", { class: "plain" }, text)]));
}
