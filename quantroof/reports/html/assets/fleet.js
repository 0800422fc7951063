"use strict";
(() => {
  const words = document.getElementById("filter-words"), state = document.getElementById("filter-state");
  const count = document.getElementById("filter-count");
  const rows = [...document.querySelectorAll("[data-state]")].map((row) => ({
    row,
    text: [row, ...row.querySelectorAll("[title]")].map((part) => `${part.textContent} ${part.title}`).join(" ").toLowerCase(),
  }));

  function apply() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let nodes = 0, all = 0;
    for (const { row, text } of rows) {
      const here = (!state.value || state.value.split(" ").includes(row.dataset.state)) && wanted.every((word) => text.includes(word));
      row.hidden = !here;
      if (row.classList.contains("node")) {
        all += 1;
        nodes += here;
      }
    }
    for (const rack of document.querySelectorAll(".rack")) {
      rack.hidden = !rack.querySelector("[data-state]:not([hidden])");
    }
    count.textContent = `${nodes} of ${all} nodes shown`;
  }

  words.addEventListener("input", apply);
  state.addEventListener("change", apply);
  document.getElementById("filter").hidden = false;
  apply();
  document.documentElement.dataset.ready = "";
})();
