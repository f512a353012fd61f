// Four explorers and the paper's tables in a page: arithmetic, or what was stored when the page was made.
// `dlsegExplorers.<name>(root, data)` fills the element `root`; what `data` holds stands at each function.

window.dlsegExplorers ??= (() => {
  const {make, bytes, floats, clamp, frame, slider, choice, button, picture, fill, table, chart} = dlsegPage;
  const ORANGE = [230, 159, 0], SKY = [86, 180, 233], VERMILION = [213, 94, 0], BLUE = "#0072b2", VOID = 255;
  const finish = (root, say, api) => { say(""); root.dlseg = api; };   // api: for scripts around the page, and for tests

  // ---- the hole algorithm (section 3.1)

  /** The taps of a filter of k × k by its name, as the library has them. */
  function filterTaps(name, k) {
    const taps = new Float64Array(k * k), half = k >> 1;
    if (name === "mean" || k === 1) return taps.fill(1 / (k * k));
    if (name === "centre minus surround") {
      taps.fill(-1 / (k * k - 1));
      taps[half * k + half] = 1;
      return taps;
    }
    for (let a = 0; a < k; a++) {
      for (let b = 0; b < k; b++) {
        const [row, column] = name === "upper minus lower" ? [b, a] : [a, b];
        taps[row * k + column] = b < half ? 1 / (k * half) : b >= k - half ? -1 / (k * half) : 0;
      }
    }
    return taps;
  }

  /** A filter of k × k taps, `rate` cells apart, over a map {rows, columns, values}; zeros lie outside. */
  function convolve(map, taps, k, rate, stride, padding) {
    const size = (n) => Math.max(0, Math.floor((n + 2 * padding - (k - 1) * rate - 1) / stride) + 1);
    const rows = size(map.rows), columns = size(map.columns), values = new Float64Array(rows * columns);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        let sum = 0;
        for (let a = 0; a < k; a++) {
          for (let b = 0; b < k; b++) {
            const row = y * stride - padding + a * rate, column = x * stride - padding + b * rate;
            if (row >= 0 && column >= 0 && row < map.rows && column < map.columns) sum += taps[a * k + b] * map.values[row * map.columns + column];
          }
        }
        values[y * columns + x] = sum;
      }
    }
    return {rows, columns, values};
  }

  /** The same with zeros put between the taps and rate 1. */
  function withZeros(map, taps, k, rate, stride, padding) {
    const wide = (k - 1) * rate + 1, filled = new Float64Array(wide * wide);
    for (let a = 0; a < k; a++) for (let b = 0; b < k; b++) filled[a * rate * wide + b * rate] = taps[a * k + b];
    return convolve(map, filled, wide, 1, stride, padding);
  }

  /** The same with the filter left as it is and the padded map read every `rate` cells, once from each start. */
  function sampled(map, taps, k, rate, stride, padding) {
    const tall = map.rows + 2 * padding, broad = map.columns + 2 * padding, full = new Float64Array(tall * broad);
    for (let y = 0; y < map.rows; y++) full.set(map.values.subarray(y * map.columns, (y + 1) * map.columns), (y + padding) * broad + padding);
    const rows = Math.floor((tall - (k - 1) * rate - 1) / stride) + 1, columns = Math.floor((broad - (k - 1) * rate - 1) / stride) + 1;
    const values = new Float64Array(rows * columns);
    for (let top = 0; top < rate; top++) {
      for (let left = 0; left < rate; left++) {
        const part = {rows: Math.ceil((tall - top) / rate), columns: Math.ceil((broad - left) / rate)};
        part.values = Float64Array.from({length: part.rows * part.columns}, (_, i) => full[(top + rate * Math.floor(i / part.columns)) * broad + left + rate * (i % part.columns)]);
        const out = convolve(part, taps, k, 1, 1, 0);
        for (let y = 0; y < out.rows; y++) {
          for (let x = 0; x < out.columns; x++) {
            const row = top + rate * y, column = left + rate * x;
            if (row % stride === 0 && column % stride === 0 && row / stride < rows && column / stride < columns) values[(row / stride) * columns + column / stride] = out.values[y * out.columns + x];
          }
        }
      }
    }
    return {rows, columns, values};
  }

  const greys = (map) => {
    const low = Math.min(...map.values), high = Math.max(...map.values);
    return (i) => Array(3).fill(Math.round((255 * (map.values[i] - low)) / (high - low || 1)));
  };

  /** data: {map: float32 text, rows, columns, filters: names}. */
  function atrous(root, data) {
    const map = {rows: data.rows, columns: data.columns, values: floats(data.map)};
    const state = {kernel: 3, rate: 2, stride: 1, filter: data.filters[1], unit: null};
    const {controls, pictures, say} = frame(root);
    let out = null, taps = null, padding = 0;
    const sliders = {};
    for (const [name, words, low, high, tip] of [
      ["kernel", "kernel (taps)", 1, 7, "Taps of the filter along an axis."],
      ["rate", "rate (cells)", 1, 6, "Cells from one tap to the next: 1 is without holes."],
      ["stride", "stride (cells)", 1, 4, "Cells from one output to the next."],
    ]) sliders[name] = slider(controls, words, {id: `${root.id}-${name}`, low, high, tip}, (value) => { state[name] = value; draw(); });
    const filter = choice(controls, "filter", data.filters.map((f) => [f, f]), (value) => { state.filter = value; draw(); });
    const number = (v) => (Object.is(v, -0) ? 0 : v).toFixed(3);
    const reads = (row, column) => row >= 0 && column >= 0 && row < map.rows && column < map.columns;
    const left = picture(pictures, "the map: taps, holes", {size: () => [map.rows, map.columns], say,
      read: (row, column) => `map, row ${row}, column ${column}: ${number(map.values[row * map.columns + column])}`});
    const right = picture(pictures, "the output: click a cell", {size: () => [out.rows, out.columns], say,
      read: (row, column) => `output, row ${row}, column ${column}: ${number(out.values[row * out.columns + column])}`,
      pick: (row, column) => { state.unit = [row, column]; draw(); }});
    const sum = make("div", pictures, {class: "wide scroll"}), sumWords = make("p", sum, {class: "note"}), terms = make("table", sum);
    const costs = make("table", make("div", pictures, {class: "wide scroll"}));

    function draw() {
      const {kernel, rate, stride} = state;
      for (const [name, set] of Object.entries(sliders)) set(state[name]);
      filter.value = state.filter;
      padding = Math.floor(((kernel - 1) * rate) / 2);
      taps = filterTaps(state.filter, kernel);
      out = convolve(map, taps, kernel, rate, stride, padding);
      const [row, column] = state.unit = state.unit ? [clamp(state.unit[0], 0, out.rows - 1), clamp(state.unit[1], 0, out.columns - 1)] : [out.rows >> 1, out.columns >> 1];
      const CELL = 12, context = fill(left.canvas, map.columns * CELL, map.rows * CELL, (i) => greysOfMap[Math.floor(i / (map.columns * CELL * CELL)) * map.columns + (Math.floor(i / CELL) % map.columns)]);
      const top = row * stride - padding, first = column * stride - padding, wide = (kernel - 1) * rate + 1;
      for (let a = 0; a < wide; a++) {
        for (let b = 0; b < wide; b++) {
          if (!reads(top + a, first + b)) continue;
          const tap = a % rate === 0 && b % rate === 0;
          context.fillStyle = `rgb(${tap ? ORANGE : SKY})`;
          const inset = tap ? 1.5 : 4;
          context.fillRect((first + b) * CELL + inset, (top + a) * CELL + inset, CELL - 2 * inset, CELL - 2 * inset);
        }
      }
      const shades = greys(out), small = fill(right.canvas, out.columns * CELL, out.rows * CELL, (i) => shades(Math.floor(i / (out.columns * CELL * CELL)) * out.columns + (Math.floor(i / CELL) % out.columns)));
      small.strokeStyle = `rgb(${ORANGE})`;
      small.lineWidth = 2;
      small.strokeRect(column * CELL + 1, row * CELL + 1, CELL - 2, CELL - 2);
      explain(row, column, top, first);
      compare();
    }

    /** The sum of the chosen output, term by term: tap × cell. */
    function explain(row, column, top, first) {
      const {kernel, rate} = state, lines = [["", ...Array.from({length: kernel}, (_, b) => `column ${first + b * rate}`)]];
      let outside = 0;
      for (let a = 0; a < kernel; a++) {
        const line = [`row ${top + a * rate}`];
        for (let b = 0; b < kernel; b++) {
          const y = top + a * rate, x = first + b * rate, inside = reads(y, x);
          outside += !inside;
          line.push(`${number(taps[a * kernel + b])} × ${inside ? number(map.values[y * map.columns + x]) : "0 (outside)"}`);
        }
        lines.push(line);
      }
      table(terms, lines);
      const value = out.values[row * out.columns + column];
      sumWords.textContent = `Output (row ${row}, column ${column}) = the sum of ${kernel * kernel} products, tap × cell, = ${number(value)}.` + (outside ? ` ${outside} taps read zeros outside the map.` : "");
    }

    function compare() {
      const {kernel, rate, stride} = state, wide = (kernel - 1) * rate + 1, outputs = out.rows * out.columns;
      const most = (other) => out.values.reduce((far, v, i) => Math.max(far, Math.abs(v - other.values[i])), 0);
      const zeros = withZeros(map, taps, kernel, rate, stride, padding), part = sampled(map, taps, kernel, rate, stride, padding);
      table(costs, [["three ways to the same output", "multiply-adds an output", "in all", "largest difference"],
        [`taps that are ${rate} apart`, kernel * kernel, (kernel * kernel * outputs).toLocaleString("en"), "–"],
        [`the map read every ${rate} cells`, kernel * kernel, (kernel * kernel * outputs).toLocaleString("en"), most(part).toPrecision(2)],
        [`${wide * wide - kernel * kernel} zeros put between the taps`, wide * wide, (wide * wide * outputs).toLocaleString("en"), most(zeros).toPrecision(2)]]);
    }

    const shade = greys(map), greysOfMap = Array.from(map.values, (_, i) => shade(i));
    draw();
    finish(root, say, {state, draw, output: () => out});
  }

  // ---- the receptive field (section 3.2)

  /** What every layer sees along one axis: {size, stride, centre, cells}, by the arithmetic of its windows. */
  function fields(layers, pixels) {
    let size = 1, stride = 1, centre = 0, cells = pixels;
    return layers.map(({name, kernel, step, padding, rate, ceil}) => {
      const extent = (kernel - 1) * rate + 1, round = ceil ? Math.ceil : Math.floor;
      const before = {stride, centre};
      centre += ((extent - 1) / 2 - padding) * stride;
      size += (extent - 1) * stride;
      stride *= step;
      let count = round((cells + 2 * padding - extent) / step) + 1;
      if (ceil && (count - 1) * step >= cells + padding) count -= 1;   // a window must begin inside
      cells = count;
      return {name, kernel, step, padding, rate, size, stride, centre, cells, before};
    });
  }

  /** data: {image: PNG address, height, width, nets: {name: {paper: layers, release: layers}}, fc6: {name: [maps in, maps out]}}. */
  function field(root, data) {
    const own = "your own fc6", MARGIN = 72;
    const state = {net: "deeplab-largefov", geometry: "paper", layer: "fc6", kernel: 3, rate: 12, at: [0.5, 0.5]};
    const {controls, pictures, say} = frame(root);
    const net = choice(controls, "network", [...Object.keys(data.nets), own].map((n) => [n, n]), (value) => { state.net = value; draw(); });
    const geometry = choice(controls, "geometry", [["paper", "paper"], ["release", "release"]], (value) => { state.geometry = value; draw(); });
    const mine = make("div", controls, {hidden: ""}), sliders = {};
    for (const [name, words, low, high, tip] of [["kernel", "fc6's kernel (taps)", 1, 7, "Taps along an axis."], ["rate", "fc6's rate (cells)", 1, 16, "Cells of pool5 from one tap to the next."]]) {
      sliders[name] = slider(mine, words, {id: `${root.id}-${name}`, low, high, tip}, (value) => { state[name] = value; draw(); });
    }
    const numbers = make("p", controls, {class: "note"});
    const size = () => [data.height + 2 * MARGIN, data.width + 2 * MARGIN];
    const view = picture(pictures, "what one unit sees: click to move it", {size, say, read: (row, column) => `pixel row ${row - MARGIN}, column ${column - MARGIN}`,
      pick: (row, column) => { state.at = [clamp((row - MARGIN) / data.height, 0, 1), clamp((column - MARGIN) / data.width, 0, 1)]; draw(); }});
    const list = make("table", make("div", pictures, {class: "scroll"}));
    const image = new Image();
    let chain = [], chosen = null;

    function layersNow() {
      if (state.net !== own) return data.nets[state.net][state.geometry];
      const base = data.nets["deeplab-largefov"][state.geometry];
      return base.map((l) => (l.name === "fc6" ? {...l, kernel: state.kernel, rate: state.rate, padding: Math.floor(((state.kernel - 1) * state.rate) / 2)} : l));
    }

    function draw() {
      net.value = state.net;
      geometry.value = state.geometry;
      mine.hidden = state.net !== own;
      for (const [name, set] of Object.entries(sliders)) set(state[name]);
      const layers = layersNow();
      if (!layers.some((l) => l.name === state.layer)) state.layer = "fc6";
      const down = fields(layers, data.height), across = fields(layers, data.width);
      chain = down;
      const at = down.findIndex((l) => l.name === state.layer), [v, h] = [down[at], across[at]];
      const unit = [v, h].map((l, a) => clamp(Math.round((state.at[a] * [data.height, data.width][a] - l.centre) / l.stride), 0, l.cells - 1));
      const middle = [v, h].map((l, a) => l.centre + unit[a] * l.stride), reach = (v.size - 1) / 2;
      chosen = {layer: v, unit, box: [...middle.map((m) => m - reach), ...middle.map((m) => m + reach)]};
      const [rows, columns] = size(), {canvas} = view, context = (canvas.width = columns, canvas.height = rows, canvas.getContext("2d"));
      context.fillStyle = "#9a9a9a";
      context.fillRect(0, 0, columns, rows);
      if (image.complete) context.drawImage(image, MARGIN, MARGIN);
      context.lineWidth = 3;
      context.strokeStyle = `rgb(${ORANGE})`;
      context.strokeRect(chosen.box[1] + MARGIN, chosen.box[0] + MARGIN, v.size, v.size);
      context.fillStyle = `rgb(${SKY})`;
      context.strokeStyle = "#102030";
      context.lineWidth = 1;
      for (let a = 0; a < v.kernel; a++) {
        for (let b = 0; b < v.kernel; b++) {
          const y = v.before.centre + v.before.stride * (unit[0] * v.step - v.padding + a * v.rate), x = h.before.centre + h.before.stride * (unit[1] * h.step - h.padding + b * h.rate);
          context.beginPath();
          context.arc(x + MARGIN, y + MARGIN, 4, 0, 7);
          context.fill();
          context.stroke();
        }
      }
      view.caption.textContent = `${v.name} sees ${v.size} × ${h.size} px`;
      const fc6 = chain.find((l) => l.name === "fc6"), [ins, outs] = data.fc6[state.net === own ? "deeplab-largefov" : state.net], weights = fc6.kernel ** 2 * ins * outs;
      numbers.textContent = `Unit row ${unit[0]}, column ${unit[1]} of ${v.cells} × ${h.cells}. fc6: ${fc6.kernel} × ${fc6.kernel} taps, ${fc6.rate} apart: ${(weights / 1e6).toFixed(1)} million weights. ` +
        `The classifier's view, as table 2 counts it: ${(fc6.kernel - 1) * fc6.rate * fc6.before.stride + 32} pixels. The grey border is padding.`;
      rowsOfLayers();
    }

    function rowsOfLayers() {
      table(list, [["layer", "window", "sees, px", "every, px", ""], ...chain.map((l) => ["", `${l.kernel}×${l.kernel}${l.rate > 1 ? `, rate ${l.rate}` : ""}${l.step > 1 ? `, stride ${l.step}` : ""}`, l.size, l.stride, ""])], (n) => (n >= 0 && chain[n].name === state.layer ? "chosen" : ""));
      const widest = chain.at(-1).size;
      [...list.rows].slice(1).forEach((tr, n) => {
        button(tr.cells[0], chain[n].name, "Look at a unit of this layer", () => { state.layer = chain[n].name; draw(); list.rows[n + 1].querySelector("button").focus(); });
        make("span", tr.cells[4], {class: "bar", style: `width:${(80 * chain[n].size) / widest}px`});
      });
    }

    image.onload = draw;
    image.src = data.image;
    draw();
    finish(root, say, {state, draw, fields: () => chain, chosen: () => chosen});
  }

  // ---- pooling buys invariance and sells position (section 3.1)

  /** The weights from cells to pixels of bilinear interpolation along an axis, and each pixel's nearest cell. */
  const centres = (pixels, cells, stride, first) => ({
    nearest: Int32Array.from({length: pixels}, (_, i) => clamp(Math.floor((i - first) / stride + 0.5), 0, cells - 1)),
    place: Float64Array.from({length: pixels}, (_, i) => clamp((i - first) / stride, 0, cells - 1)),
  });

  /** The best labels that a map of rows × columns cells could give: each cell knows its pixels' shares of classes. */
  function bestLabels(label, height, width, rows, columns, stride, first) {
    const y = centres(height, rows, stride, first), x = centres(width, columns, stride, first);
    const classes = [...new Set(label)].filter((l) => l !== VOID).sort((a, b) => a - b), down = new Float64Array(rows), across = new Float64Array(columns);
    y.nearest.forEach((r) => down[r]++);
    x.nearest.forEach((c) => across[c]++);
    const best = new Uint8Array(height * width).fill(classes[0] ?? 0), most = new Float64Array(height * width).fill(-1);
    for (const l of classes) {
      const share = new Float64Array(rows * columns);
      for (let i = 0; i < height; i++) for (let j = 0; j < width; j++) if (label[i * width + j] === l) share[y.nearest[i] * columns + x.nearest[j]] += 1 / (down[y.nearest[i]] * across[x.nearest[j]]);
      for (let i = 0; i < height; i++) {
        const r = Math.floor(y.place[i]), fr = y.place[i] - r, r1 = Math.min(r + 1, rows - 1);
        for (let j = 0; j < width; j++) {
          const c = Math.floor(x.place[j]), fc = x.place[j] - c, c1 = Math.min(c + 1, columns - 1);
          const value = (1 - fr) * ((1 - fc) * share[r * columns + c] + fc * share[r * columns + c1]) + fr * ((1 - fc) * share[r1 * columns + c] + fc * share[r1 * columns + c1]);
          if (value > most[i * width + j]) { most[i * width + j] = value; best[i * width + j] = l; }
        }
      }
    }
    return best;
  }

  /** Mean IoU over the classes that are in the truth or in the result; void is not counted. */
  function meanIoU(labels, truth) {
    const both = new Float64Array(256), either = new Float64Array(256);
    labels.forEach((l, i) => {
      if (truth[i] === VOID) return;
      if (truth[i] === l) both[l]++; else either[truth[i]]++;
      either[l]++;
    });
    const found = [...either.keys()].filter((l) => either[l]);
    return found.reduce((sum, l) => sum + both[l] / either[l], 0) / found.length;
  }

  /**
   * data: {height, width, image, label: bytes, farthest, classes, begin: class, colours, strides: [{stride, first, rows, columns,
   * low, high, scores: bytes of [shift, class, row, column]}]}; shifts go from -farthest to farthest pixels to the right.
   */
  function pooling(root, data) {
    const {height, width, farthest} = data, image = bytes(data.image), label = bytes(data.label);
    const maps = data.strides.map((s) => ({...s, scores: bytes(s.scores)}));
    const state = {right: 0, stride: maps[0].stride, shown: data.begin};
    const {controls, pictures, say} = frame(root);
    const move = slider(controls, "move the image right (px)", {id: `${root.id}-right`, low: -farthest, high: farthest, tip: "What comes in at the edge mirrors the image."}, (value) => { state.right = value; draw(); });
    const stride = choice(controls, "a score every", maps.map((s) => [s.stride, `${s.stride} px`]), (value) => { state.stride = +value; draw(); });
    const shown = choice(controls, "scores for", data.classes.map((name, l) => [l, name]).slice(1), (value) => { state.shown = +value; draw(); });
    let timer = null;
    const play = button(controls, "play", "Move the image from left to right.", () => {
      if (timer) { clearInterval(timer); timer = null; play.textContent = "play"; return; }
      play.textContent = "stop";
      timer = setInterval(() => { state.right = state.right >= farthest ? -farthest : state.right + 1; draw(); }, 150);
    });
    const words = make("p", controls, {class: "note"});
    let map = null, moved = null, truth = null, best = null;
    const score = (row, column, right = state.right) => {
      const n = (((right + farthest) * (data.classes.length - 1) + state.shown - 1) * map.rows + row) * map.columns + column;
      return map.low + (map.scores[n] / 255) * (map.high - map.low);
    };
    const cellOf = (row, column) => [map.y.nearest[row], map.x.nearest[column]];
    const pixels = {size: () => [height, width], say};
    const first = picture(pictures, "the image", {...pixels, read: (row, column) => `row ${row}, column ${column}: truth ${truth[row * width + column] === VOID ? "void" : data.classes[truth[row * width + column]]}`});
    const second = picture(pictures, "the scores", {...pixels, read: (row, column) => { const [r, c] = cellOf(row, column); return `cell row ${r}, column ${c}: score ${score(r, c).toFixed(2)}`; }});
    const third = picture(pictures, "the best cut", {...pixels, read: (row, column) => `row ${row}, column ${column}: ${data.classes[best[row * width + column]]}`});

    function draw() {
      move(state.right);
      stride.value = state.stride;
      shown.value = state.shown;
      map = maps.find((s) => s.stride === state.stride);
      map.y = centres(height, map.rows, map.stride, map.first);
      map.x = centres(width, map.columns, map.stride, map.first);
      const from = (x) => { const s = x - state.right; return s < 0 ? -s : s >= width ? 2 * width - 2 - s : s; };
      moved = Int32Array.from({length: height * width}, (_, i) => i - (i % width) + from(i % width));
      truth = Uint8Array.from({length: height * width}, (_, i) => { const s = (i % width) - state.right; return s < 0 || s >= width ? VOID : label[i - (i % width) + s]; });
      best = bestLabels(truth, height, width, map.rows, map.columns, map.stride, map.first);
      const colour = (i) => [image[3 * moved[i]], image[3 * moved[i] + 1], image[3 * moved[i] + 2]];
      let peak = [0, 0], old = [0, 0];
      for (let r = 0; r < map.rows; r++) for (let c = 0; c < map.columns; c++) { if (score(r, c) > score(...peak)) peak = [r, c]; if (score(r, c, 0) > score(...old, 0)) old = [r, c]; }
      for (const {canvas} of [first, second]) {
        const context = fill(canvas, width, height, canvas === first.canvas ? colour : (i) => {
          const [r, c] = cellOf(Math.floor(i / width), i % width), v = (score(r, c) - map.low) / (map.high - map.low), [a, b, d] = colour(i), grey = 0.299 * a + 0.587 * b + 0.114 * d;
          return [0.35 * grey + 0.65 * 255 * v, 0.35 * grey + 0.65 * 217 * v, 0.35 * grey + 0.65 * 102 * v];
        });
        context.strokeStyle = `rgba(${SKY}, 0.8)`;
        context.lineWidth = 0.5;
        for (let x = map.first - map.stride / 2 + 0.5; x < width; x += map.stride) { context.beginPath(); context.moveTo(x, 0); context.lineTo(x, height); context.moveTo(0, x); context.lineTo(width, x); context.stroke(); }
        context.strokeStyle = `rgb(${VERMILION})`;
        context.lineWidth = 1.5;
        context.strokeRect(map.first - map.stride / 2 + 0.5 + peak[1] * map.stride, map.first - map.stride / 2 + 0.5 + peak[0] * map.stride, map.stride, map.stride);
      }
      fill(third.canvas, width, height, (i) => data.colours[best[i] % data.colours.length].map((v, k) => 0.35 * colour(i)[k] + 0.65 * v));
      second.caption.textContent = `${map.rows} × ${map.columns} scores for “${data.classes[state.shown]}”`;
      third.caption.textContent = `best labels, ${map.rows} × ${map.columns} cells`;
      const way = (peak[1] - old[1]) * map.stride;
      words.textContent = `The image moved ${state.right} px; the highest score moved ${way} px. The best that such a map could say: mean IoU ${(100 * meanIoU(best, truth)).toFixed(1)} %.`;
    }

    draw();
    finish(root, say, {state, draw, best: () => best, truth: () => truth, score});
  }

  // ---- a classifier becomes a segmentation network (section 5)

  /** data: {iterations: [of snapshots], losses, rates, scores, images: [PNG], truths: [PNG], labels: [[PNG of an image] of a snapshot], height, width, classes, colours}. */
  function training(root, data) {
    const state = {at: data.iterations.length - 1, image: 0}, {controls, pictures, say} = frame(root);
    const after = slider(controls, "after iteration", {id: `${root.id}-at`, low: 0, high: data.iterations.length - 1, show: (n) => data.iterations[n], tip: "Look back at what the network said then."}, (value) => { state.at = value; draw(); });
    const which = choice(controls, "image that was never trained on", data.images.map((_, n) => [n, n + 1]), (value) => { state.image = +value; draw(); });
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "play"; };
    const play = button(controls, "play", "Watch it learn.", () => {
      if (timer) { stop(); return; }
      if (state.at === data.iterations.length - 1) state.at = 0;
      play.textContent = "stop";
      timer = setInterval(() => { state.at += 1; draw(); if (state.at === data.iterations.length - 1) stop(); }, 300);
      draw();
    });
    const words = make("p", controls, {class: "note"}), loss = make("figure", controls), score = make("figure", controls);
    const names = new Map(data.classes.map((name, l) => [data.colours[l].join(), name]));
    const shown = {image: "the image", truth: "the truth", labels: "the network"}, parts = {};
    for (const [key, title] of Object.entries(shown)) {
      parts[key] = picture(pictures, title, {size: () => [data.height, data.width], say, read: (row, column) => {
        const {canvas} = parts[key], [r, g, b] = canvas.getContext("2d").getImageData(Math.floor((column / data.width) * canvas.width), Math.floor((row / data.height) * canvas.height), 1, 1).data;
        return `row ${row}, column ${column}: ${key === "image" ? `colour ${r} ${g} ${b}` : names.get([r, g, b].join()) ?? "void"}`;
      }});
    }
    const images = new Map();
    function put(key, address) {
      let image = images.get(address);
      if (!image) { image = new Image(); images.set(address, image); image.src = address; }
      parts[key].wanted = image;
      const paint = () => {
        if (parts[key].wanted !== image) return;
        const {canvas} = parts[key], context = (canvas.width = image.naturalWidth, canvas.height = image.naturalHeight, canvas.getContext("2d", {willReadFrequently: true}));
        context.drawImage(image, 0, 0);
      };
      if (image.complete && image.naturalWidth) paint(); else image.addEventListener("load", paint, {once: true});
    }

    function draw() {
      after(state.at);
      which.value = state.image;
      const now = data.iterations[state.at];
      put("image", data.images[state.image]);
      put("truth", data.truths[state.image]);
      put("labels", data.labels[state.at][state.image]);
      const steps = data.losses.map((_, n) => n + 1), smooth = data.losses.map((_, n) => { const part = data.losses.slice(Math.max(0, n - 19), n + 1); return part.reduce((a, b) => a + b, 0) / part.length; });
      chart(loss, "loss: a batch, and the mean of 20", [{xs: steps, ys: data.losses, colour: "#9ab8cc", wide: 0.7}, {xs: steps, ys: smooth, colour: BLUE}], now);
      chart(score, "mean IoU, %, on other images", [{xs: data.iterations, ys: data.scores, colour: BLUE}], now);
      words.textContent = `After ${now} iterations: mean IoU ${data.scores[state.at].toFixed(1)} %` + (now ? `, loss ${data.losses[now - 1].toFixed(2)}, learning rate ${data.rates[now - 1].toPrecision(2)}.` : ", before any training.");
    }

    draw();
    finish(root, say, {state, draw});
  }

  // ---- the paper's tables

  /** data: {caption, head: names, rows: [[cell]], parts: {word: [row numbers that have it]}, measure: column of the bars}. */
  function results(root, data) {
    const state = {sort: null, up: false, parts: Object.fromEntries(Object.keys(data.parts).map((p) => [p, false]))};
    const {controls, pictures, say} = frame(root);
    make("p", controls, {class: "note"}, data.caption);
    const boxes = make("div", controls);
    for (const part of Object.keys(data.parts)) {
      const label = make("label", make("div", boxes)), box = make("input", label, {type: "checkbox"});
      label.append(` with ${part}`);
      box.addEventListener("change", () => { state.parts[part] = box.checked; draw(); });
    }
    const found = make("p", controls, {class: "note", role: "status"}), element = make("table", make("div", pictures, {class: "wide scroll"}));

    const decimals = data.head.map((_, c) => Math.max(...data.rows.map((row) => (typeof row[c] === "number" ? `${row[c]}.`.split(".")[1].length : 0))));
    const written = (row) => row.map((v, c) => (typeof v === "number" ? v.toFixed(decimals[c]) : v));

    function draw() {
      const asked = Object.keys(state.parts), order = data.rows.map((_, n) => n);
      if (state.sort !== null) order.sort((a, b) => (data.rows[a][state.sort] < data.rows[b][state.sort] ? -1 : 1) * (state.up ? 1 : -1));
      const chosen = data.rows.findIndex((_, n) => asked.length && asked.every((p) => state.parts[p] === data.parts[p].includes(n)));
      table(element, [data.head, ...order.map((n) => written(data.rows[n]))], (n) => (n >= 0 && order[n] === chosen ? "chosen" : ""));
      [...element.rows[0].cells].forEach((th, column) => {
        th.textContent = "";
        if (column === state.sort) th.setAttribute("aria-sort", state.up ? "ascending" : "descending");
        button(th, data.head[column] + (column === state.sort ? (state.up ? " ▲" : " ▼") : ""), "Sort by this column", () => {
          state.up = column === state.sort ? !state.up : typeof data.rows[0][column] === "string";
          state.sort = column;
          draw();
          element.rows[0].cells[column].querySelector("button").focus();
        });
      });
      const values = data.rows.map((row) => row[data.measure]), low = Math.min(...values) - 3, high = Math.max(...values);
      [...element.rows].slice(1).forEach((tr, n) => make("span", make("td", tr), {class: "bar", style: `width:${(120 * (values[order[n]] - low)) / (high - low)}px`}));
      make("th", element.rows[0]);
      found.textContent = !asked.length ? "" : chosen < 0 ? "The paper has no such row." : `${data.rows[chosen][0]}: ${written(data.rows[chosen])[data.measure]} %`;
    }

    draw();
    finish(root, say, {state, draw});
  }

  return {atrous, field, pooling, training, results};
})();
