"use strict";
// Shows one example under one model at a time, and what a position scores under every method.
for (const browser of document.querySelectorAll(".examples")) {
  const examples = [...browser.querySelectorAll(".example")];
  const views = [...browser.querySelectorAll(".view")];
  const pick = browser.querySelector(".pick");
  const control = (name) => pick.querySelector(`[name="${name}"]`);
  const [sequence, model, before, next] = ["example", "model", "before", "next"].map(control);
  const widest = 40;
  let base = 0; // pixels a position; 0: what the page comes with
  let placed = 0; // where a view was scrolled to last, if not by its reader

  const shown = () => views.find((view) => !view.hidden && !view.closest(".example").hidden);

  const stretch = () => {
    for (const drawn of browser.querySelectorAll(".logo, .ruler")) {
      const letters = drawn.closest(".maps").dataset.letters.length;
      drawn.style.width = base ? `${base * letters}px` : "";
    }
    const view = shown();
    if (view && !view.querySelector(".cursor").hidden) {
      point(view, Number(view.querySelector(".reading input").value));
    }
  };

  // the size of the scores at each position, every map counting as much as any other
  const sizes = (maps) => {
    const total = new Array(maps.dataset.letters.length).fill(0);
    for (const map of maps.querySelectorAll(".map")) {
      const own = map.dataset.scores.split(" ").map((score) => Math.abs(Number(score)));
      const sum = own.reduce((one, other) => one + other, 0) || 1;
      own.forEach((size, place) => (total[place] += size / sum));
    }
    return total;
  };

  // where the stretch of this many positions begins that holds most of the size of the scores
  const richest = (maps, positions) => {
    const total = sizes(maps);
    const held = (start) => total.slice(start, start + positions).reduce((one, other) => one + other, 0);
    let best = 0;
    for (let start = 1; start + positions <= total.length; start += 1) {
      if (held(start) > held(best) + 1e-9) best = start;
    }
    return best;
  };

  // the motif, or where most of the scores lie where none is known
  const centre = (view) => {
    const maps = view.querySelector(".maps");
    const letters = maps.dataset.letters.length;
    const width = maps.querySelector(".ruler").clientWidth;
    const motif = maps.querySelector(".ruler .truth");
    if (motif) {
      const share = (parseFloat(motif.getAttribute("x")) + parseFloat(motif.getAttribute("width")) / 2) / 100;
      maps.scrollLeft = share * width - maps.clientWidth / 2;
    } else {
      const positions = Math.max(1, Math.floor((maps.clientWidth * letters) / width));
      maps.scrollLeft = (richest(maps, positions) * width) / letters;
    }
    placed = maps.scrollLeft;
  };

  // which positions are to be seen, where not all are
  const tellShown = (view) => {
    const maps = view.querySelector(".maps");
    const [whole, part] = ["whole", "part"].map((name) => view.querySelector(`.told .${name}`));
    const letters = maps.dataset.letters.length;
    const width = maps.querySelector(".ruler").clientWidth / letters;
    const first = Math.floor(maps.scrollLeft / width + 0.1);
    const last = Math.min(Math.ceil((maps.scrollLeft + maps.clientWidth) / width - 0.1), letters) - 1;
    const start = Number(maps.dataset.start);
    part.textContent = `positions ${start + first} to ${start + last} of ${part.dataset.length}`;
    part.hidden = first === 0 && last === letters - 1;
    whole.hidden = !part.hidden;
  };

  const show = () => {
    const chosen = Number(sequence.value);
    examples.forEach((example, place) => {
      example.hidden = place !== chosen;
      example.open = true;
    });
    const visibleModel = model ? model.value : "0";
    for (const example of examples) {
      const own = [...example.querySelectorAll(".view")];
      const found = own.some((view) => view.dataset.model === visibleModel) ? visibleModel : own[0]?.dataset.model;
      for (const view of own) view.hidden = view.dataset.model !== found;
    }
    before.disabled = chosen === 0;
    next.disabled = chosen === examples.length - 1;
    stretch();
    if (!shown()) return;
    centre(shown());
    tellShown(shown());
  };

  const step = (by) => {
    sequence.value = String(Number(sequence.value) + by);
    show();
  };

  const scale = (by) => {
    const view = shown();
    const maps = view.querySelector(".maps");
    const letters = maps.dataset.letters.length;
    const whole = maps.clientWidth / letters;
    const middle = (maps.scrollLeft + maps.clientWidth / 2) / maps.querySelector(".ruler").clientWidth;
    const zoomed = Math.min(Math.max(base || view.querySelector(".ruler").clientWidth / letters, 1) * by, widest);
    const untouched = maps.scrollWidth <= maps.clientWidth || Math.abs(maps.scrollLeft - placed) < 1;
    base = Math.max(by ? zoomed : whole, whole);
    stretch();
    if (untouched) centre(view);
    else maps.scrollLeft = middle * maps.querySelector(".ruler").clientWidth - maps.clientWidth / 2;
    tellShown(view);
  };

  const point = (view, position) => {
    const maps = view.querySelector(".maps");
    const place = position - Number(maps.dataset.start);
    const letter = maps.dataset.letters[place];
    view.querySelector(".reading output").textContent = `${position}: ${letter}`;
    const cursor = view.querySelector(".cursor");
    const width = maps.querySelector(".ruler").clientWidth / maps.dataset.letters.length;
    cursor.style.left = `${(place + 0.5) * width}px`;
    for (const map of maps.querySelectorAll(".map")) {
      const share = Number(map.dataset.scores.split(" ")[place]) / 1000;
      const largest = parseFloat(map.dataset.largest.replace("largest ", ""));
      const score = Number.isFinite(largest) ? (share * largest).toPrecision(2) : "0";
      map.querySelector("output").textContent = `${String(Number(score)).replace("-", "\u2212")} (${map.dataset.largest})`;
    }
  };

  for (const view of views) {
    const reading = view.querySelector(".reading");
    const slider = reading.querySelector("input");
    const maps = view.querySelector(".maps");
    reading.hidden = false;
    const tell = (position) => {
      slider.value = String(position);
      view.querySelector(".cursor").hidden = false;
      point(view, Number(slider.value));
    };
    slider.addEventListener("input", () => tell(slider.value));
    maps.addEventListener("scroll", () => shown() === view && tellShown(view), { passive: true });
    maps.addEventListener("pointermove", (event) => {
      const ruler = maps.querySelector(".ruler").getBoundingClientRect();
      const share = (event.clientX - ruler.left) / ruler.width;
      tell(Math.floor(share * maps.dataset.letters.length) + Number(maps.dataset.start));
    });
  }

  browser.classList.add("picking");
  pick.hidden = false;
  sequence.addEventListener("change", show);
  if (model) model.addEventListener("change", show);
  addEventListener("resize", () => shown() && tellShown(shown()));
  before.addEventListener("click", () => step(-1));
  next.addEventListener("click", () => step(1));
  control("narrower").addEventListener("click", () => scale(1 / 1.5));
  control("wider").addEventListener("click", () => scale(1.5));
  control("whole").addEventListener("click", () => scale(0));
  show();
}
