"use strict";
// Search and sorting. Without this, every table is complete, in the order of its counts.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") === "descending" ||
        (!heading.hasAttribute("aria-sort") && !heading.classList.contains("number"));
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const collator = new Intl.Collator("en", { numeric: true });
      const rows = [...body.rows].sort((one, other) => collator.compare(value(one), value(other)));
      body.append(...(ascending ? rows : rows.reverse()));
    });
  });
}
const search = document.getElementById("search");
const count = document.getElementById("count");
const rows = [...document.querySelectorAll("#findings tbody tr")];
if (search) {
  search.closest(".search").hidden = false;
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length} shown`;
  };
  search.addEventListener("input", filter);
  filter();
}
