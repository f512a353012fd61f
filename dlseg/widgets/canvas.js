// The label canvas: a photo, and over it one layer of bytes coloured by a table of 256 RGBA rows.
// A new layer arrives deflated; opacity, the highlighted class and "photo only" need no kernel.
// A table row with alpha 0 stands for the photo's own pale grey, with 1 for the photo as it is; with another alpha it
// is laid over the photo that strongly. A layer smaller than the photo is stretched over it.

const VOID = 255, CLEAR = 1, HATCH_DARK = 96, HATCH_LIGHT = 208, HATCH_PERIOD = 8, FADE = 0.4, RIM = 0.35, PALE = "#d8d8d8";

const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

async function inflate(view) {
  const stream = new Blob([bytes(view)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function pixels(view, width, height) {
  const bitmap = await createImageBitmap(new Blob([bytes(view)]), { colorSpaceConversion: "none" });
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

const luma = (rgb, p) => 0.299 * rgb[p] + 0.587 * rgb[p + 1] + 0.114 * rgb[p + 2];

// for each pixel along an axis, the layer's cell it lies in
const cells = (pixelCount, cellCount) =>
  Int32Array.from({ length: pixelCount }, (_, i) => Math.floor(((i + 0.5) * cellCount) / pixelCount));

function blend(out, photo, [height, width], { values, size, table, kind }, highlighted, opacity) {
  const rows = cells(height, size[0]), columns = cells(width, size[1]);
  const at = (r, c) => (r < 0 || c < 0 || r >= height || c >= width ? VOID : values[rows[r] * size[1] + columns[c]]);
  const beside = (r, c) => [at(r - 1, c), at(r + 1, c), at(r, c - 1), at(r, c + 1)].some((label) => label !== VOID);
  for (let r = 0, p = 0; r < height; r++) {
    for (let c = 0; c < width; c++, p += 4) {
      const value = values[rows[r] * size[1] + columns[c]], row = value * 4;
      const grey = Math.floor(255 - (255 - luma(photo, p)) * FADE + 0.5);
      const faded = table[row + 3] === 0 || (highlighted >= 0 && value !== highlighted);
      const rim = kind === "scribbles" && value === VOID && beside(r, c);
      const stripe = (r + c) % HATCH_PERIOD < HATCH_PERIOD / 2 ? HATCH_LIGHT : HATCH_DARK;
      for (let k = 0; k < 3; k++) {
        const laid = photo[p + k] + (table[row + 3] > CLEAR ? ((table[row + k] - photo[p + k]) * table[row + 3]) / 255 : 0);
        const colour = rim ? photo[p + k] * RIM : faded ? grey : kind === "labels" && value === VOID ? stripe : laid;
        out[p + k] = Math.floor(photo[p + k] + (colour - photo[p + k]) * opacity + 0.5);
      }
      out[p + 3] = 255;
    }
  }
}

function element(tag, cls, parent, text = "") {
  const made = document.createElement(tag);
  made.className = cls;
  made.textContent = text;
  parent.append(made);
  return made;
}

const css = (table, value) => `rgba(${[0, 1, 2].map((k) => table[value * 4 + k])}, ${table[value * 4 + 3] / 255})`;

function swatch(shown, value) {
  if (shown.kind === "labels" && value === VOID) return "repeating-linear-gradient(135deg, #d0d0d0 0 3px, #606060 3px 6px)";
  return shown.table[value * 4 + 3] === 0 ? PALE : css(shown.table, value);
}

const inside = (share) => Math.min(Math.max(share, 0), 1);

const number = (value) => (Math.abs(value) >= 0.01 || value === 0 ? `${+value.toPrecision(3)}` : value.toExponential(1));

function colourBar(legend, shown) {
  const { low, high, label } = shown.bar;
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((value) => css(shown.table, value));
  const bar = element("div", "dlseg-bar", legend);
  element("span", "", bar, number(low));
  element("span", "dlseg-ramp", bar).style.background = `linear-gradient(to right, ${stops.join()})`;
  element("span", "", bar, number(high));
  element("span", "", bar, label);
}

function render({ model, el }) {
  const box = element("div", "dlseg-canvas", el);
  const head = element("div", "dlseg-head", box);
  const title = element("span", "dlseg-title", head);
  const peek = element("button", "dlseg-peek", head, "photo");
  const frame = element("div", "dlseg-frame", box);
  const canvas = element("canvas", "dlseg-picture", frame);
  const ring = element("span", "dlseg-ring", frame);
  const busy = element("span", "dlseg-busy", frame, "working …");
  const legend = element("div", "dlseg-legend", box);
  const foot = element("div", "dlseg-foot", box);
  const status = element("div", "dlseg-status", foot), reading = element("div", "dlseg-reading", foot);
  const cross = element("span", "dlseg-cross", frame);
  status.setAttribute("role", "status");
  reading.setAttribute("aria-live", "polite");
  cross.hidden = true;
  peek.title = "Show the photo alone";

  let photo = null, extent = [0, 0], shown = null, asked = 0, loading = 0, hovered = -1, tall = {}, wide = 0;
  let cursor = null, probe = null, root = el;
  const set = (key, value) => { model.set(key, value); model.save_changes(); };
  const name = (value) => (shown.kind === "labels" && value === VOID ? "void" : shown.names[value] ?? (shown.kind === "numbers" ? "" : `${value}`));

  function draw() {
    if (!photo || !shown) return;
    const [height, width] = extent;
    const context = canvas.getContext("2d"), image = context.createImageData(width, height);
    const opacity = model.get("photo_only") ? 0 : shown.kind === "labels" ? model.get("opacity") : 1;
    const over = brush.map && shown.kind === "scribbles" ? { ...shown, values: brush.map, size: extent } : shown;
    blend(image.data, photo, extent, over, hovered >= 0 ? hovered : model.get("highlighted"), opacity);
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context.putImageData(image, 0, 0);
    canvas.dataset.frame = shown.frame;
    canvas.dataset.settings = named(shown.settings);
  }

  function explain() {
    const counts = new Array(256).fill(0);
    for (const value of shown.values) counts[value]++;
    const there = shown.names.length ? counts.flatMap((count, value) => (count && name(value) ? [value] : [])) : [];
    const shares = there.map((value) => `${name(value)} ${Math.round((100 * counts[value]) / shown.values.length)} %`);
    canvas.setAttribute("aria-label", [model.get("title"), ...shares, shown.bar?.label ?? ""].join(", "));
    const key = JSON.stringify([there, shown.names, shown.bar]);
    if (legend.dataset.key === key) return; // the same legend: leave the buttons (and the focus) alone
    legend.dataset.key = key;
    legend.replaceChildren();
    if (shown.bar) colourBar(legend, shown);
    for (const value of there) chip(value);
    pressed();
    keep(legend);
  }

  // what stands below must not jump: a legend or status that was once so tall stays so tall, while the picture is as wide
  function keep(element) {
    if (wide !== box.clientWidth) forget();
    const name = element.classList[0];
    tall[name] = Math.max(tall[name] ?? 0, element.scrollHeight);
    element.style.minHeight = `${tall[name]}px`;
  }

  function forget() {
    wide = box.clientWidth;
    tall = {};
    for (const kept of [title, status, legend]) kept.style.minHeight = "";
  }
  const resized = new ResizeObserver(() => {
    if (wide !== box.clientWidth) [title, status, legend].forEach(keep);
  });
  resized.observe(box);

  function chip(value) {
    const made = element("button", "dlseg-chip", legend);
    element("span", "dlseg-swatch", made).style.background = swatch(shown, value);
    element("span", "", made, name(value));
    made.dataset.value = value;
    made.title = `Show ${name(value)} alone`;
    made.onmouseenter = () => { hovered = value; draw(); };
    made.onmouseleave = () => { hovered = -1; draw(); };
    made.onclick = () => set("highlighted", model.get("highlighted") === value ? -1 : value);
  }

  function pressed() {
    peek.setAttribute("aria-pressed", model.get("photo_only"));
    for (const made of legend.querySelectorAll("button"))
      made.setAttribute("aria-pressed", Number(made.dataset.value) === model.get("highlighted"));
  }

  async function load() {
    if (!model.get("photo").byteLength) return; // nothing to show yet
    const [height, width] = model.get("size");
    box.style.setProperty("--dlseg-ratio", width / height); // as wide as the window's height allows (canvas.css)
    forget();
    if (!photo) [canvas.width, canvas.height] = [width, height]; // its place on the page, before it is decoded
    const mine = ++loading, fresh = await pixels(model.get("photo"), width, height);
    if (mine < loading) return; // a newer photo is on its way
    [photo, extent] = [fresh, [height, width]];
    await brush.restart(true);
    draw();
  }

  async function arrive() {
    if (!model.get("layer").byteLength || !newest.takes(model.get("settings"))) return;
    const mine = ++asked, bar = model.get("bar");
    const fresh = { frame: mine, size: model.get("layer_size"), table: bytes(model.get("table")).slice(),
      names: model.get("names"), kind: model.get("kind"), bar: "label" in bar ? bar : null,
      settings: model.get("settings") };
    fresh.values = await inflate(model.get("layer"));
    if (shown && mine < shown.frame) return; // a newer one was quicker
    hovered = -1;
    present(fresh);
  }

  // a preview that the page made by itself, of the same kind as what is shown
  function preview({ values, size, settings }) {
    if (shown && newest.previews(settings)) present({ ...shown, frame: ++asked, values, size, settings });
  }

  function present(fresh) {
    shown = fresh;
    draw();
    explain();
    words();
    read();
  }

  const newest = makeNewest(() => words());
  const expect = (question) => {
    if (question) newest.ask(question);
    else newest.clear();
    words();
  };

  function words() {
    const error = model.get("error");
    if (error) newest.clear();
    title.textContent = model.get("title");
    status.textContent = error || newest.words() || model.get("status");
    status.classList.toggle("dlseg-error", error !== "");
    busy.hidden = !model.get("busy");
    canvas.dataset.settled = model.get("settled") && !newest.waits();
    if (model.get("settings").length) root.classList.toggle("dlseg-waits", newest.late());
    keep(title);
    keep(status);
  }

  // what lies under the cursor, in words; all from what the page has
  function read() {
    cross.hidden = !cursor;
    if (cursor) [cross.style.top, cross.style.left] = cursor.map((share) => `${100 * share}%`);
    const found = cursor && shown ? described(cursor) : "";
    if (reading.textContent !== found) reading.textContent = found;
    foot.classList.toggle("dlseg-reads", found !== "");
  }

  const cell = (place, size) => place.map((share, axis) => Math.min(size[axis] - 1, Math.floor(share * size[axis])));

  function described(place) {
    const [row, column] = cell(place, extent[0] ? extent : shown.size), [r, c] = cell(place, shown.size);
    const scribbled = brush.map && shown.kind === "scribbles";
    const value = scribbled ? brush.map[row * extent[1] + column] : shown.values[r * shown.size[1] + c];
    const { bar } = shown, level = bar && `${number(bar.low + (value / 255) * (bar.high - bar.low))}, ${bar.label}`;
    const words = [name(value) || level || "", likely(place)].filter(Boolean);
    return `y ${row}, x ${column}: ${words.join(" · ")}`;
  }

  function likely(place) {
    if (!probe || newest.waits() || model.get("probe_frame") !== model.get("frame")) return "";
    const [planes, height, width] = model.get("probe_size"), classes = model.get("classes");
    const [r, c] = cell(place, [height, width]), count = planes / 2;
    const at = (plane) => probe[(plane * height + r) * width + c];
    return Array.from({ length: count }, (_, k) => [classes[at(k)] ?? `class ${at(k)}`, Math.round(at(k + count) / 2.55)])
      .filter(([, share]) => share > 0).map(([word, share]) => `${word} ${share} %`).join(", ");
  }

  async function unpack() {
    const data = model.get("probe");
    probe = data.byteLength ? await inflate(data) : null;
    read();
  }

  // the pictures of an explorer show the same place: where the cursor is on one, a cross is on all
  const point = (place) => root.dispatchEvent(new CustomEvent("dlseg-cursor", { detail: place }));
  const pointed = (event) => {
    cursor = event.detail;
    if (model.get("has_probs") && model.get("probed") !== (cursor !== null)) set("probed", cursor !== null);
    read();
  };
  let frames = 0; // looked for the explorer, which may come to the page later than its pictures
  const begin = () => {
    const found = el.closest(".dlseg-explorer");
    if (!found && frames++ < 600) return void (waiting = requestAnimationFrame(begin));
    root = found ?? el;
    return root.addEventListener("dlseg-cursor", pointed);
  };
  let waiting = requestAnimationFrame(begin);
  const under = (event) => [inside(event.offsetY / canvas.clientHeight), inside(event.offsetX / canvas.clientWidth)];
  canvas.addEventListener("pointermove", (event) => point(under(event)));
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("blur", () => point(null));

  function pick(row, column) {
    const place = [inside(row), inside(column)];
    if (model.get("mark").length) model.set("mark", place); // at once: the next key starts from here
    set("picked", [...place, model.get("picked")[2] + 1]);
  }

  function pickable() {
    const can = model.get("pickable") || brush.on(), mark = model.get("mark");
    canvas.classList.toggle("dlseg-pickable", can);
    canvas.classList.toggle("dlseg-brush", brush.on());
    brush.show();
    ring.hidden = !mark.length;
    if (mark.length) [ring.style.top, ring.style.left] = mark.map((share) => `${100 * share}%`);
  }

  canvas.onclick = (event) => {
    if (model.get("pickable")) pick(event.offsetY / canvas.clientHeight, event.offsetX / canvas.clientWidth);
  };
  canvas.onkeydown = (event) => {
    if (brush.key(event)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const dab = brush.on() && (event.key === " " || event.key === "Enter");
    if (!step && !dab) return;
    event.preventDefault();
    event.stopPropagation();
    const [row, column] = model.get("mark").length ? model.get("mark") : [0.5, 0.5], far = event.shiftKey ? 5 : 1;
    const [down, right] = model.get("steps");
    if (step && !model.get("pickable") && !brush.on()) { // read, pixel by pixel
      const [y, x] = cursor ?? [0.5, 0.5], fast = event.shiftKey ? 10 : 1;
      point([inside(y + (step[0] * fast) / extent[0]), inside(x + (step[1] * fast) / extent[1])]);
      return;
    }
    if (dab) brush.dab([row, column]);
    else if (brush.on()) set("mark", [inside(row + step[0] * down * far), inside(column + step[1] * right * far)]);
    else pick(row + step[0] * down * far, column + step[1] * right * far);
    point(model.get("mark").length ? model.get("mark") : null);
  };
  const brush = makeBrush({ model, canvas, frame, head, redraw: draw, size: () => extent });
  canvas.setAttribute("role", "application");
  canvas.tabIndex = 0;
  canvas.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take Ctrl+Z for its cells
  peek.onclick = () => set("photo_only", !model.get("photo_only"));

  const listeners = {
    "change:photo": load, "change:frame": arrive, "change:pickable change:mark change:brush change:paints": pickable,
    "change:drawn change:brush change:paints": () => brush.restart().then(draw),
    "change:probe": unpack, "change:probe_frame": read, "dlseg:asked": expect, "dlseg:preview": preview,
    "change:opacity change:highlighted change:photo_only": () => { pressed(); draw(); },
    "change:title change:status change:error change:busy change:settled": words,
  };
  for (const [events, listener] of Object.entries(listeners)) model.on(events, listener);
  words();
  pressed();
  pickable();
  load().then(arrive);
  unpack();
  return () => {
    newest.clear();
    resized.disconnect();
    cancelAnimationFrame(waiting);
    root.removeEventListener("dlseg-cursor", pointed);
    for (const [events, listener] of Object.entries(listeners)) model.off(events, listener);
  };
}

export default { render };
