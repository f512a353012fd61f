// The engine beside the page, so that the page never waits. One question at a time; the page keeps the newest.
// A question: {id, kind: "image" | "infer" | "affinity", …}; its answer has the same id.

const HALVE = 160_000;   // with more pixels times labels, the answer is at half the size while a slider moves …
const SLOW = 60;         // … and where two of them in turn took more milliseconds than this, on this machine
const NEARLY = 0.003;    // a preview ends when no probability changes by more in an iteration
let whole, half, slow;

/** The image and its probabilities at half the size: means of two by two pixels. */
function halved({image, width, height, probs, classes}) {
  const w = Math.ceil(width / 2), h = Math.ceil(height / 2);
  const mean = (at, out) => {
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const x2 = Math.min(2 * x + 1, width - 1), y2 = Math.min(2 * y + 1, height - 1);
        out(y * w + x, (at(2 * y * width + 2 * x) + at(2 * y * width + x2) + at(y2 * width + 2 * x) + at(y2 * width + x2)) / 4);
      }
    }
  };
  const small = {image: new Uint8Array(3 * w * h), width: w, height: h, probs: new Float32Array(classes * w * h), classes};
  for (let c = 0; c < 3; c++) mean((i) => image[3 * i + c], (i, v) => { small.image[3 * i + c] = v; });
  for (let l = 0; l < classes; l++) mean((i) => probs[l * width * height + i], (i, v) => { small.probs[l * w * h + i] = v; });
  return small;
}

function answer({kind, problem, params, preview, row, col}) {
  if (kind === "image") {
    whole = new DenseCRF(problem);
    half = null;
    slow = problem.width * problem.height * problem.classes > HALVE ? 2 : 0;
    return {};
  }
  if (kind === "affinity") return whole.affinity(params, row, col);
  if (!preview) return {...whole.infer(params, {freeEnergy: true}), width: whole.width, height: whole.height};
  const small = slow >= 2, start = performance.now();
  if (small) half ??= new DenseCRF(halved(whole.problem));
  const used = small ? {...params, sigma_alpha: params.sigma_alpha / 2, sigma_gamma: params.sigma_gamma / 2} : params;
  const crf = small ? half : whole, found = crf.infer(used, {settled: NEARLY});
  if (!small) slow = performance.now() - start > SLOW ? slow + 1 : 0;
  return {...found, width: crf.width, height: crf.height};
}

onmessage = ({data}) => {
  const start = performance.now();
  try {
    postMessage({id: data.id, ...answer(data), milliseconds: performance.now() - start});
  } catch (error) {
    postMessage({id: data.id, error: error.message});
  }
};
