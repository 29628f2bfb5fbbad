"use strict";

/* Runs a traced network: a list of PyTorch's core ATen operations, one after the other, on Float32Arrays.
 *
 * A tensor is {shape, data}: whole and in row-major order. Truth values are 0 and 1, whole numbers are floats.
 * Sums are taken in double precision. `Network` is the only thing to use from outside; each entry of
 * `operations` has the arguments of the ATen operation of its name, keyword-only ones last in one object. */

const Network = (() => {
  const count = (shape) => shape.reduce((product, n) => product * n, 1);
  const make = (shape) => ({ shape, data: new Float32Array(count(shape)) });
  const scalar = (value) => ({ shape: [], data: Float32Array.of(value) });
  const isTensor = (value) => value !== null && typeof value === "object" && value.data instanceof Float32Array;
  const asTensor = (value) => (isTensor(value) ? value : scalar(Number(value)));
  const place = (dim, rank) => (dim < 0 ? dim + rank : dim);

  function strides(shape) {
    const steps = new Array(shape.length);
    for (let i = shape.length - 1, step = 1; i >= 0; step *= shape[i], i--) steps[i] = step;
    return steps;
  }

  function commonShape(...shapes) {
    const rank = Math.max(...shapes.map((shape) => shape.length));
    const common = new Array(rank).fill(1);
    for (const shape of shapes) {
      shape.forEach((n, i) => {
        if (n !== 1) common[rank - shape.length + i] = n;
      });
    }
    return common;
  }

  /** Positions in a tensor for each position, in order, of a shape it is read through. */
  function walk(shape, steps, start = 0) {
    let positions = Int32Array.of(start);
    shape.forEach((n, d) => {
      const next = new Int32Array(positions.length * n);
      for (let i = 0, out = 0; i < positions.length; i++) {
        for (let j = 0; j < n; j++) next[out++] = positions[i] + j * steps[d];
      }
      positions = next;
    });
    return positions;
  }

  function gather(tensor, shape, steps, start = 0) {
    const result = make(shape);
    const [from, to] = [tensor.data, result.data];
    if (to.length === 0) return result;
    const line = shape.length ? shape[shape.length - 1] : 1;
    const step = shape.length ? steps[shape.length - 1] : 0;
    let i = 0;
    for (const position of walk(shape.slice(0, -1), steps, start)) {
      for (let j = 0, at = position; j < line; j++, at += step) to[i++] = from[at];
    }
    return result;
  }

  function broadcast(tensor, shape) {
    const extra = shape.length - tensor.shape.length;
    const own = strides(tensor.shape);
    const steps = shape.map((n, i) => (i < extra || tensor.shape[i - extra] === 1 ? 0 : own[i - extra]));
    return gather(tensor, shape, steps);
  }

  const sameShape = (a, b) => a.length === b.length && a.every((n, i) => n === b[i]);

  const unary = (f) => (x, ...options) => {
    const tensor = asTensor(x);
    const result = make(tensor.shape);
    for (let i = 0; i < result.data.length; i++) result.data[i] = f(tensor.data[i], ...options);
    return result;
  };

  const binary = (f) => (x, y, options = {}) => {
    let [a, b] = [asTensor(x), asTensor(y)];
    const shape = commonShape(a.shape, b.shape);
    const result = make(shape);
    const out = result.data;
    if (b.data.length === 1 && sameShape(a.shape, shape)) {
      const value = isTensor(y) ? b.data[0] : Number(y);
      for (let i = 0; i < out.length; i++) out[i] = f(a.data[i], value, options);
      return result;
    }
    if (!sameShape(a.shape, shape)) a = broadcast(a, shape);
    if (!sameShape(b.shape, shape)) b = broadcast(b, shape);
    for (let i = 0; i < out.length; i++) out[i] = f(a.data[i], b.data[i], options);
    return result;
  };

  const truth = (f) => binary((a, b) => (f(a, b) ? 1 : 0));

  const view = (x, shape) => {
    const known = shape.reduce((product, n) => (n < 0 ? product : product * n), 1);
    return { shape: shape.map((n) => (n < 0 ? x.data.length / known : n)), data: x.data };
  };
  const same = (x) => x;

  function permute(x, dims) {
    const own = strides(x.shape);
    const order = dims.map((d) => place(d, x.shape.length));
    return gather(x, order.map((d) => x.shape[d]), order.map((d) => own[d]));
  }

  function slice(x, dim, start, end, step) {
    const d = place(dim, x.shape.length);
    const size = x.shape[d];
    const within = (value, otherwise) => {
      const from = value === null ? otherwise : value < 0 ? value + size : value;
      return Math.min(Math.max(from, 0), size);
    };
    const [from, to] = [within(start, 0), within(end, size)];
    const own = strides(x.shape);
    const shape = x.shape.slice();
    shape[d] = Math.max(0, Math.ceil((to - from) / step));
    const steps = own.slice();
    steps[d] *= step;
    return gather(x, shape, steps, from * own[d]);
  }

  function select(x, dim, index) {
    const d = place(dim, x.shape.length);
    const from = place(index, x.shape[d]);
    const part = slice(x, d, from, from + 1, 1);
    return { shape: part.shape.filter((_, i) => i !== d), data: part.data };
  }

  function cat(tensors, dim) {
    const parts = tensors.filter((t) => t.shape.length > 1 || t.data.length > 0);
    const d = place(dim, parts[0].shape.length);
    const shape = parts[0].shape.slice();
    shape[d] = parts.reduce((total, t) => total + t.shape[d], 0);
    const result = make(shape);
    const outer = count(shape.slice(0, d));
    const inner = count(shape.slice(d + 1));
    let offset = 0;
    for (const t of parts) {
      const block = t.shape[d] * inner;
      for (let i = 0; i < outer; i++) {
        result.data.set(t.data.subarray(i * block, (i + 1) * block), i * shape[d] * inner + offset);
      }
      offset += block;
    }
    return result;
  }

  /** Reduces the named dimensions, all where none are named: `f` is given the values as one array. */
  function reduce(x, dims, keep, f) {
    const rank = x.shape.length;
    const named = dims === null || dims === undefined || dims.length === 0 ? x.shape.map((_, i) => i) : dims;
    const gone = new Set(named.map((d) => place(d, rank)));
    const own = strides(x.shape);
    const pick = (list, isGone) => list.filter((_, i) => gone.has(i) === isGone);
    const result = make(pick(x.shape, false));
    const inside = walk(pick(x.shape, true), pick(own, true));
    const values = new Float64Array(inside.length);
    let i = 0;
    for (const start of walk(pick(x.shape, false), pick(own, false))) {
      for (let j = 0; j < inside.length; j++) values[j] = x.data[start + inside[j]];
      result.data[i++] = f(values);
    }
    return keep ? view(result, x.shape.map((n, d) => (gone.has(d) ? 1 : n))) : result;
  }

  const total = (values) => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[i];
    return sum;
  };
  // Unlike Math.max, these hand NaN on as PyTorch does.
  const larger = (a, b) => (a > b || a !== a ? a : b);
  const smaller = (a, b) => (a < b || a !== a ? a : b);
  const largest = (values) => values.reduce(larger);
  const smallest = (values) => values.reduce(smaller);
  const placeOf = (values, best) => values.findIndex((value) => Object.is(value, best) || value === best);

  const variance = (values, correction) => {
    const mean = total(values) / values.length;
    return values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(0, values.length - correction);
  };

  const oneDim = (dim) => (dim === null || dim === undefined ? null : Array.isArray(dim) ? dim : [dim]);

  /** Applies `f(values, write)` to each line of values along a dimension. */
  function along(x, dim, f) {
    const d = place(dim, x.shape.length);
    const size = x.shape.length ? x.shape[d] : 1;
    const inner = count(x.shape.slice(d + 1));
    const result = make(x.shape);
    const values = new Float64Array(size);
    for (let block = 0; block < x.data.length; block += size * inner) {
      for (let j = 0; j < inner; j++) {
        for (let k = 0; k < size; k++) values[k] = x.data[block + k * inner + j];
        f(values);
        for (let k = 0; k < size; k++) result.data[block + k * inner + j] = values[k];
      }
    }
    return result;
  }

  /** ``out (n, m) = a (n, k) · b (k, m)``, each matrix beginning at a place of its array. */
  function matrixProduct(a, b, out, n, k, m, aAt = 0, bAt = 0, outAt = 0) {
    const row = new Float64Array(m);
    for (let i = 0; i < n; i++) {
      row.fill(0);
      let j = 0;
      // Four rows at once: what takes time is reading and writing the sums.
      for (; j + 3 < k; j += 4) {
        const at = aAt + i * k + j;
        const [p, q, r, s] = [a[at], a[at + 1], a[at + 2], a[at + 3]];
        const first = bAt + j * m;
        const [second, third, fourth] = [first + m, first + 2 * m, first + 3 * m];
        for (let c = 0; c < m; c++) {
          row[c] += p * b[first + c] + q * b[second + c] + r * b[third + c] + s * b[fourth + c];
        }
      }
      for (; j < k; j++) {
        const factor = a[aAt + i * k + j];
        const from = bAt + j * m;
        for (let c = 0; c < m; c++) row[c] += factor * b[from + c];
      }
      out.set(row, outAt + i * m);
    }
  }

  function mm(a, b) {
    const [n, k, m] = [a.shape[0], a.shape[1], b.shape[1]];
    const result = make([n, m]);
    matrixProduct(a.data, b.data, result.data, n, k, m);
    return result;
  }

  function bmm(a, b) {
    const [batch, n, k, m] = [a.shape[0], a.shape[1], a.shape[2], b.shape[2]];
    const result = make([batch, n, m]);
    for (let i = 0; i < batch; i++) {
      matrixProduct(a.data, b.data, result.data, n, k, m, i * n * k, i * k * m, i * n * m);
    }
    return result;
  }

  const added = (bias, product, { beta = 1, alpha = 1 } = {}) => {
    const scaled = (x, by) => (by === 1 ? x : operations.mul(x, by));
    return operations.add(scaled(product, alpha), scaled(bias, beta));
  };

  const pair = (list) => (list.length === 1 ? [list[0], list[0]] : list);

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

  /** Normalises lines of `size` values; `scale` and `shift` are told the position of a value. */
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

  const operations = {
    _adaptive_avg_pool2d: adaptiveAverage,
    _log_softmax: softmax(true),
    _native_batch_norm_legit_no_training: (x, weight, bias, mean, spread, _, eps) => {
      const inner = count(x.shape.slice(2));
      const result = make(x.shape);
      for (let i = 0; i < x.data.length; i++) {
        const c = Math.floor(i / inner) % x.shape[1];
        const unit = (x.data[i] - mean.data[c]) / Math.sqrt(spread.data[c] + eps);
        result.data[i] = unit * (weight ? weight.data[c] : 1) + (bias ? bias.data[c] : 0);
      }
      return [result];
    },
    _softmax: softmax(false),
    _to_copy: converted,
    _unsafe_view: view,
    abs: unary(Math.abs),
    acos: unary(Math.acos),
    acosh: unary(Math.acosh),
    add: binary((a, b, { alpha = 1 }) => a + alpha * b),
    addmm: (bias, a, b, options) => added(bias, mm(a, b), options),
    alias: same,
    amax: (x, dims, keep) => reduce(x, dims, keep, largest),
    amin: (x, dims, keep) => reduce(x, dims, keep, smallest),
    any: (x, dim = null, keep = false) => reduce(x, oneDim(dim), keep, (values) => (values.some((v) => v !== 0) ? 1 : 0)),
    argmax: place1(largest),
    argmin: place1(smallest),
    asin: unary(Math.asin),
    asinh: unary(Math.asinh),
    atan: unary(Math.atan),
    atan2: binary(Math.atan2),
    atanh: unary(Math.atanh),
    avg_pool2d: (x, window, stride, padding, ceil, countPadding, divisor) => {
      if (ceil) throw new Error("avg_pool2d rounds its size up");
      return pool(x, window, stride, padding, 0, (sum, v) => sum + v, (sum, seen, all) => sum / (divisor ?? (countPadding ? all : seen)));
    },
    bmm,
    cat,
    ceil: unary(Math.ceil),
    clamp,
    clone: same,
    constant_pad_nd: padded,
    convolution,
    cos: unary(Math.cos),
    cosh: unary(Math.cosh),
    cumsum: cumulated,
    div: binary(divided),
    elu: unary((x, alpha, scale, inner) => (x > 0 ? scale * x : scale * alpha * Math.expm1(x * inner))),
    embedding,
    eq: truth((a, b) => a === b),
    erf: unary((x) => erf(x)),
    exp: unary(Math.exp),
    expand: (x, shape) => {
      const extra = shape.length - x.shape.length;
      return broadcast(x, shape.map((n, i) => (n < 0 ? x.shape[i - extra] : n)));
    },
    expm1: unary(Math.expm1),
    flip,
    floor: unary(Math.floor),
    fmod: binary((a, b) => a % b),
    full: (shape, value) => filled(shape, value),
    full_like: (x, value) => filled(x.shape, value),
    ge: truth((a, b) => a >= b),
    gelu: unary(gelu),
    gt: truth((a, b) => a > b),
    hardtanh: (x, low, high) => clamp(x, low, high),
    hypot: binary((a, b) => Math.hypot(a, b)),
    index_select: indexSelect,
    isinf: unary((x) => (Math.abs(x) === Infinity ? 1 : 0)),
    isnan: unary((x) => (x !== x ? 1 : 0)),
    le: truth((a, b) => a <= b),
    leaky_relu: unary((x, slope) => (x > 0 ? x : x * slope)),
    log: unary(Math.log),
    log10: unary(Math.log10),
    log1p: unary(Math.log1p),
    log2: unary(Math.log2),
    logical_and: truth((a, b) => a && b),
    logical_not: unary((x) => (x ? 0 : 1)),
    logical_or: truth((a, b) => a || b),
    logical_xor: truth((a, b) => !a !== !b),
    lt: truth((a, b) => a < b),
    max: extremum(largest),
    maximum: binary(larger),
    mean: (x, dims = null, keep = false) => reduce(x, oneDim(dims), keep, (values) => total(values) / values.length),
    min: extremum(smallest),
    minimum: binary(smaller),
    mm,
    mul: binary((a, b) => a * b),
    native_group_norm: (x, weight, bias, batch, channels, inner, groups, eps) => {
      const channel = (i) => Math.floor(i / inner) % channels;
      const scale = (i) => (weight ? weight.data[channel(i)] : 1);
      const shift = (i) => (bias ? bias.data[channel(i)] : 0);
      return [normalise(x, (channels / groups) * inner, eps, scale, shift)];
    },
    native_layer_norm: (x, shape, weight, bias, eps) => {
      const size = count(shape);
      const scale = (i) => (weight ? weight.data[i % size] : 1);
      const shift = (i) => (bias ? bias.data[i % size] : 0);
      return [normalise(x, size, eps, scale, shift)];
    },
    ne: truth((a, b) => a !== b),
    neg: unary((x) => -x),
    permute,
    pow: binary((a, b) => a ** b),
    prod: (x, dim = null, keep = false) => reduce(x, oneDim(dim), keep, (values) => values.reduce((p, v) => p * v, 1)),
    rand_like: (x) => {
      const numbers = randomNumbers();
      return unary(() => numbers.next().value)(x);
    },
    reciprocal: unary((x) => 1 / x),
    relu: unary((x) => (x < 0 ? 0 : x)),
    remainder: binary((a, b) => a - b * Math.floor(a / b)),
    repeat,
    round: unary((x) => toEven(x)),
    rsqrt: unary((x) => 1 / Math.sqrt(x)),
    scalar_tensor: (value) => scalar(Number(value)),
    select,
    sigmoid: unary((x) => sigmoid(x)),
    sign: unary((x) => (x > 0 ? 1 : x < 0 ? -1 : 0)),
    sin: unary(Math.sin),
    sinh: unary(Math.sinh),
    slice,
    split_with_sizes: split,
    sqrt: unary(Math.sqrt),
    squeeze: (x, dims = null) => {
      const named = oneDim(dims);
      const gone = new Set((named ?? x.shape.map((_, d) => d)).map((d) => place(d, x.shape.length)));
      return view(x, x.shape.filter((n, d) => n !== 1 || !gone.has(d)));
    },
    sub: binary((a, b, { alpha = 1 }) => a - alpha * b),
    sum: (x, dims = null, keep = false) => reduce(x, oneDim(dims), keep, total),
    tan: unary(Math.tan),
    tanh: unary(Math.tanh),
    trunc: unary(Math.trunc),
    unsqueeze: (x, dim) => {
      const shape = x.shape.slice();
      shape.splice(place(dim, shape.length + 1), 0, 1);
      return view(x, shape);
    },
    upsample_bilinear2d: (x, size, corners, factors) => enlarge(x, size, factors, linear(corners)),
    upsample_nearest2d: (x, size, factors) => enlarge(x, size, factors, nearest),
    var: (x, dims, { correction = 1, keepdim = false } = {}) => reduce(x, oneDim(dims), keepdim, (values) => variance(values, correction ?? 1)),
    view,
    where,
  };

  /** Half-precision numbers, as 16-bit patterns, to single precision. */
  function fromHalf(bits) {
    const result = new Float32Array(bits.length);
    for (let i = 0; i < bits.length; i++) {
      const [sign, exponent, fraction] = [bits[i] & 0x8000 ? -1 : 1, (bits[i] >> 10) & 31, bits[i] & 1023];
      if (exponent === 31) result[i] = fraction ? NaN : sign * Infinity;
      else if (exponent === 0) result[i] = sign * fraction * 2 ** -24;
      else result[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
    }
    return result;
  }

  class Network {
    /** `graph` as genmod.explorer.graph writes it; `weights` the ArrayBuffer that its constants lie in. */
    constructor(graph, weights) {
      this.graph = graph;
      const numbers = graph.half ? fromHalf(new Uint16Array(weights)) : new Float32Array(weights);
      this.constants = graph.constants.map(({ shape, offset }) => ({
        shape,
        data: numbers.subarray(offset, offset + count(shape)),
      }));
    }

    /** Values of the output, given those of each input in order. */
    run(...inputs) {
      const { graph } = this;
      const values = [...this.constants];
      graph.inputs.forEach((shape, i) => values.push({ shape, data: Float32Array.from(inputs[i]) }));
      const read = (argument) => {
        if (Array.isArray(argument)) return argument.map(read);
        if (argument === null || typeof argument !== "object") return argument;
        return "at" in argument ? values[argument.at] : Number(argument.number);
      };
      for (const [name, args, options] of graph.nodes) {
        const given = args.map(read);
        values.push(name === "getitem" ? given[0][given[1]] : operations[name](...given, options));
      }
      return values[graph.output].data;
    }
  }
  Network.operations = Object.keys(operations);
  return Network;
})();
