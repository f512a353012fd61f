// What every explorer in a page is made of: controls, and pictures whose numbers can be read with mouse and keys.
// No kernel, no network, no dependencies. A page may hold this file more than once.

window.dlsegPage ??= (() => {
  function make(tag, parent, attributes = {}, text = "") {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  /** The page's colours follow the book's switch, where it has one, else the system. */
  function follow(root) {
    const dark = () => {
      const asked = document.body.dataset.theme;
      root.toggleAttribute("data-dark", asked === "dark" || (asked !== "light" && matchMedia("(prefers-color-scheme: dark)").matches));
    };
    dark();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dark);
    new MutationObserver(dark).observe(document.body, {attributes: true, attributeFilter: ["data-theme"]});
  }

  /** Controls on the left, pictures on the right, and a line that reads out what the pointer is on. */
  function frame(root) {
    root.className = "dlseg";
    follow(root);
    const inside = make("div", root, {class: "frame"});
    const controls = make("div", inside, {class: "controls"}), pictures = make("div", inside, {class: "pictures"});
    const reading = make("div", controls, {class: "note reading", "aria-live": "polite"}, "");
    return {controls, pictures, say: (text) => { reading.textContent = text; controls.append(reading); }};
  }

  /** A labelled slider; `then(value, moving)`. Returns a function that sets it. */
  function slider(parent, words, {id, low, high, step = 1, tip = "", show = String}, then) {
    const row = make("div", parent, {class: "row", title: tip}), label = make("label", row, {for: id}, words);
    const output = make("output", label), input = make("input", row, {type: "range", id, min: low, max: high, step});
    input.addEventListener("input", () => { output.textContent = show(+input.value); then(+input.value, true); });
    input.addEventListener("change", () => then(+input.value, false));
    const set = (value) => { input.value = value; output.textContent = show(value); };
    return Object.assign(set, {input});
  }

  /** A labelled list to choose from: options are [value, text]; `then(value)`. */
  function choice(parent, words, options, then) {
    const row = make("div", parent, {class: "row"}), label = make("label", row, {}, words), select = make("select", label);
    for (const [value, text] of options) make("option", select, {value}, text);
    select.addEventListener("change", () => then(select.value));
    return select;
  }

  function button(parent, text, tip, then) {
    const made = make("button", parent, {type: "button", title: tip}, text);
    made.addEventListener("click", then);
    return made;
  }

  /**
   * A picture of cells. `size()` gives [rows, columns], `read(row, column)` the words for a cell, `pick(row, column)`
   * is called on a click and on Enter. Arrow keys walk from cell to cell, ten at a time with Shift.
   */
  function picture(parent, words, {size, read, pick, say}) {
    const figure = make("figure", parent), caption = make("figcaption", figure, {}, words);
    const canvas = make("canvas", figure, {tabindex: 0, role: "img", "aria-label": words});
    let place = null;
    const cell = (event) => {
      const box = canvas.getBoundingClientRect(), [rows, columns] = size();
      return [
        clamp(Math.floor((rows * (event.clientY - box.top)) / box.height), 0, rows - 1),
        clamp(Math.floor((columns * (event.clientX - box.left)) / box.width), 0, columns - 1),
      ];
    };
    canvas.addEventListener("pointermove", (event) => say(read(...cell(event))));
    canvas.addEventListener("pointerleave", () => say(""));
    if (pick) {
      canvas.classList.add("pick");
      canvas.addEventListener("pointerdown", (event) => { place = cell(event); pick(...place, event); });
    }
    canvas.addEventListener("keydown", (event) => {
      const [rows, columns] = size(), steps = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
      place ??= [rows >> 1, columns >> 1];
      if (event.key === "Enter" && pick) pick(...place, event);
      if (!steps) return;
      event.preventDefault();
      const stride = event.shiftKey ? 10 : 1;
      place = [clamp(place[0] + stride * steps[0], 0, rows - 1), clamp(place[1] + stride * steps[1], 0, columns - 1)];
      say(read(...place));
    });
    return {figure, caption, canvas, cell};
  }

  /** Fills a canvas of width × height pixels; `colour(i)` gives [red, green, blue] of pixel i. */
  function fill(canvas, width, height, colour) {
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      const [r, g, b] = colour(i);
      pixels.data.set([r, g, b, 255], 4 * i);
    }
    context.putImageData(pixels, 0, 0);
    return context;
  }

  /** A table from rows of text; the first row is its head. `mark(row)` names a class for a row. */
  function table(element, rows, mark = () => "") {
    element.replaceChildren();
    rows.forEach((row, number) => {
      const tr = make("tr", element, {class: mark(number - 1)});
      for (const text of row) make(number ? "td" : "th", tr, number ? {} : {scope: "col"}, text);
    });
  }

  /** Lines over a common axis, as SVG: `lines` are {name, xs, ys, colour}; `at` marks an x. */
  function chart(element, title, lines, at = null) {
    const wide = 300, high = 120, left = 40, foot = 18;
    const xs = lines.flatMap((l) => l.xs), ys = lines.flatMap((l) => l.ys);
    const [x0, x1] = [Math.min(...xs), Math.max(...xs)], y1 = Math.max(...ys), y0 = Math.min(0, ...ys);
    const x = (v) => left + ((v - x0) / (x1 - x0 || 1)) * (wide - left - 6), y = (v) => high - foot - ((v - y0) / (y1 - y0 || 1)) * (high - foot - 8);
    const number = (v) => (Math.abs(v) >= 100 ? v.toFixed(0) : Number(v.toPrecision(2)).toString());
    const svg = [`<svg viewBox="0 0 ${wide} ${high}" role="img" aria-label="${title}">`];
    for (const v of [y0, (y0 + y1) / 2, y1]) {
      svg.push(`<line class="grid" x1="${left}" x2="${wide - 6}" y1="${y(v)}" y2="${y(v)}"/><text x="${left - 4}" y="${y(v) + 4}" text-anchor="end">${number(v)}</text>`);
    }
    for (const [v, anchor] of [[x0, "middle"], [(x0 + x1) / 2, "middle"], [x1, "end"]]) {
      svg.push(`<text x="${anchor === "end" ? wide : x(v)}" y="${high - 3}" text-anchor="${anchor}">${number(v)}</text>`);
    }
    for (const l of lines) svg.push(`<polyline style="stroke:${l.colour};stroke-width:${l.wide ?? 1.8}" points="${l.xs.map((v, i) => `${x(v).toFixed(1)},${y(l.ys[i]).toFixed(1)}`).join(" ")}"/>`);
    if (at !== null) svg.push(`<line class="at" x1="${x(at)}" x2="${x(at)}" y1="6" y2="${high - foot}"/>`);
    element.innerHTML = `<figcaption>${title}</figcaption>${svg.join("")}</svg>`;
  }

  return {make, bytes, floats, clamp, follow, frame, slider, choice, button, picture, fill, table, chart};
})();
