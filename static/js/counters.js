// How long each text is, of how much, under it; and all of them together. Without this script the server counts.
"use strict";

(function () {
  const texts = [...document.querySelectorAll("textarea[data-counts]")];
  const all = document.querySelector("[data-counts-all]");
  const many = (number) => number.toLocaleString("en");

  function tell(line, size, most) {
    line.textContent = `${many(size)} of ${many(most)} characters`;
    line.classList.toggle("text-red-700", size > most);
    line.classList.toggle("font-semibold", size > most);
  }

  // As the bank counts: characters, not the halves that some of them are made of.
  const sizeOf = (text) => [...text.value].length;

  function tellAll() {
    if (all) tell(all, texts.reduce((sum, text) => sum + sizeOf(text), 0), Number(all.dataset.countsAll));
  }

  for (const text of texts) {
    const line = document.createElement("div");
    line.className = "text-sm";
    text.after(line);
    const count = () => {
      tell(line, sizeOf(text), Number(text.dataset.counts));
      tellAll();
    };
    text.addEventListener("input", count);
    count();
  }
})();
