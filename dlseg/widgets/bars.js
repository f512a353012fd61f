// Small bar charts side by side, each number beside its bar; under the cursor, or by arrow keys, one row in words.

function element(tag, cls, parent, text = "") {
  const made = document.createElement(tag);
  made.className = cls;
  made.textContent = text;
  parent.append(made);
  return made;
}

function render({ model, el }) {
  el.classList.add("dlseg-bars");
  let at = null; // [chart, row] that is read

  function draw() {
    const { title, rows, charts, chosen } = model.get("data");
    el.replaceChildren();
    if (!charts?.length) return;
    const root = element("div", "dlseg-bars-charts", el), words = element("div", "dlseg-chart-reading", el);
    const said = (c, r) => `${rows[r]}, ${charts[c].title}: ${charts[c].series.map(({ name, texts }) => `${name} ${texts[r]}`).join(", ")}`;
    root.tabIndex = 0;
    root.setAttribute("role", "img");
    root.setAttribute("aria-label", [title, ...charts.flatMap((_, c) => rows.map((_, r) => said(c, r)))].join("; "));
    words.setAttribute("aria-live", "polite");
    const lines = charts.map((chart, c) => {
      const box = element("div", "dlseg-bars-chart", root);
      element("b", "", box, chart.title);
      const made = rows.map((name, r) => {
        const line = element("div", "dlseg-bars-row", box), bars = document.createElement("div");
        element("span", r === chosen ? "dlseg-bars-chosen" : "", line, name);
        for (const { shares, texts, ink } of chart.series) {
          const bar = element("div", "dlseg-bars-bar", bars);
          element("i", `dlseg-ink-${ink}`, bar).style.width = `${68 * shares[r]}%`;
          element("span", "", bar, texts[r]);
        }
        line.append(bars);
        line.onpointerenter = () => read([c, r]);
        return line;
      });
      const legend = element("div", "dlseg-bars-legend", box);
      for (const { name, ink } of chart.series) {
        const key = element("span", "", legend);
        element("i", `dlseg-ink-${ink}`, key);
        key.append(` ${name}`);
      }
      return made;
    });

    function read(place) {
      at = place;
      lines.flat().forEach((line) => line.classList.remove("dlseg-bars-read"));
      if (at) lines[at[0]][at[1]].classList.add("dlseg-bars-read");
      words.textContent = at ? said(...at) : "";
    }
    root.onpointerleave = root.onblur = () => read(null);
    root.onkeydown = (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const within = (value, count) => Math.min(Math.max(value, 0), count - 1);
      read(at ? [within(at[0] + step[0], charts.length), within(at[1] + step[1], rows.length)] : [0, 0]);
    };
    read(at);
  }
  model.on("change:data", draw);
  draw();
  return () => model.off("change:data", draw);
}

export default { render };
