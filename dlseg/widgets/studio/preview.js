// The studio's previews by the page itself: a slider that moves is answered by the CRF's engine in the page
// (webpage/engine.js, in a worker) at once, whatever the kernel is at; also when it is gone. The kernel's answer
// replaces the preview when it comes (newest.js). ENGINE, the text of the engine and its worker, stands above.

const SETTINGS = ["w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma", "iterations"], NEVER = 255;
const RESTS = 400; // milliseconds without a newer question

/** What the picture shows of an answer, one byte a pixel: labels, a class's probability, or how undecided it is. */
function layer({ q, labels }, shows, index, kept, classes) {
  const n = labels.length;
  if (shows === "labels") return labels.map((label) => kept[label]);
  const at = kept.indexOf(index), out = new Uint8Array(n), scale = 255 / Math.log2(classes);
  for (let i = 0; i < n; i++) {
    let value = shows === "probability" && at >= 0 ? 255 * q[at * n + i] : 0;
    if (shows === "entropy")
      for (let l = 0; l < kept.length; l++) { const p = q[l * n + i]; if (p > 0) value -= scale * p * Math.log2(p); }
    out[i] = Math.min(NEVER, value + 0.5);
  }
  return out;
}

function render({ model, el }) {
  el.style.display = "none";
  const sliders = new Map();
  let after = null, engine = null, taken = null, root = null, closed = false, frames = 0, later = 0;

  const offered = () => model.get("problem").byteLength > 0 && model.get("shows") !== "";
  const settings = () => SETTINGS.map((name, at) => sliders.get(name)?.get("value") ?? model.get("params")[at]);

  const queue = newestWins(async ({ now, preview }) => {
    const problem = model.get("problem"), { height, width, kept, classes, factor, normalization } = model.get("form");
    engine ??= startEngine(ENGINE);
    if (taken !== problem) {
      const data = await inflated(new Uint8Array(problem.buffer, problem.byteOffset, problem.byteLength));
      const n = height * width, count = kept.length;
      const probs = singles(new Uint16Array(data, 0, count * n)), image = new Uint8Array(data, 2 * count * n);
      await engine.ask({ kind: "image", problem: { image, width, height, probs, classes: count } });
      taken = problem;
    }
    const params = Object.fromEntries(SETTINGS.map((name, at) => [name, now[at]]));
    for (const name of ["sigma_alpha", "sigma_gamma"]) params[name] /= factor;
    const found = await engine.ask({ kind: "infer", params: { ...params, normalization }, preview });
    answers(!found.error);
    if (closed || found.error || taken !== model.get("problem") || !offered()) return; // the kernel's answer will do
    const values = layer(found, model.get("shows"), model.get("index"), kept, classes);
    after.trigger("dlseg:preview", { values, size: [found.height, found.width], settings: now });
    // at half the size while a slider moves; where it rests and the kernel says nothing, at the whole
    const newest = () => same(now, settings()) && !same(now, after.get("settings"));
    if (found.width < width && newest()) later = setTimeout(() => { if (newest()) queue.ask({ now, preview: false }); }, RESTS);
  });
  const same = (one, other) => one.every((value, at) => value.toPrecision(6) === other[at]?.toPrecision(6));
  function ask() {
    clearTimeout(later);
    queue.ask({ now: settings(), preview: true });
  }

  // the kernel leaves the quick answers to a page that makes them
  function answers(does) {
    if (closed || model.get("answers") === does || !after.comm_live) return;
    model.set("answers", does);
    model.save_changes();
  }

  function moved(_, __, options) {
    // moved by the kernel: it knows what it shows
    if (!options?.updated_view) after.trigger("dlseg:asked", null);
    else if (offered()) {
      after.trigger("dlseg:asked", { settings: settings(), alive: after.comm_live });
      ask();
    }
  }

  // an explorer that answers by itself stays to be seen when its kernel is gone (display.py)
  const mark = () => root?.classList.toggle("dlseg-answers", offered());
  const begin = () => {
    root = el.closest(".dlseg-explorer");
    if (!root && frames++ < 600) requestAnimationFrame(begin); // not yet on the page
    mark();
  };

  async function start() {
    const { after: picture, ...names } = model.get("links"), find = (id) => model.widget_manager.get_model(id);
    after = await find(picture);
    for (const [name, id] of Object.entries(names)) sliders.set(name, await find(id));
    if (closed) return;
    for (const slider of sliders.values()) slider.on("change:value", moved);
    warm();
  }
  // a first answer that nobody sees: the lattices are built, and the browser has compiled the loops
  const warm = () => { if (after && offered()) ask(); };
  model.on("change:problem change:shows", mark);
  model.on("change:problem", warm);
  begin();
  start();
  return () => {
    closed = true;
    clearTimeout(later);
    for (const slider of sliders.values()) slider.off("change:value", moved);
    model.off("change:problem change:shows", mark);
    model.off("change:problem", warm);
    engine?.end();
  };
}

export default { render };
