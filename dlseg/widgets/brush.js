// The brush of the label canvas: paints labels into a map of one byte a pixel, at once in the page. The kernel gets
// the newest map whenever it is ready for one, so that nothing queues and no stroke is lost.

const NONE = 255, KEPT = 30; // no scribble; strokes that can be undone

async function deflate(values) {
  const stream = new Blob([values]).stream().pipeThrough(new CompressionStream("deflate"));
  return new DataView(await new Response(stream).arrayBuffer());
}

function makeBrush({ model, canvas, frame, head, size, redraw }) {
  const tools = element("span", "dlseg-brush-tools", head), dot = element("span", "dlseg-dot", frame);
  const button = (name, tip, act) => {
    const made = element("button", "", tools, name);
    made.title = tip;
    made.onclick = act;
    return made;
  };
  const undo = button("undo", "Take the last stroke back (Ctrl+Z)", () => step(past, future));
  const redo = button("redo", "Paint it again (Ctrl+Shift+Z)", () => step(future, past));
  const eraser = button("eraser", "Rub scribbles out instead of painting", () => { erasing = !erasing; show(); });
  const brush = { map: null, on: () => model.get("paints") && model.get("brush").length > 0 };
  dot.hidden = true; // until a pointer is over the picture
  let mine = null, last = null, sending = false, changed = false, drawing = 0, erasing = false;
  let past = [], future = []; // maps to go back to, and forward

  function show() {
    tools.hidden = !brush.on();
    [undo.disabled, redo.disabled] = [!past.length, !future.length];
    eraser.setAttribute("aria-pressed", erasing);
    if (!brush.on()) dot.hidden = true;
  }

  function keep(map) {
    past = [...past.slice(1 - KEPT), map];
    future = [];
    show();
  }

  function step(from, to) {
    if (!from.length || !brush.map) return;
    to.push(brush.map);
    brush.map = from.pop();
    show();
    redraw();
    send();
  }

  // take up the kernel's map, or a blank one where it has none of this photo's size
  brush.restart = async (fresh = false) => {
    if (fresh) [past, future] = [[], []];
    const drawn = model.get("drawn"), pixels = size()[0] * size()[1];
    const wanted = brush.on() || drawn.byteLength > 0;
    if (wanted && drawn === mine && brush.map?.length === pixels) return;
    const map = drawn.byteLength ? await inflate(drawn) : null, old = brush.map;
    brush.map = map?.length === pixels ? map : wanted ? new Uint8Array(pixels).fill(NONE) : null;
    if (!fresh && old?.length === pixels && brush.map?.some((label, at) => label !== old[at])) keep(old); // "clear"
    show();
  };

  // a disc as many pixels wide as the brush says; an even one has its middle between two pixels
  function stamp(row, column) {
    const [height, width] = size(), [chosen, wide] = model.get("brush"), label = erasing ? NONE : chosen;
    const before = Math.floor((wide - 1) / 2), after = Math.floor(wide / 2), shift = (after - before) / 2;
    for (let r = Math.max(0, row - before); r <= Math.min(height - 1, row + after); r++)
      for (let c = Math.max(0, column - before); c <= Math.min(width - 1, column + after); c++)
        if ((r - row - shift) ** 2 + (c - column - shift) ** 2 <= wide ** 2 / 4) brush.map[r * width + c] = label;
  }

  function line([row, column], [toRow, toColumn]) {
    const steps = Math.max(Math.abs(toRow - row), Math.abs(toColumn - column), 1);
    for (let i = 0; i <= steps; i++)
      stamp(Math.round(row + ((toRow - row) * i) / steps), Math.round(column + ((toColumn - column) * i) / steps));
  }

  async function send() {
    changed = true;
    if (sending) return;
    sending = true;
    while (changed) {
      changed = false;
      mine = await deflate(brush.map);
      model.set({ drawn: mine, strokes: model.get("strokes") + 1 });
      model.save_changes();
    }
    sending = false;
  }

  // paint from the last place to this one; places are shares of height and width
  function paint(place) {
    if (!brush.map) return;
    const pixel = place.map((share, axis) => Math.min(size()[axis] - 1, Math.max(0, Math.floor(share * size()[axis]))));
    line(last ?? pixel, pixel);
    last = pixel;
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(redraw);
    send();
  }

  const place = (event) => [event.offsetY / canvas.clientHeight, event.offsetX / canvas.clientWidth];
  brush.dab = (at) => { last = null; keep(brush.map.slice()); paint(at); last = null; };
  brush.key = (event) => {
    if (!brush.on() || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return false;
    if (event.shiftKey) step(future, past);
    else step(past, future);
    return true;
  };
  brush.show = show;

  // a ring as wide as the stroke would be
  function follow(event) {
    dot.hidden = !brush.on();
    const wide = (model.get("brush")[1] * canvas.clientWidth) / (size()[1] || 1), [row, column] = place(event);
    Object.assign(dot.style, { top: `${100 * row}%`, left: `${100 * column}%`, width: `${wide}px`, height: `${wide}px` });
  }
  canvas.onpointerdown = (event) => {
    if (!brush.on() || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    last = null;
    if (brush.map) keep(brush.map.slice());
    paint(place(event));
  };
  canvas.onpointermove = (event) => {
    if (brush.on()) follow(event);
    if (last && event.buttons & 1) paint(place(event));
  };
  canvas.addEventListener("pointerleave", () => { dot.hidden = true; });
  canvas.onpointerup = canvas.onpointercancel = () => { last = null; };
  show();
  return brush;
}
