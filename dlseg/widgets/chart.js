// A small line chart, drawn as SVG in the page's own ink, so that it fits the light and the dark theme.

const NS = "http://www.w3.org/2000/svg", WIDTH = 300, HEIGHT = 190;
const BOX = { left: 52, right: 16, top: 24, bottom: 38 };
const STYLES = [["var(--dlseg-line-a)", ""], ["var(--dlseg-line-b)", "5 3"], ["currentColor", "1 3"]];

function svg(tag, parent, attributes, text) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

// about four round steps over a range
function ticks(low, high, whole) {
  const rough = Math.max((high - low) / 4, 1e-12), power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(+(i * step).toPrecision(12));
  return found;
}

function scales({ x, lines }) {
  const values = lines.flatMap((line) => line.values).filter(Number.isFinite);
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  [low, high] = [low - room, high + room];
  const [first, last] = [Math.min(...x), Math.max(...x)];
  return {
    low, high, first, last,
    px: (value) => BOX.left + ((value - first) / (last - first || 1)) * (WIDTH - BOX.left - BOX.right),
    py: (value) => HEIGHT - BOX.bottom - ((value - low) / (high - low)) * (HEIGHT - BOX.bottom - BOX.top),
  };
}

function axes(root, data, { low, high, first, last, px, py }) {
  const faint = { stroke: "currentColor", "stroke-opacity": 0.18 }, bottom = HEIGHT - BOX.bottom;
  for (const value of ticks(low, high, false)) {
    svg("line", root, { x1: BOX.left, x2: WIDTH - BOX.right, y1: py(value), y2: py(value), ...faint });
    svg("text", root, { x: BOX.left - 5, y: py(value) + 4, "text-anchor": "end" }, `${value}`);
  }
  for (const value of ticks(first, last, true))
    svg("text", root, { x: px(value), y: bottom + 14, "text-anchor": "middle" }, `${value}`);
  svg("line", root, { x1: BOX.left, x2: WIDTH - BOX.right, y1: bottom, y2: bottom, stroke: "currentColor" });
  svg("text", root, { x: BOX.left, y: 13, class: "dlseg-chart-title" }, data.title);
  svg("text", root, { x: (BOX.left + WIDTH) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, data.x_label);
}

function lines(root, data, { px, py }) {
  data.lines.forEach((line, index) => {
    const [stroke, dash] = STYLES[index % STYLES.length];
    const at = data.x.map((x, i) => [px(x), py(line.values[i])]).filter(([, y]) => Number.isFinite(y));
    const points = at.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    svg("polyline", root, { points, fill: "none", stroke, "stroke-width": 2, "stroke-dasharray": dash });
    if (!dash) for (const [cx, cy] of at) svg("circle", root, { cx, cy, r: 2.5, fill: stroke });
  });
}

function legend(el, data) {
  if (data.lines.length < 2) return;
  const row = document.createElement("div");
  row.className = "dlseg-chart-legend";
  data.lines.forEach((line, index) => {
    const [stroke, dash] = STYLES[index % STYLES.length], entry = document.createElement("span");
    const key = svg("svg", entry, { width: 26, height: 8, "aria-hidden": "true" });
    svg("line", key, { x1: 0, x2: 26, y1: 4, y2: 4, stroke, "stroke-width": 2, "stroke-dasharray": dash });
    entry.append(` ${line.name}`);
    row.append(entry);
  });
  el.append(row);
}

function render({ model, el }) {
  el.classList.add("dlseg-chart");
  let at = -1; // which x is read
  function draw() {
    const data = model.get("data"), marker = model.get("marker");
    el.replaceChildren();
    if (!data.x?.length) return;
    const spoken = data.lines.map((line) => `${line.name}: ${line.values.map((v) => v?.toPrecision(4)).join(", ")}`);
    const root = svg("svg", el, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
      "aria-label": [data.title, data.x_label, ...spoken].join("; ") });
    const scale = scales(data);
    axes(root, data, scale);
    if (marker >= scale.first && marker <= scale.last) {
      const x = scale.px(marker);
      svg("line", root, { x1: x, x2: x, y1: BOX.top, y2: HEIGHT - BOX.bottom, stroke: "currentColor" });
    }
    lines(root, data, scale);
    legend(el, data);
    reader(root, data, scale);
  }

  // under the cursor, or by arrow keys: the values at one x
  function reader(root, data, { px }) {
    const guide = svg("line", root, { y1: BOX.top, y2: HEIGHT - BOX.bottom, stroke: "currentColor", "stroke-opacity": 0.5 });
    const words = document.createElement("div");
    words.className = "dlseg-chart-reading";
    words.setAttribute("aria-live", "polite");
    el.append(words);
    root.setAttribute("tabindex", "0");
    const read = (index) => {
      at = Math.min(index, data.x.length - 1);
      guide.style.display = at < 0 ? "none" : "";
      if (at >= 0) for (const end of ["x1", "x2"]) guide.setAttribute(end, px(data.x[at]));
      const values = data.lines.map(({ name, values }) => `${name} ${values[at]?.toPrecision(4) ?? "–"}`);
      words.textContent = at < 0 ? "" : `${data.x_label} ${data.x[at]}: ${values.join(", ")}`;
    };
    root.onpointermove = (event) => {
      const box = root.getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * WIDTH;
      const far = (value) => Math.abs(px(value) - x);
      read(data.x.reduce((best, value, index) => (far(value) < far(data.x[best]) ? index : best), 0));
    };
    const pick = () => {
      if (at < 0) return;
      model.set("picked", [data.x[at], model.get("picked")[1] + 1]);
      model.save_changes();
    };
    if (model.get("pickable")) {
      root.style.cursor = "pointer";
      root.onclick = pick;
    }
    root.onpointerleave = root.onblur = () => read(-1);
    root.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], picks = event.key === "Enter" && model.get("pickable");
      if (!step && !picks) return;
      event.preventDefault();
      event.stopPropagation();
      if (picks) pick();
      else read(Math.max(0, at < 0 ? (step < 0 ? data.x.length - 1 : 0) : at + step));
    };
    read(at);
  }
  model.on("change:data change:marker", draw);
  draw();
  return () => model.off("change:data change:marker", draw);
}

export default { render };
