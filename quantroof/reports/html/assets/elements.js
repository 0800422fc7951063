// Page elements made from data. Text only ever enters as text nodes: nothing from a run file is markup.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function chip(text, pressed, onclick, swatch = null, title = null) {
  return element("button", { type: "button", class: "chip", "aria-pressed": String(pressed), title, onclick }, swatch, text);
}

// A short piece of the format's line with its mark: color, dash and filling as in the charts.
function swatch(scheme) {
  const { dash, hollow } = data.schemes[scheme];
  const dashes = { solid: "none", dash: "5 3", dot: "2 2", dashdot: "5 2 2 2", longdash: "8 3", longdashdot: "8 2 2 2" };
  const shade = color(scheme);
  const line = svg("line", { x1: 0, x2: 24, y1: 5, y2: 5, stroke: shade, "stroke-width": 2.5, "stroke-dasharray": dashes[dash] });
  const mark = svg("circle", { cx: 12, cy: 5, r: 3.5, stroke: shade, "stroke-width": 1.5, fill: hollow ? ink("--ground") : shade });
  return svg("svg", { class: "swatch", width: 24, height: 10, viewBox: "0 0 24 10", "aria-hidden": "true" }, line, mark);
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function select(label, options, chosen, onchange) {
  const list = element("select", { onchange: (event) => onchange(event.target.value) });
  for (const [value, text] of options) list.append(element("option", { value, selected: value === chosen }, text));
  return element("label", { class: "choice" }, `${label} `, list);
}

function choice(legend, options, chosen, onchange) {
  const chips = options.map(([value, text, title]) => chip(text, value === chosen, () => onchange(value), null, title));
  return element("div", { class: "group", role: "group", "aria-label": legend }, element("span", { class: "legend" }, legend), ...chips);
}

function cell(text, attributes = {}) {
  return element("td", attributes, text);
}

function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

const printing = () => document.documentElement.classList.contains("print");
const isDark = () => !printing() && matchMedia("(prefers-color-scheme: dark)").matches;
const color = (scheme) => data.schemes[scheme].color[isDark() ? 1 : 0];
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const shadeOfPair = ([light, dark]) => (isDark() ? dark : light);

// The color as text: mixed with the ink until it has the contrast of 4.5 to 1 with the page.
function readable(shade) {
  const parts = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  const luminance = (rgb) => rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = luminance(parts(ink("--ground")));
  for (let share = 0; share <= 1; share += 0.1) {
    const mixed = parts(shade).map((v, i) => Math.round(v * (1 - share) + parts(ink("--ink"))[i] * share));
    const [high, low] = [luminance(mixed), ground].sort((a, b) => b - a);
    if ((high + 0.05) / (low + 0.05) >= 4.6) return `rgb(${mixed.join()})`;
  }
  return ink("--ink");
}

const isNarrow = () => !printing() && innerWidth < 720;
