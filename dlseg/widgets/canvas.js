// The label canvas: a photo, and over it one plane of bytes coloured by a table of 256 RGBA rows.
// A new plane arrives deflated; colours, opacity, the highlighted class and "photo only" need no kernel.
// A table row with alpha 0 stands for background: the photo's own pale grey.

const VOID = 255, HATCH_DARK = 96, HATCH_LIGHT = 208, HATCH_PERIOD = 8, FADE = 0.4;

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

function blend(out, photo, plane, look) {
  const { table, width, hatched, highlighted, opacity } = look;
  for (let i = 0, p = 0; i < plane.length; i++, p += 4) {
    const value = plane[i], row = value * 4;
    const grey = Math.floor(255 - (255 - luma(photo, p)) * FADE + 0.5);
    const faded = table[row + 3] === 0 || (highlighted >= 0 && value !== highlighted);
    const stripe = (Math.floor(i / width) + (i % width)) % HATCH_PERIOD < HATCH_PERIOD / 2 ? HATCH_LIGHT : HATCH_DARK;
    for (let c = 0; c < 3; c++) {
      const colour = faded ? grey : hatched && value === VOID ? stripe : table[row + c];
      out[p + c] = Math.floor(photo[p + c] + (colour - photo[p + c]) * opacity + 0.5);
    }
    out[p + 3] = 255;
  }
}

function element(tag, cls, parent, text = "") {
  const made = document.createElement(tag);
  made.className = cls;
  made.textContent = text;
  parent.append(made);
  return made;
}

function render({ model, el }) {
  const box = element("div", "dlseg-canvas", el);
  const head = element("div", "dlseg-head", box);
  const title = element("span", "dlseg-title", head);
  const peek = element("button", "dlseg-peek", head, "photo");
  const frame = element("div", "dlseg-frame", box);
  const canvas = element("canvas", "dlseg-picture", frame);
  canvas.setAttribute("role", "img");
  const busy = element("span", "dlseg-busy", frame, "working …");
  const legend = element("div", "dlseg-legend", box);
  const status = element("div", "dlseg-status", box);
  status.setAttribute("role", "status");
  peek.title = "Show the photo alone";

  let photo = null, plane = null, asked = 0, drawn = 0, hovered = -1;

  const colour = (value) => {
    const table = bytes(model.get("table"));
    if (table[value * 4 + 3] === 0) return "#d8d8d8";
    return value === VOID && model.get("hatched")
      ? "repeating-linear-gradient(135deg, #d0d0d0 0 3px, #606060 3px 6px)"
      : `rgb(${table[value * 4]} ${table[value * 4 + 1]} ${table[value * 4 + 2]})`;
  };
  const name = (value) => value === VOID ? "void" : model.get("names")[value] ?? `${value}`;

  function draw() {
    if (!photo || !plane) return;
    const [height, width] = model.get("size");
    const context = canvas.getContext("2d"), image = context.createImageData(width, height);
    blend(image.data, photo, plane, {
      table: bytes(model.get("table")), width, hatched: model.get("hatched"),
      highlighted: hovered >= 0 ? hovered : model.get("highlighted"),
      opacity: model.get("photo_only") ? 0 : model.get("opacity"),
    });
    context.putImageData(image, 0, 0);
    canvas.dataset.frame = drawn;
  }

  function chips() {
    const counts = new Array(256).fill(0);
    for (const value of plane) counts[value]++;
    const shown = model.get("names").length ? counts.flatMap((n, value) => (n ? [value] : [])) : [];
    const key = shown.join();
    canvas.setAttribute("aria-label", [model.get("title"), ...shown.map(
      (v) => `${name(v)} ${Math.round(100 * counts[v] / plane.length)} %`)].join(", "));
    if (legend.dataset.key === key) return;  // the same classes: leave the buttons (and the focus) alone
    legend.dataset.key = key;
    legend.replaceChildren();
    for (const value of shown) {
      const chip = element("button", "dlseg-chip", legend);
      element("span", "dlseg-swatch", chip).style.background = colour(value);
      element("span", "", chip, name(value));
      chip.dataset.value = value;
      chip.title = `Show ${name(value)} alone`;
      chip.onmouseenter = () => { hovered = value; draw(); };
      chip.onmouseleave = () => { hovered = -1; draw(); };
      chip.onclick = () => set("highlighted", model.get("highlighted") === value ? -1 : value);
    }
    pressed();
  }

  function pressed() {
    peek.setAttribute("aria-pressed", model.get("photo_only"));
    for (const chip of legend.children)
      chip.setAttribute("aria-pressed", Number(chip.dataset.value) === model.get("highlighted"));
  }

  const set = (key, value) => { model.set(key, value); model.save_changes(); };

  async function load() {
    const [height, width] = model.get("size");
    canvas.width = width;
    canvas.height = height;
    canvas.style.maxWidth = `${Math.round(Math.max(Math.min(560, 420 * width / height), Math.min(width, 560)))}px`;
    photo = await pixels(model.get("photo"), width, height);
    draw();
  }

  async function arrive() {
    const mine = ++asked, fresh = await inflate(model.get("plane"));
    const [height, width] = model.get("size");
    if (mine < drawn || fresh.length !== height * width) return;  // a newer one was quicker
    plane = fresh;
    drawn = mine;
    draw();
    chips();
    words();
  }

  function words() {
    const error = model.get("error");
    title.textContent = model.get("title");
    status.textContent = error || model.get("status");
    status.classList.toggle("dlseg-error", error !== "");
    busy.hidden = !model.get("busy");
    canvas.dataset.settled = model.get("settled");
  }

  peek.onclick = () => set("photo_only", !model.get("photo_only"));
  const redraw = () => { pressed(); draw(); };
  const listeners = {
    "change:photo": load, "change:frame": arrive,
    "change:table change:opacity change:hatched change:highlighted change:photo_only": redraw,
    "change:title change:status change:error change:busy change:settled": words,
  };
  for (const [events, listener] of Object.entries(listeners)) model.on(events, listener);
  words();
  pressed();
  load().then(arrive);
  return () => { for (const [events, listener] of Object.entries(listeners)) model.off(events, listener); };
}

export default { render };
