"use strict";

/* Runs a traced network: a list of PyTorch's core ATen operations, one after the other, on Float32Arrays.
 *
 * A tensor is {shape, data}: whole and in row-major order. Truth values are 0 and 1, whole numbers are floats.
 * Sums are taken in double precision. `Network`, in network.js, is what is used from outside; each entry of
 * `operations` has the arguments of the ATen operation of its name, keyword-only ones last in one object. */

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
