"use strict";
// The controls above a board leave only some of its lines, and say how many.
{
  const equip = (board) => {
    const controls = board.querySelector(".controls");
    const [method, model, ahead] = ["method", "model", "ahead"].map((name) =>
      controls.querySelector(`[name=${name}]`),
    );
    const count = controls.querySelector("output");
    const rows = [...board.querySelector("tbody").rows];

    const matches = (row) =>
      row.dataset.method.toLowerCase().includes(method.value.trim().toLowerCase()) &&
      (model.value === "" || row.dataset.models.split(" ").includes(model.value)) &&
      (!ahead.checked || row.dataset.ahead === "yes");
    const filter = () => {
      for (const row of rows) row.hidden = !matches(row);
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = `${shown} of ${rows.length} shown`;
    };
    controls.addEventListener("input", filter);
    controls.hidden = false;
    filter();
  };

  for (const board of document.querySelectorAll(".board")) equip(board);
}
