"use strict";
// A button turns the page dark or light; the choice is kept where the browser lets a file keep it.
{
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");

  const kept = () => {
    try {
      return localStorage.getItem("xaibench-theme");
    } catch {
      return null; // no storage for pages from disk
    }
  };
  const keep = (theme) => {
    try {
      localStorage.setItem("xaibench-theme", theme);
    } catch {
      // the choice lasts as long as the page
    }
  };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => (button.textContent = isDark() ? button.dataset.light : button.dataset.dark);

  const before = kept();
  if (before === "dark" || before === "light") root.dataset.theme = before;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  button.hidden = false;
  show();
}
