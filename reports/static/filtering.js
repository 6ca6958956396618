"use strict";
// The controls above a board leave only some of its lines, and say how many.
{
  const equip = (board) => {
    const controls = board.querySelector(".controls");
    const [method, ahead] = ["method", "ahead"].map((name) =>
      controls.querySelector(`[name=${name}]`),
    );
    const choices = [...controls.querySelectorAll("select")];
    const count = controls.querySelector("output");
    const rows = [...board.querySelector("tbody").rows];

    const isChosen = (row, { value, dataset }) =>
      value === "" ||
      row.getAttribute(`data-choice-${dataset.choice}`).split(" ").includes(value);
    const matches = (row) =>
      row.dataset.method.toLowerCase().includes(method.value.trim().toLowerCase()) &&
      choices.every((choice) => isChosen(row, choice)) &&
      (!ahead?.checked || row.dataset.ahead === "yes");
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
