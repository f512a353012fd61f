// The fully connected CRF in a web page: mean field (paper, section 4) on the permutohedral lattice
// (Adams, Baek, Davis 2010), as `dlseg.crf` computes it, in plain JavaScript without anything else.
//
//     const crf = new DenseCRF({image, width, height, probs, classes});
//     const {q, labels, freeEnergy} = crf.infer({w1: 5, sigma_alpha: 50, sigma_beta: 10, w2: 3, sigma_gamma: 3,
//                                               iterations: 10, normalization: "after"});
//
// image: width * height * 3 bytes, red green blue. probs: classes * height * width numbers, one map after the other,
// as Python's (C, H, W). q has the same order. labels: height * width bytes.
//
// Pixels are numbered row by row, i = 0 … N - 1. Inside, a pixel's labels stand together (N × C), rounded up to a
// multiple of four, so that the loops below can take four labels at once.

const LEAST = 1e-5;   // a probability below it counts as it: -log 0 would rule a label out for ever
const TINY = 1e-20;   // nothing is divided by zero
const round = Math.fround;

// ---- one Gaussian kernel ------------------------------------------------------------------------------------

/** The permutohedral lattice of N points in d dimensions: filter(x) is nearly sum_j exp(-|f_i - f_j|² / 2) x_j. */
export class Lattice {
  /** features: N * d numbers, already divided by their sigmas. */
  constructor(features, d) {
    this.d = d;
    this.n = features.length / d;
    this.ids = new Int32Array(this.n * (d + 1));        // the corners of each pixel's simplex …
    this.weights = new Float32Array(this.n * (d + 1));  // … and the pixel's weights of them, which sum to one
    this.keys = new Keys(features, d);
    this.#locate(features);
    this.#findNeighbours();
  }

  /** Lifts every point to the plane sum(e) = 0 of d + 1 dimensions, and finds its simplex and weights there. */
  #locate(features) {
    const {d, n, ids, weights, keys} = this, corners = d + 1;
    const scale = new Float32Array(d), e = new Float32Array(corners), whole = new Float32Array(corners);
    const rank = new Int32Array(corners), before = new Int32Array(corners), mixture = new Float32Array(corners + 1);
    const deviation = Math.sqrt(2 / 3) * corners, inverse = round(1 / corners);
    for (let i = 0; i < d; i++) scale[i] = deviation / Math.sqrt((i + 1) * (i + 2));
    let last = NaN;
    for (let i = 0; i < n; i++) {
      let above = 0;
      for (let j = d; j > 0; j--) {
        const lifted = round(features[i * d + j - 1] * scale[j - 1]);
        e[j] = round(above - round(j * lifted));
        above = round(above + lifted);
      }
      e[0] = above;
      // the nearest points whose coordinates are multiples of d + 1; they may lie off the plane by `off`
      let off = 0;
      for (let j = 0; j < corners; j++) {
        whole[j] = nearest(round(e[j] * inverse));
        off += whole[j];
        rank[j] = 0;
      }
      for (let j = 0; j < d; j++) {
        const rest = round(e[j] - round(whole[j] * corners));
        for (let k = j + 1; k < corners; k++) {
          if (rest < round(e[k] - round(whole[k] * corners))) rank[j]++; else rank[k]++;
        }
      }
      mixture.fill(0);
      for (let j = 0; j < corners; j++) {
        rank[j] += off;                       // back onto the plane: those with the largest rest go down first
        if (rank[j] > d) { rank[j] -= corners; whole[j] -= 1; } else if (rank[j] < 0) { rank[j] += corners; whole[j] += 1; }
        const part = round(round(e[j] - round(whole[j] * corners)) * inverse);
        mixture[d - rank[j]] += part;
        mixture[corners - rank[j]] -= part;
      }
      mixture[0] += round(1 + mixture[corners]);
      const base = keys.pack(whole, corners);
      let same = base === last;               // a neighbour in the image mostly lies in the same simplex
      for (let j = 0; j < corners; j++) { same &&= rank[j] === before[j]; before[j] = rank[j]; }
      last = base;
      for (let r = 0; r < corners; r++) {     // corner r: + r, and - (d + 1) more where the rank is high
        const at = i * corners + r;
        ids[at] = same ? ids[at - corners] : keys.number(keys.corner(base, rank, r));
        weights[at] = mixture[r];
      }
    }
  }

  /** For each axis and lattice point, the numbers of the two neighbours; `points` where there is none. */
  #findNeighbours() {
    const {d, keys} = this, m = this.points = keys.count;
    this.neighbours = [];
    for (let axis = 0; axis <= d; axis++) {
      const step = keys.step(axis), both = new Int32Array(2 * m);
      for (let p = 0; p < m; p++) {
        both[2 * p] = keys.find(keys.of[p] + step);
        both[2 * p + 1] = keys.find(keys.of[p] - step);
      }
      for (let k = 0; k < 2 * m; k++) if (both[k] < 0) both[k] = m;  // the row of zeros after the last point
      this.neighbours.push(both);
    }
  }

  /** K x for `four` fields at once: x and out are N * four numbers, four a multiple of four. */
  filter(x, out, four, transpose = false) {
    const {d, n, ids, weights, points} = this, corners = d + 1;
    let values = new Float32Array((points + 1) * four), other = new Float32Array((points + 1) * four);
    for (let i = 0; i < n; i++) {             // splat: every pixel spreads onto the corners of its simplex
      for (let c = i * corners; c < i * corners + corners; c++) {
        const w = weights[c], to = ids[c] * four;
        for (let l = 0; l < four; l += 4) {
          const at = i * four + l, v = to + l;
          values[v] += w * x[at]; values[v + 1] += w * x[at + 1];
          values[v + 2] += w * x[at + 2]; values[v + 3] += w * x[at + 3];
        }
      }
    }
    for (let a = 0; a <= d; a++) {            // blur: half of both neighbours, one axis after the other
      const both = this.neighbours[transpose ? d - a : a];
      for (let p = 0; p < points; p++) {
        const one = both[2 * p] * four, two = both[2 * p + 1] * four;
        for (let l = 0; l < four; l += 4) {
          const at = p * four + l, u = one + l, v = two + l;
          other[at] = values[at] + 0.5 * (values[u] + values[v]);
          other[at + 1] = values[at + 1] + 0.5 * (values[u + 1] + values[v + 1]);
          other[at + 2] = values[at + 2] + 0.5 * (values[u + 2] + values[v + 2]);
          other[at + 3] = values[at + 3] + 0.5 * (values[u + 3] + values[v + 3]);
        }
      }
      [values, other] = [other, values];
    }
    const gain = 1 / (1 + 2 ** -d);
    for (let i = 0; i < n; i++) {             // slice: every pixel reads its corners
      for (let l = 0; l < four; l += 4) {
        let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        for (let c = i * corners; c < i * corners + corners; c++) {
          const w = weights[c], v = ids[c] * four + l;
          s0 += w * values[v]; s1 += w * values[v + 1]; s2 += w * values[v + 2]; s3 += w * values[v + 3];
        }
        const at = i * four + l;
        out[at] = gain * s0; out[at + 1] = gain * s1; out[at + 2] = gain * s2; out[at + 3] = gain * s3;
      }
    }
    return out;
  }
}

/** Lattice points by number: d coordinates packed into one number, and a hash table from it to 0, 1, 2, … */
class Keys {
  constructor(features, d) {
    // a digit for each coordinate, as wide as the data need, with room for neighbours
    const low = new Array(d).fill(Infinity), high = new Array(d).fill(-Infinity);
    for (let i = 0; i < features.length; i++) {
      if (features[i] < low[i % d]) low[i % d] = features[i];
      if (features[i] > high[i % d]) high[i % d] = features[i];
    }
    this.d = d;
    this.strides = new Float64Array(d + 1);   // the last coordinate follows from the others: its stride is 0
    let lower = 0, upper = 0, size = 1;
    const widths = new Array(d + 1);
    for (let j = d; j >= 0; j--) {
      const s = j && Math.sqrt(2 / 3) * (d + 1) / Math.sqrt(j * (j + 1));
      const ends = j ? [s * low[j - 1], s * high[j - 1]] : [0, 0];
      widths[j] = Math.ceil(upper - j * ends[0] - (lower - j * ends[1])) + 6 * (d + 1);
      lower += ends[0]; upper += ends[1];
    }
    for (let j = 0; j < d; j++) { this.strides[j] = size; size *= widths[j]; }
    if (size > Number.MAX_SAFE_INTEGER) {
      throw new RangeError("sigma_alpha, sigma_beta or sigma_gamma: too small for an image of this size");
    }
    this.total = this.strides.reduce((sum, s) => sum + s, 0);
    this.count = 0;
    this.of = new Float64Array(1 << 12);
    this.slots = new Int32Array(1 << 14).fill(-1);
  }

  pack(whole, corners) {
    let key = 0;
    for (let j = 0; j < this.d; j++) key += whole[j] * corners * this.strides[j];
    return key;
  }

  corner(base, rank, r) {
    let key = base + r * this.total;
    if (r) for (let j = 0; j < this.d; j++) if (rank[j] > this.d - r) key -= (this.d + 1) * this.strides[j];
    return key;
  }

  /** How far it is to the next point along an axis: -1 in every coordinate but d in the axis's own. */
  step(axis) { return (this.d + 1) * this.strides[axis] - this.total; }

  #slot(key) {
    const high = Math.floor(key / 4294967296), low = key - high * 4294967296;
    let h = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
    h ^= h >>> 15;
    const mask = this.slots.length - 1;
    let slot = h & mask;
    while (this.slots[slot] >= 0 && this.of[this.slots[slot]] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  find(key) { return this.slots[this.#slot(key)]; }

  number(key) {
    const slot = this.#slot(key);
    if (this.slots[slot] >= 0) return this.slots[slot];
    this.of[this.count] = key;
    this.slots[slot] = this.count++;
    if (this.count === this.of.length) {      // the table is never more than a quarter full
      const old = this.of;
      this.of = new Float64Array(2 * old.length);
      this.of.set(old);
      this.slots = new Int32Array(2 * this.slots.length).fill(-1);
      for (let p = 0; p < this.count; p++) this.slots[this.#slot(this.of[p])] = p;
    }
    return this.count - 1;
  }
}

/** To the nearest whole number; a half goes to the even one. */
function nearest(x) {
  const whole = Math.round(x);
  return whole - x === 0.5 && whole % 2 ? whole - 1 : whole;
}

/** A kernel with its rows, or both ends, divided by its sums, as `normalization` says. */
class Kernel {
  constructor(features, d, normalization) {
    this.lattice = new Lattice(features, d);
    const n = this.lattice.n, ones = new Float32Array(4 * n).fill(1);
    const sums = this.lattice.filter(ones, new Float32Array(4 * n), 4);
    this.send = new Float32Array(n).fill(1);
    this.get = new Float32Array(n).fill(1);
    for (let i = 0; i < n; i++) {
      const sum = sums[4 * i] + TINY;
      if (normalization === "after") this.get[i] = 1 / sum;
      if (normalization === "before") this.send[i] = 1 / sum;
      if (normalization === "symmetric") this.send[i] = this.get[i] = 1 / Math.sqrt(sum);
    }
    this.plainSend = normalization === "after" || normalization === "none";
  }

  /** out += weight * (what every pixel hears from all others about each label). */
  addMessages(q, out, four, weight, heard, scaled) {
    const n = this.lattice.n;
    let from = q;
    if (!this.plainSend) {
      for (let i = 0; i < n; i++) for (let l = i * four; l < i * four + four; l++) scaled[l] = this.send[i] * q[l];
      from = scaled;
    }
    this.lattice.filter(from, heard, four);
    for (let i = 0; i < n; i++) {
      const gain = weight * this.get[i];
      for (let l = i * four; l < i * four + four; l++) out[l] += gain * heard[l];
    }
  }

  /** One row of the weighted kernel: what a pixel weighs every other. */
  row(pixel, weight) {
    const n = this.lattice.n, unit = new Float32Array(4 * n), row = new Float32Array(n);
    unit[4 * pixel] = 1;
    const back = this.lattice.filter(unit, new Float32Array(4 * n), 4, true);
    for (let i = 0; i < n; i++) row[i] = weight * this.get[pixel] * back[4 * i] * this.send[i];
    return row;
  }
}

// ---- the CRF --------------------------------------------------------------------------------------------------

export class DenseCRF {
  constructor({image, width, height, probs, classes}) {
    const n = width * height;
    if (image.length !== 3 * n) throw new RangeError(`image: got ${image.length} bytes, expected ${3 * n}`);
    if (probs.length !== classes * n) throw new RangeError(`probs: got ${probs.length}, expected ${classes * n}`);
    Object.assign(this, {image, width, height, classes, n, problem: {image, width, height, probs, classes}});
    const four = this.four = 4 * Math.ceil(classes / 4);
    this.unary = new Float32Array(n * four).fill(Infinity);     // -log P; a label that is none costs everything
    for (let l = 0; l < classes; l++) {
      for (let i = 0; i < n; i++) this.unary[i * four + l] = -Math.log(Math.max(probs[l * n + i], LEAST));
    }
    this.kept = {};                                             // lattices, until their sigmas change
  }

  /** Both kernels for these parameters; what did not change since the last call is kept. */
  kernels({sigma_alpha, sigma_beta, sigma_gamma, normalization = "after"}) {
    const appearance = this.#keep("appearance", [sigma_alpha, sigma_beta, normalization], () => {
      const f = this.#places(5, sigma_alpha);
      for (let i = 0; i < this.n; i++) {
        for (let c = 0; c < 3; c++) f[5 * i + 2 + c] = round(this.image[3 * i + c] / round(sigma_beta));
      }
      return new Kernel(f, 5, normalization);
    });
    const smoothness = this.#keep("smoothness", [sigma_gamma, normalization], () =>
      new Kernel(this.#places(2, sigma_gamma), 2, normalization));
    return [appearance, smoothness];
  }

  #keep(name, key, make) {
    const text = JSON.stringify(key);
    if (this.kept[name]?.text !== text) this.kept[name] = {text, value: make()};
    return this.kept[name].value;
  }

  #places(d, sigma) {
    const f = new Float32Array(this.n * d);
    for (let y = 0, i = 0; y < this.height; y++) {
      for (let x = 0; x < this.width; x++, i++) {
        f[d * i] = round(x / round(sigma));
        f[d * i + 1] = round(y / round(sigma));
      }
    }
    return f;
  }

  /** Mean field, an iteration at a time: yields {iteration, q (N × four), change}, from iteration 0, the unary. */
  *steps(params) {
    const {n, four, classes, unary} = this, {w1, w2} = params;
    const [appearance, smoothness] = this.kernels(params);
    const q = new Float32Array(n * four), cost = new Float32Array(n * four);
    const heard = new Float32Array(n * four), scaled = new Float32Array(n * four);
    cost.set(unary);
    softmax(q, cost, n, four, classes);
    yield {iteration: 0, q, change: 0};
    for (let iteration = 1; ; iteration++) {
      // Potts: a label pays for what is heard about the others, which is, but for a constant, minus its own
      cost.fill(0);
      appearance.addMessages(q, cost, four, w1, heard, scaled);
      smoothness.addMessages(q, cost, four, w2, heard, scaled);
      for (let k = 0; k < cost.length; k++) cost[k] = unary[k] - cost[k];
      yield {iteration, q, change: softmax(q, cost, n, four, classes)};
    }
  }

  /** The marginals after params.iterations, the most probable labels, and the free energy if it is asked for. */
  infer(params, {freeEnergy = false, settled = 0} = {}) {
    for (const step of this.steps(params)) {
      // once not a single marginal moves, no further iteration can change anything
      if (step.iteration >= params.iterations || (step.iteration && step.change <= settled)) {
        return {...this.maps(step.q), freeEnergy: freeEnergy ? this.freeEnergy(step.q, params) : NaN};
      }
    }
  }

  /** q in Python's order (C, H, W), and every pixel's most probable label, the first of equals. */
  maps(inside) {
    const {n, four, classes} = this, q = new Float32Array(classes * n), labels = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      let best = 0;
      for (let l = 0; l < classes; l++) {
        q[l * n + i] = inside[i * four + l];
        if (inside[i * four + l] > inside[i * four + best]) best = l;
      }
      labels[i] = best;
    }
    return {q, labels};
  }

  /** F(Q) = sum Q log Q + sum Q unary + the pairs' part: what mean field lowers (section 4). */
  freeEnergy(q, params) {
    const {n, four, classes, unary} = this, [appearance, smoothness] = this.kernels(params);
    const heard = new Float32Array(n * four), all = new Float32Array(n * four), scaled = new Float32Array(n * four);
    appearance.addMessages(q, all, four, params.w1, heard, scaled);
    smoothness.addMessages(q, all, four, params.w2, heard, scaled);
    let energy = 0;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let l = 0; l < classes; l++) sum += all[i * four + l];
      for (let l = i * four; l < i * four + classes; l++) {
        if (q[l] > 0) energy += q[l] * (Math.log(q[l]) + unary[l] + 0.5 * (sum - all[l]));
      }
    }
    return energy;
  }

  /** What the pixel (row, col) weighs every pixel: {appearance, smoothness}, N numbers each. */
  affinity(params, row, col) {
    const [appearance, smoothness] = this.kernels(params), pixel = row * this.width + col;
    return {appearance: appearance.row(pixel, params.w1), smoothness: smoothness.row(pixel, params.w2)};
  }
}

/** q = softmax(-cost) for each pixel, with `cost` as scratch; returns the largest change of any marginal. */
function softmax(q, cost, n, four, classes) {
  let change = 0;
  for (let i = 0; i < n; i++) {
    const first = i * four, end = first + classes;
    let least = Infinity, sum = 0;
    for (let l = first; l < end; l++) if (cost[l] < least) least = cost[l];
    for (let l = first; l < end; l++) sum += cost[l] = Math.exp(least - cost[l]);
    for (let l = first; l < end; l++) {
      const old = q[l];
      q[l] = cost[l] / sum;
      const moved = Math.abs(q[l] - old);
      if (moved > change) change = moved;
    }
  }
  return change;
}
