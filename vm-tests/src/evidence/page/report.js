"use strict";
const lines = JSON.parse(document.getElementById("lines").textContent);
const pane = document.getElementById("console");
const title = document.getElementById("console-of");
const buttons = document.querySelectorAll(".steps button");
for (const button of buttons) {
  button.addEventListener("click", () => {
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    const from = Number(button.dataset.from), to = Number(button.dataset.to);
    const shown = lines.filter(([time]) => time >= from && time <= to);
    const count = shown.length === 1 ? "1 line" : `${shown.length} lines`;
    title.textContent = `The consoles in ${button.querySelector(".name").textContent}: ${count}`;
    pane.textContent = shown.map(([time, text]) => `${time.toFixed(2).padStart(8)} ${text}`).join("\n");
  });
}
const first = document.querySelector(".step-failed button");
if (first) first.click();
