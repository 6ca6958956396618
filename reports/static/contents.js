"use strict";
// The list of contents marks the section that is being read.
{
  const links = new Map(
    [...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]),
  );
  const sections = [...links.keys()].map((id) => document.getElementById(id));

  const mark = () => {
    const line = innerHeight / 4;
    const passed = sections.filter((section) => section.getBoundingClientRect().top <= line);
    const ended = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const here = ended ? sections.at(-1) : passed.at(-1) ?? sections[0];
    for (const [id, link] of links) {
      if (id === here.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  let waiting = false;
  addEventListener(
    "scroll",
    () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        mark();
      });
    },
    { passive: true },
  );
  mark();
}
