// The CRF studio in a page: no kernel, no network. `startStudio(root, data)` fills the element `root`.
//
// data: {width, height, image, probs, truth, classes, colours, params, name}; image, probs (float16) and truth are
// base64 of their bytes, compressed by zlib, truth may be null, 255 in it is void. The engine and the worker are in the page as text.

const SLIDERS = [
  ["w1", "w1: weight of appearance", 0, 30, 0.5, "How much pixels of like colour pull each other. 0 switches the appearance kernel off."],
  ["sigma_alpha", "σα: how far, in pixels", 1, 160, 1, "Pixels further apart than about twice this do not hear each other."],
  ["sigma_beta", "σβ: how alike in colour", 1, 60, 1, "Small: only nearly equal colours are tied. Large: colour hardly counts, edges melt."],
  ["w2", "w2: weight of smoothness", 0, 30, 0.5, "How much near pixels pull each other whatever their colour. It removes specks."],
  ["sigma_gamma", "σγ: smoothness reaches, in pixels", 1, 20, 0.5, "Large values round corners and eat thin parts."],
  ["iterations", "iterations of mean field", 0, 20, 1, "0 is the network alone. Ten is what the paper takes."],
];
const VIEWS = {labels: "labels", belief: "one label's belief", entropy: "entropy (doubt)", change: "what the CRF changed"};
const VOID = 255, SURE = 0.7, LARGEST = 321;

async function startStudio(root, data) {
  const state = {params: {...data.params}, view: "labels", shown: 1, pin: null, scribbles: null, brush: 4, ink: 1, undo: []};
  let problem = await decoded(data), answer = null, moving = false;
  const source = ["engine", "worker"].map((name) => document.getElementById(`dlseg-${name}`).textContent);
  const {ask} = startEngine(source.join("\n"));

  // ---- the page's parts
  const {make, slider, picture} = dlsegPage, {controls, pictures, say} = dlsegPage.frame(root);
  const inputs = {};
  for (const [name, words, low, high, step, tip] of SLIDERS) {
    inputs[name] = slider(controls, words, {id: `${root.id}-${name}`, low, high, step, tip}, (value, now) => {
      state.params[name] = value;
      moving = now;
      changed();
    });
  }
  const choose = (words, options, then) => dlsegPage.choice(controls, words, options, then);
  const normalization = choose("normalise", ["after", "symmetric", "none"].map((n) => [n, n]), (value) => { state.params.normalization = value; changed(); });
  const view = choose("show", Object.entries(VIEWS), (value) => { state.view = value; paint(); });
  const label = choose("label", [], (value) => { state.shown = +value; paint(); });
  const buttons = make("div", controls);
  const button = (text, tip, then, parent = buttons) => dlsegPage.button(parent, text, tip, then);
  const play = button("play iterations", "From the network alone to the last iteration, one by one.", () => playing());
  const pin = button("pin", "Keep this result and compare the next ones with it.", () => { state.pin = state.pin ? null : answer; pin.setAttribute("aria-pressed", !!state.pin); paint(); });
  button("reset", "The settings that the page began with.", () => { state.params = {...data.params}; moving = false; changed(); });
  button("copy as Python", "The call that gives this result with dlseg.", () => copy());
  const own = button("own photo …", "It stays in this page: nothing is sent anywhere.", () => file.click());
  const file = make("input", controls, {type: "file", accept: "image/*", hidden: ""});
  file.addEventListener("change", () => file.files[0] && load(file.files[0]));
  const tools = make("div", controls, {hidden: ""});
  const inkSelect = make("select", tools, {"aria-label": "label to draw"});
  inkSelect.addEventListener("change", () => { state.ink = +inkSelect.value; });
  const brush = make("input", tools, {type: "range", min: 1, max: 12, step: 1, value: 4, "aria-label": "width of the brush"});
  brush.addEventListener("input", () => { state.brush = +brush.value; });
  button("undo", "Take back the last stroke.", () => { if (state.undo.length) { state.scribbles = state.undo.pop(); scribbled(); } }, tools);
  const message = make("p", controls, {class: "note", role: "status"});

  const table = make("table", make("div", pictures, {class: "wide scroll"}));
  const canvases = {};
  for (const [name, words] of [["image", "the image: click a pixel"], ["network", "the network"], ["crf", "with the CRF"], ["pinned", "pinned"], ["truth", "the truth"], ["ties", "ties of a pixel"]]) {
    const pick = name === "image" ? picked : undefined;
    canvases[name] = picture(pictures, words, {size: () => [problem.height, problem.width], read, pick, say});
  }
  const legend = make("div", pictures, {class: "legend wide"});
  const image = canvases.image.canvas;
  function picked(row, col, event) {
    if (!state.scribbles || event.type === "keydown") { affinity(row, col); return; }
    image.setPointerCapture(event.pointerId);
    state.undo.push(state.scribbles.slice());
    state.undo.splice(0, state.undo.length - 50);
    stroke(event);
  }
  image.addEventListener("pointermove", (event) => { if (state.scribbles && event.buttons) stroke(event); });
  image.addEventListener("pointerup", () => { if (state.scribbles) scribbled(); });

  // ---- what the numbers are
  const names = () => problem.classes;
  const colour = (l) => data.colours[l % data.colours.length];

  async function setProblem(next) {
    problem = next;
    const n = problem.width * problem.height, count = names().length;
    problem.labels = new Uint8Array(n);
    for (let i = 0; i < n; i++) for (let l = 1; l < count; l++) if (problem.probs[l * n + i] > problem.probs[problem.labels[i] * n + i]) problem.labels[i] = l;
    label.replaceChildren();
    names().forEach((name, l) => make("option", label, {value: l}, name));
    state.shown = Math.min(state.shown, count - 1);
    label.value = state.shown;
    answer = state.pin = null;
    pin.setAttribute("aria-pressed", false);
    canvases.ties.figure.hidden = true;
    canvases.truth.figure.hidden = !problem.truth;
    await ask({kind: "image", problem: {image: problem.image, width: problem.width, height: problem.height, probs: problem.probs, classes: count}});
    changed();
  }

  function changed() {
    for (const [name, set] of Object.entries(inputs)) set(state.params[name]);
    normalization.value = state.params.normalization;
    queue.ask({params: {...state.params}, preview: moving});
  }

  const queue = newestWins(async (question) => {
    const asked = problem, first = !answer, got = await ask({kind: "infer", ...question});
    if (asked !== problem) return;
    message.className = got.error ? "note wrong" : "note";
    if (got.error) { message.textContent = got.error; return; }
    answer = {...got, params: question.params};  // the sliders may have moved on
    if (first) paint(); else paintResult();
    root.dispatchEvent(new CustomEvent("answered", {detail: {milliseconds: got.milliseconds, preview: question.preview}}));
  });

  async function affinity(row, col) {
    const got = await ask({kind: "affinity", params: {...state.params}, row, col});
    if (got.error) { message.textContent = got.error; return; }
    const sum = got.appearance.map((a, i) => a + got.smoothness[i]), sorted = Float32Array.from(sum).sort();
    const high = sorted[Math.floor(0.99 * (sorted.length - 1))] || sorted.at(-1) || 1;
    canvases.ties.figure.hidden = false;
    canvases.ties.caption.textContent = `ties of row ${row}, column ${col}`;
    canvases.ties.values = sum;
    draw("ties", problem.width, problem.height, heat((i) => sum[i] / high));
    const context = canvases.ties.canvas.getContext("2d");
    context.strokeStyle = "#ffffff";
    context.strokeRect(col - 2.5, row - 2.5, 6, 6);
  }

  // ---- pictures
  function draw(name, width, height, colourOf) {
    const {canvas} = canvases[name];
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d"), pixels = context.createImageData(width, height), out = pixels.data;
    let at = 0;
    const put = (r, g, b) => { out[at] = r; out[at + 1] = g; out[at + 2] = b; out[at + 3] = 255; };
    for (let i = 0; i < width * height; i++, at += 4) colourOf(i, put);
    context.putImageData(pixels, 0, 0);
  }

  /** Pixel of a picture that is whole or half as large → pixel of the image. */
  const inWhole = (width) => (width === problem.width ? (i) => i
    : (i) => Math.min(2 * Math.floor(i / width), problem.height - 1) * problem.width + Math.min(2 * (i % width), problem.width - 1));

  function labelsOver(name, labels, width, height) {
    const pixel = inWhole(width);
    draw(name, width, height, (i, put) => {
      const at = pixel(i);
      const p = problem.image, grey = 0.299 * p[3 * at] + 0.587 * p[3 * at + 1] + 0.114 * p[3 * at + 2];
      const c = labels[i] === VOID ? [128, 128, 128] : labels[i] ? colour(labels[i]) : [255, 255, 255], k = labels[i] ? 0.65 : 0.55;
      put(grey + k * (c[0] - grey), grey + k * (c[1] - grey), grey + k * (c[2] - grey));
    });
  }

  const heat = (value) => (i, put) => { const v = 255 * Math.min(1, value(i)); put(v, v * 0.85, v * 0.4); };

  function mapOf(q, n) {
    if (state.view === "belief") return (i) => q[state.shown * n + i];
    const count = names().length, top = Math.log(count);
    return (i) => { let h = 0; for (let l = 0; l < count; l++) { const p = q[l * n + i]; if (p > 0) h -= p * Math.log(p); } return h / top; };
  }

  function result(name, q, labels, width, height) {
    const n = width * height;
    if (state.view === "labels") labelsOver(name, labels, width, height);
    else if (state.view === "change") {
      const pixel = inWhole(width);
      draw(name, width, height, (i, put) => {
        if (labels[i] === problem.labels[pixel(i)]) put(235, 235, 235); else put(...colour(labels[i] || 0).map((c) => (labels[i] ? c : 40)));
      });
    } else {
      draw(name, width, height, heat(mapOf(q, n)));
    }
  }

  function paint() {
    if (!answer) return;
    const {width, height} = problem, n = width * height;
    draw("image", width, height, (i, put) => {
      const drawn = state.scribbles ? state.scribbles[i] : VOID;
      if (drawn !== VOID) put(...(drawn ? colour(drawn) : [255, 255, 255])); else put(problem.image[3 * i], problem.image[3 * i + 1], problem.image[3 * i + 2]);
    });
    canvases.image.caption.textContent = state.scribbles ? "the image: draw on it" : "the image: click a pixel";
    canvases.network.caption.textContent = state.scribbles ? "the scribbles" : "the network";
    result("network", problem.probs, problem.labels, width, height);
    canvases.pinned.figure.hidden = !state.pin;
    if (state.pin) result("pinned", state.pin.q, state.pin.labels, state.pin.width, state.pin.height);
    if (problem.truth) labelsOver("truth", problem.truth, width, height);
    label.disabled = state.view !== "belief";
    paintResult();
  }

  /** What changes with every answer. */
  function paintResult() {
    result("crf", answer.q, answer.labels, answer.width, answer.height);
    const there = new Set([...problem.labels, ...answer.labels, ...(problem.truth ?? [])]);
    legend.replaceChildren();
    for (const l of [...there].sort((a, b) => a - b)) {
      const item = make("span", legend), sign = make("i", item);
      sign.style.background = l === VOID ? "#808080" : l ? `rgb(${colour(l)})` : "#ffffff";
      item.append(l === VOID ? "void" : names()[l]);
    }
    rows();
  }

  /** Mean IoU over the classes that are in the truth or in the result; void is not counted. */
  function meanIoU(labels) {
    const count = names().length, both = new Float64Array(count), either = new Float64Array(count);
    for (let i = 0; i < labels.length; i++) {
      const t = problem.truth[i], l = labels[i];
      if (t === VOID) continue;
      if (t === l) { both[t]++; either[t]++; } else { either[t]++; either[l]++; }
    }
    const found = [...either.keys()].filter((l) => either[l]);
    return found.reduce((sum, l) => sum + both[l] / either[l], 0) / found.length;
  }

  function settings(p) {
    return `w1 ${p.w1}, σα ${p.sigma_alpha}, σβ ${p.sigma_beta}, w2 ${p.w2}, σγ ${p.sigma_gamma}`;
  }

  function rows() {
    table.replaceChildren();
    const head = make("tr", table);
    for (const text of ["", ...(problem.truth ? ["mean IoU, %"] : []), "pixels changed", "free energy", "ms"]) make("th", head, {}, text);
    const line = (name, labels, energy, milliseconds, width) => {
      const tr = make("tr", table), full = width === problem.width;
      make("td", tr, {}, name);
      if (problem.truth) make("td", tr, {}, full ? (100 * meanIoU(labels)).toFixed(1) : "…");
      let moved = 0;
      if (full) for (let i = 0; i < labels.length; i++) moved += labels[i] !== problem.labels[i];
      make("td", tr, {}, full ? `${(100 * moved / labels.length).toFixed(1)} %` : "…");
      make("td", tr, {}, Number.isFinite(energy) ? energy.toFixed(0) : energy === null ? "–" : "…");
      make("td", tr, {}, milliseconds ? milliseconds.toFixed(0) : "");
    };
    line(state.scribbles ? "scribbles" : "network", problem.labels, null, 0, problem.width);  // no energy: nothing was refined
    if (state.pin) line(`pinned: ${settings(state.pin.params)}`, state.pin.labels, state.pin.freeEnergy, state.pin.milliseconds, state.pin.width);
    line("with the CRF", answer.labels, answer.freeEnergy, answer.milliseconds, answer.width);
  }

  // ---- numbers under the cursor
  function read(row, col) {
    const {width, height} = problem, i = row * width + col, n = width * height, best = (q, at, m) => {
      const order = [...names().keys()].sort((a, b) => q[b * m + at] - q[a * m + at]).slice(0, 3);
      return order.map((l) => `${names()[l]} ${(100 * q[l * m + at]).toFixed(1)} %`).join(", ");
    };
    const scale = answer && answer.width !== width ? 2 : 1;
    const at = answer && Math.min(Math.floor(row / scale), answer.height - 1) * answer.width + Math.min(Math.floor(col / scale), answer.width - 1);
    const parts = [`row ${row}, column ${col}, colour ${[...problem.image.subarray(3 * i, 3 * i + 3)].join(" ")}`, `before: ${best(problem.probs, i, n)}`];
    if (answer) parts.push(`after: ${best(answer.q, at, answer.width * answer.height)}`);
    if (problem.truth) parts.push(`truth: ${problem.truth[i] === VOID ? "void" : names()[problem.truth[i]]}`);
    if (canvases.ties.values && !canvases.ties.figure.hidden) parts.push(`tie: ${canvases.ties.values[i].toPrecision(2)}`);
    return parts.join(" · ");
  }

  // ---- what the buttons do
  async function playing() {
    const last = Math.max(state.params.iterations, 1);
    play.disabled = true;
    for (let t = 0; t <= last; t++) {
      state.params.iterations = t;
      changed();
      await new Promise((done) => setTimeout(done, 350));
    }
    play.disabled = false;
  }

  async function copy() {
    const p = state.params, text = "from dlseg.crf import CRFParams, refine\n" +
      `params = CRFParams(w1=${p.w1}, sigma_alpha=${p.sigma_alpha}, sigma_beta=${p.sigma_beta}, w2=${p.w2}, ` +
      `sigma_gamma=${p.sigma_gamma}, iterations=${p.iterations}, normalization="${p.normalization}")\n` +
      "labels = refine(image, probs=probs, params=params)\n";
    try { await navigator.clipboard.writeText(text); message.textContent = "Copied."; } catch { message.textContent = text; }
  }

  async function load(chosen) {
    let bitmap;
    try { bitmap = await createImageBitmap(chosen); } catch { message.className = "note wrong"; message.textContent = `${chosen.name}: not a picture that this browser can read`; return; }
    const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
    const width = Math.max(1, Math.round(bitmap.width * scale)), height = Math.max(1, Math.round(bitmap.height * scale));
    const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0, width, height);
    const rgba = context.getImageData(0, 0, width, height).data, pixels = new Uint8Array(3 * width * height);
    for (let i = 0; i < width * height; i++) pixels.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
    state.scribbles = new Uint8Array(width * height).fill(VOID);
    state.undo = [];
    tools.hidden = false;
    problem = {width, height, image: pixels, classes: ["background", "thing 1", "thing 2", "thing 3"], truth: null};
    inkSelect.replaceChildren();
    names().forEach((name, l) => make("option", inkSelect, {value: l}, name));
    inkSelect.value = state.ink = 1;
    message.textContent = "Draw a little on the thing, then choose “background” and draw a little there.";
    scribbled();
  }

  function stroke(event) {
    const [row, col] = canvases.image.cell(event), reach = (state.brush - 1) / 2;
    for (let y = Math.ceil(row - reach); y <= row + reach; y++) {
      for (let x = Math.ceil(col - reach); x <= col + reach; x++) {
        if (y >= 0 && x >= 0 && y < problem.height && x < problem.width) state.scribbles[y * problem.width + x] = state.ink;
      }
    }
    paint();
  }

  /** Scribbles as probabilities: sure where something was drawn, even odds elsewhere. */
  function scribbled() {
    const n = problem.width * problem.height, count = names().length, probs = new Float32Array(count * n).fill(1 / count);
    for (let i = 0; i < n; i++) {
      if (state.scribbles[i] === VOID) continue;
      for (let l = 0; l < count; l++) probs[l * n + i] = l === state.scribbles[i] ? SURE : (1 - SURE) / (count - 1);
    }
    setProblem({...problem, probs});
  }

  say("");
  setProblem(problem);
  // for scripts around the page, and for tests
  return window.dlsegStudio = root.dlseg = {state, set(params) { Object.assign(state.params, params); changed(); }, result: () => answer, idle: queue.idle};
}

/** The data's arrays from their text. */
async function decoded({width, height, classes, ...texts}) {
  const unpacked = async (text) => text && new Uint8Array(await inflated(dlsegPage.bytes(text)));
  const [image, probs, truth] = await Promise.all([texts.image, texts.probs, texts.truth].map(unpacked));
  return {width, height, image, probs: singles(new Uint16Array(probs.buffer)), truth, classes};
}
