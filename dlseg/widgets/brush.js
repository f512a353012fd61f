// The brush of the label canvas: paints labels into a map of one byte a pixel, at once in the page. The kernel gets
// the newest map whenever it is ready for one, so that nothing queues and no stroke is lost.

const NONE = 255; // no scribble

async function deflate(values) {
  const stream = new Blob([values]).stream().pipeThrough(new CompressionStream("deflate"));
  return new DataView(await new Response(stream).arrayBuffer());
}

function makeBrush({ model, canvas, size, redraw }) {
  const brush = { map: null, on: () => model.get("paints") && model.get("brush").length > 0 };
  let mine = null, last = null, sending = false, changed = false, drawing = 0;

  // take up the kernel's map, or a blank one where it has none of this photo's size
  brush.restart = async () => {
    const drawn = model.get("drawn"), pixels = size()[0] * size()[1];
    const wanted = brush.on() || drawn.byteLength > 0;
    if (wanted && drawn === mine && brush.map?.length === pixels) return;
    const map = drawn.byteLength ? await inflate(drawn) : null;
    brush.map = map?.length === pixels ? map : wanted ? new Uint8Array(pixels).fill(NONE) : null;
  };

  // a disc as many pixels wide as the brush says; an even one has its middle between two pixels
  function stamp(row, column) {
    const [height, width] = size(), [label, wide] = model.get("brush");
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
  brush.dab = (at) => { last = null; paint(at); last = null; };
  canvas.onpointerdown = (event) => {
    if (!brush.on() || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    last = null;
    paint(place(event));
  };
  canvas.onpointermove = (event) => { if (last && event.buttons & 1) paint(place(event)); };
  canvas.onpointerup = canvas.onpointercancel = () => { last = null; };
  return brush;
}
