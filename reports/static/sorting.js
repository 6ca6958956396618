"use strict";
// A button in every head of a board sorts its lines; what has no key always stands last.
{
  const collator = new Intl.Collator("en", { numeric: true });

  const order = (words, sign) => (one, other) => {
    const unknown = (one.key === "") - (other.key === "");
    const difference = words
      ? collator.compare(one.key, other.key)
      : Number(one.key) - Number(other.key);
    return unknown || sign * difference || one.place - other.place;
  };

  const sort = (table, column, falling) => {
    const words = table.tHead.rows[0].cells[column].classList.contains("words");
    const lines = [...table.tBodies[0].rows].map((row) => ({
      row,
      key: row.cells[column].dataset.key,
      place: Number(row.dataset.place),
    }));
    lines.sort(order(words, falling ? -1 : 1));
    table.tBodies[0].append(...lines.map((line) => line.row));
  };

  const equip = (table, head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const falling = now ? now === "ascending" : head.dataset.first === "falling";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      sort(table, column, falling);
    });
  };

  for (const table of document.querySelectorAll(".board table")) {
    [...table.tBodies[0].rows].forEach((row, place) => (row.dataset.place = place));
    [...table.tHead.rows[0].cells].forEach((head, column) => equip(table, head, column));
  }
}
