
/* The operations by name, and the network that runs a graph of them. */

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
