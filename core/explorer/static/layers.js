
/* Convolutions, pooling and what else networks are made of, on the tensors of tensor.js. */

function convolution(x, weight, bias, stride, padding, dilation, transposed, outputPadding, groups) {
  if (x.shape.length === 3) {
    // Along one dimension: images that are one pixel high.
    const lift = (t) => view(t, [t.shape[0], t.shape[1], 1, t.shape[2]]);
    const sizes = [[1, ...stride], [0, ...padding], [1, ...dilation], transposed, [0, ...outputPadding], groups];
    const flat = convolution(lift(x), lift(weight), bias, ...sizes);
    return view(flat, [flat.shape[0], flat.shape[1], flat.shape[3]]);
  }
  const [batch, channels, height, width] = x.shape;
  const [kh, kw] = weight.shape.slice(2);
  const [[sh, sw], [ph, pw], [dh, dw]] = [pair(stride), pair(padding), pair(dilation)];
  const [oh, ow] = pair(outputPadding);
  const outputs = transposed ? weight.shape[1] * groups : weight.shape[0];
  const size = (n, k, s, p, d, o) =>
    transposed ? (n - 1) * s - 2 * p + d * (k - 1) + o + 1 : Math.floor((n + 2 * p - d * (k - 1) - 1) / s) + 1;
  const [high, wide] = [size(height, kh, sh, ph, dh, oh), size(width, kw, sw, pw, dw, ow)];
  const [ins, outs] = [channels / groups, outputs / groups];
  const result = make([batch, outputs, high, wide]);
  // A product of matrices: each offset of the kernel has a row of its own, in which pixels of the small image stand
  // where those of the large one are that they meet.
  const [smallHigh, smallWide, largeHigh, largeWide] = transposed ? [height, width, high, wide] : [high, wide, height, width];
  const small = smallHigh * smallWide;
  const large = largeHigh * largeWide;
  const first = (k, s, p, d) => Math.max(0, Math.ceil((p - k * d) / s));
  const last = (k, s, p, d, n, most) => Math.min(n, Math.floor((most - 1 + p - k * d) / s) + 1);
  function meet(channelCount, visit) {
    for (let c = 0, line = 0; c < channelCount; c++) {
      for (let ky = 0; ky < kh; ky++) {
        const [y0, y1] = [first(ky, sh, ph, dh), last(ky, sh, ph, dh, smallHigh, largeHigh)];
        for (let kx = 0; kx < kw; kx++, line++) {
          const [x0, x1] = [first(kx, sw, pw, dw), last(kx, sw, pw, dw, smallWide, largeWide)];
          for (let y = y0; y < y1; y++) {
            const from = line * small + y * smallWide;
            visit(from + x0, from + x1, c * large + (y * sh + ky * dh - ph) * largeWide + kx * dw - pw + x0 * sw);
          }
        }
      }
    }
  }
  const kernel = kh * kw;
  const lines = new Float32Array((transposed ? outs : ins) * kernel * small);
  for (let n = 0; n < batch; n++) {
    for (let group = 0; group < groups; group++) {
      const input = (n * channels + group * ins) * height * width;
      const output = (n * outputs + group * outs) * high * wide;
      const weights = weight.data.subarray(group * ins * outs * kernel, (group + 1) * ins * outs * kernel);
      if (transposed) {
        const turned = permute({ shape: [ins, outs * kernel], data: weights }, [1, 0]);
        matrixProduct(turned.data, x.data, lines, outs * kernel, ins, small, 0, input);
        meet(outs, (from, to, place) => {
          for (let at = from, other = output + place; at < to; at++, other += sw) result.data[other] += lines[at];
        });
      } else {
        lines.fill(0);
        meet(ins, (from, to, place) => {
          for (let at = from, other = input + place; at < to; at++, other += sw) lines[at] = x.data[other];
        });
        matrixProduct(weights, lines, result.data, outs, ins * kernel, small, 0, 0, output);
      }
    }
  }
  return bias ? operations.add(result, view(bias, [outputs, 1, 1])) : result;
}

/** Normalises lines of `size` values; `scale` and `shift` are given the position of a value. */
function normalise(x, size, eps, scale, shift) {
  const result = make(x.shape);
  const values = new Float64Array(size);
  for (let start = 0; start < x.data.length; start += size) {
    for (let i = 0; i < size; i++) values[i] = x.data[start + i];
    const mean = total(values) / size;
    const spread = 1 / Math.sqrt(variance(values, 0) + eps);
    for (let i = 0; i < size; i++) {
      result.data[start + i] = (values[i] - mean) * spread * scale(start + i) + shift(start + i);
    }
  }
  return result;
}

function pool(x, window, stride, padding, start, step, end) {
  const [kh, kw] = pair(window);
  const [sh, sw] = stride.length ? pair(stride) : [kh, kw];
  const [ph, pw] = pair(padding);
  const [height, width] = x.shape.slice(-2);
  const [high, wide] = [Math.floor((height + 2 * ph - kh) / sh) + 1, Math.floor((width + 2 * pw - kw) / sw) + 1];
  const result = make([...x.shape.slice(0, -2), high, wide]);
  for (let p = 0, out = 0; p < x.data.length; p += height * width) {
    for (let y = 0; y < high; y++) {
      for (let z = 0; z < wide; z++) {
        let state = start;
        let seen = 0;
        for (let i = Math.max(0, y * sh - ph); i < Math.min(height, y * sh - ph + kh); i++) {
          for (let j = Math.max(0, z * sw - pw); j < Math.min(width, z * sw - pw + kw); j++, seen++) {
            state = step(state, x.data[p + i * width + j]);
          }
        }
        result.data[out++] = end(state, seen, kh * kw);
      }
    }
  }
  return result;
}

function adaptiveAverage(x, [high, wide]) {
  const [height, width] = x.shape.slice(-2);
  const result = make([...x.shape.slice(0, -2), high, wide]);
  for (let p = 0, out = 0; p < x.data.length; p += height * width) {
    for (let y = 0; y < high; y++) {
      for (let z = 0; z < wide; z++) {
        const [top, bottom] = [Math.floor((y * height) / high), Math.ceil(((y + 1) * height) / high)];
        const [left, right] = [Math.floor((z * width) / wide), Math.ceil(((z + 1) * width) / wide)];
        let sum = 0;
        for (let i = top; i < bottom; i++) for (let j = left; j < right; j++) sum += x.data[p + i * width + j];
        result.data[out++] = sum / ((bottom - top) * (right - left));
      }
    }
  }
  return result;
}

/** Enlarges images: `weigh(place, size, factor)` gives the two pixels to mix and the part of the second. */
function enlarge(x, size, factors, weigh) {
  const [height, width] = x.shape.slice(-2);
  const [high, wide] = size ?? [Math.floor(height * factors[0]), Math.floor(width * factors[1])];
  const rows = Array.from({ length: high }, (_, y) => weigh(y, height, high, factors && factors[0]));
  const columns = Array.from({ length: wide }, (_, z) => weigh(z, width, wide, factors && factors[1]));
  const result = make([...x.shape.slice(0, -2), high, wide]);
  for (let p = 0, out = 0; p < x.data.length; p += height * width) {
    for (const [top, bottom, down] of rows) {
      for (const [left, right, across] of columns) {
        const mix = (row) => x.data[p + row * width + left] * (1 - across) + x.data[p + row * width + right] * across;
        result.data[out++] = mix(top) * (1 - down) + mix(bottom) * down;
      }
    }
  }
  return result;
}

function erf(x) {
  // Series near zero, continued fraction further out: both to the last digits of single precision.
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 60; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
      if (Math.abs(term) < 1e-9 * Math.abs(sum)) break;
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 40; n > 0; n--) fraction = (n / 2) / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}

const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const gelu = (x, { approximate = "none" } = {}) =>
  approximate === "tanh"
    ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
    : 0.5 * x * (1 + erf(x / Math.SQRT2));
const toEven = (x) => {
  const down = Math.floor(x);
  const part = x - down;
  return part < 0.5 || (part === 0.5 && down % 2 === 0) ? down : down + 1;
};
const divided = (a, b, { rounding_mode: mode = null }) =>
  mode === "floor" ? Math.floor(a / b) : mode === "trunc" ? Math.trunc(a / b) : a / b;
const nearest = (at, size, large, factor) => {
  const source = Math.min(size - 1, Math.floor(factor ? at / factor : (at * size) / large));
  return [source, source, 0];
};
const linear = (corners) => (at, size, large, factor) => {
  const source = corners
    ? large > 1 ? (at * (size - 1)) / (large - 1) : 0
    : Math.max(0, (at + 0.5) * (factor ? 1 / factor : size / large) - 0.5);
  const low = Math.min(size - 1, Math.floor(source));
  return [low, Math.min(size - 1, low + 1), source - low];
};

// The same numbers for the same input each time: a drawing that is made binary should not flicker.
function* randomNumbers() {
  for (let state = 0x9e3779b9; ; ) {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    yield ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}

const clampOne = (low, high) => (x) => {
  let value = x;
  if (low !== null && value < low) value = low;
  if (high !== null && value > high) value = high;
  return value;
};

function clamp(x, low, high) {
  if (!isTensor(low) && !isTensor(high)) return unary(clampOne(low ?? null, high ?? null))(x);
  let result = x;
  if (low !== null) result = operations.maximum(result, low);
  return high === null ? result : operations.minimum(result, high);
}

function where(condition, x, y) {
  const [a, b] = [asTensor(x), asTensor(y)];
  const shape = commonShape(condition.shape, a.shape, b.shape);
  const [c, yes, no] = [condition, a, b].map((t) => (sameShape(t.shape, shape) ? t : broadcast(t, shape)));
  const result = make(shape);
  for (let i = 0; i < result.data.length; i++) result.data[i] = c.data[i] ? yes.data[i] : no.data[i];
  return result;
}

function filled(shape, value) {
  const result = make(shape);
  result.data.fill(Number(value));
  return result;
}

function converted(x, { dtype = null } = {}) {
  if (dtype === "bool") return unary((v) => (v !== 0 ? 1 : 0))(x);
  return dtype && !dtype.includes("float") ? unary(Math.trunc)(x) : x;
}

function padded(x, pad, value) {
  const rank = x.shape.length;
  const before = new Array(rank).fill(0);
  const shape = x.shape.slice();
  for (let i = 0; i < pad.length / 2; i++) {
    before[rank - 1 - i] = pad[2 * i];
    shape[rank - 1 - i] += pad[2 * i] + pad[2 * i + 1];
  }
  const result = filled(shape, value ?? 0);
  const [own, large] = [strides(x.shape), strides(shape)];
  for (let i = 0; i < x.data.length; i++) {
    let position = 0;
    let rest = i;
    let inside = true;
    for (let d = 0; d < rank; d++) {
      const index = Math.floor(rest / own[d]);
      rest -= index * own[d];
      const moved = index + before[d];
      inside = inside && moved >= 0 && moved < shape[d];
      position += moved * large[d];
    }
    if (inside) result.data[position] = x.data[i];
  }
  return result;
}

function split(x, sizes, dim) {
  let start = 0;
  return sizes.map((size) => slice(x, dim, start, (start += size), 1));
}

function indexSelect(x, dim, index) {
  const size = x.shape[place(dim, x.shape.length)];
  const pick = (i) => slice(x, dim, place(i, size), place(i, size) + 1, 1);
  return cat(Array.from(index.data, pick), dim);
}

function embedding(table, index) {
  return view(indexSelect(table, 0, index), [...index.shape, table.shape[1]]);
}

function flip(x, dims) {
  const own = strides(x.shape);
  const turned = new Set(dims.map((d) => place(d, x.shape.length)));
  const start = own.reduce((sum, step, d) => sum + (turned.has(d) ? step * (x.shape[d] - 1) : 0), 0);
  return gather(x, x.shape, own.map((step, d) => (turned.has(d) ? -step : step)), start);
}

function repeat(x, times) {
  let result = view(x, [...new Array(times.length - x.shape.length).fill(1), ...x.shape]);
  times.forEach((n, d) => {
    if (n !== 1) result = cat(new Array(n).fill(result), d);
  });
  return result;
}

function cumulated(x, dim) {
  return along(x, dim, (values) => {
    for (let i = 1; i < values.length; i++) values[i] += values[i - 1];
  });
}

const softmax = (log) => (x, dim) =>
  along(x, dim, (values) => {
    const top = largest(values);
    const sum = total(values.map((v) => Math.exp(v - top)));
    for (let i = 0; i < values.length; i++) {
      values[i] = log ? values[i] - top - Math.log(sum) : Math.exp(values[i] - top) / sum;
    }
  });

const extremum = (best) => (x, dim, keep) => [
  reduce(x, [dim], keep, best),
  reduce(x, [dim], keep, (values) => placeOf(values, best(values))),
];
const place1 = (best) => (x, dim, keep) =>
  reduce(x, oneDim(dim), keep, (values) => placeOf(values, best(values)));
