// What the reader chose. It lives in the URL's hash, so that a view can be pasted into a ticket.

const DEFAULTS = {
  tab: "summary", y: "rate", show: "path", layer: "", dev: "0", off: "", without: "", static: "0",
  roofs: "measured,datasheet", cell: "speedup", cost: "0", batch: "", q: "", sort: "", flagged: "0",
  v: "slower,undecided,missing", base: "1", rec: "",
};
let defaults = { ...DEFAULTS };
let state = { ...DEFAULTS };
const listeners = [];

const listOf = (key) => state[key].split(",").filter(Boolean);
const isOn = (key, name) => listOf(key).includes(name);

function toggled(key, name) {
  const names = listOf(key);
  return names.includes(name) ? names.filter((other) => other !== name).join(",") : [...names, name].join(",");
}

function readHash() {
  const given = new URLSearchParams(location.hash.slice(1));
  state = { ...defaults };
  for (const key of Object.keys(DEFAULTS)) if (given.has(key)) state[key] = given.get(key);
}

function writeHash() {
  const changed = Object.entries(state).filter(([key, value]) => value !== defaults[key]);
  const text = new URLSearchParams(changed).toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

function setState(change) {
  state = { ...state, ...change };
  writeHash();
  for (const listener of listeners) listener(Object.keys(change));
}

function onState(keys, listener) {
  listeners.push((changed) => {
    if (changed.some((key) => keys.includes(key))) listener();
  });
}
