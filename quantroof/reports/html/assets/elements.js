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

function swatch(scheme) {
  const mark = element("span", { class: data.schemes[scheme].variant ? "swatch variant" : "swatch", "aria-hidden": "true" });
  mark.style.background = color(scheme);
  return mark;
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
const isNarrow = () => !printing() && innerWidth < 720;
