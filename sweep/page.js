"use strict";
const figures = JSON.parse(document.getElementById("figure-data").textContent);
const boxes = [...document.querySelectorAll(".plot")];
const options = { responsive: true, displaylogo: false };
// One after the other, so that the text can be read and scrolled meanwhile.
function draw(at) {
  if (at === boxes.length) {
    document.body.dataset.drawn = boxes.length;
    return;
  }
  const { data, layout } = figures[boxes[at].dataset.figure];
  Plotly.newPlot(boxes[at], data, layout, options).then(() => setTimeout(draw, 0, at + 1));
}
draw(0);
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement;
    const body = head.closest("table").tBodies[0];
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const key = (row) => row.cells[head.cellIndex].textContent;
    const empty = (text) => text === "" || text === "-";
    const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
    // What is missing stays last, whichever way.
    [...body.rows]
      .map((row) => [key(row), row])
      .sort(([a], [b]) => empty(a) - empty(b) || way * compare(a, b))
      .forEach(([, row]) => body.append(row));
  });
}
