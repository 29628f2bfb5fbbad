
/* The examples themselves: small pictures of them, and which of them is nearest to what is decoded. */

const examples = (() => {
  const known = SCENE.pictures;
  if (!known) return null;
  const shape = isTable ? known.shape : [...known.shape];
  const size = product(shape);
  const small = framed(shape);
  const characters = atob(known.numbers);
  const bytes = Uint8Array.from(characters, (c) => c.charCodeAt(0));
  const levels = 254;
  const numbers = known.bytes ? bytes : new Float32Array(bytes.buffer);

  /** The values of an example, smaller than it is where it is large. */
  function values(i) {
    const part = numbers.subarray(i * size, (i + 1) * size);
    return known.bytes ? Float32Array.from(part, (v) => (v > levels ? NaN : LOW + (v / levels) * (HIGH - LOW))) : part;
  }

  /** What is decoded in the size of the small pictures: means over the pixels that fall into one. */
  function shrunk(decoded) {
    if (decoded.length === size) return decoded;
    const result = new Float32Array(size);
    const { channels, height, width } = frame;
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < small.height; y++) {
        const [top, bottom] = [Math.floor((y * height) / small.height), Math.ceil(((y + 1) * height) / small.height)];
        for (let x = 0; x < small.width; x++) {
          const [left, right] = [Math.floor((x * width) / small.width), Math.ceil(((x + 1) * width) / small.width)];
          let sum = 0;
          for (let v = top; v < bottom; v++) for (let u = left; u < right; u++) sum += decoded[(c * height + v) * width + u];
          result[(c * small.height + y) * small.width + x] = sum / ((bottom - top) * (right - left));
        }
      }
    }
    return result;
  }

  // Columns are compared in parts of their ranges; a value that is missing says nothing.
  const part = isTable ? unitOf : unit;
  const flat = Float32Array.from({ length: known.count * size }, (_, i) => {
    const v = numbers[i];
    if (known.bytes) return v > levels ? NaN : v / levels;
    return Number.isNaN(v) ? NaN : part(v, i % size);
  });

  /** Number of the nearest example, and the root mean square difference in parts of the range. */
  function nearest(decoded) {
    const wanted = Float32Array.from(shrunk(decoded), part);
    let [best, least] = [0, Infinity];
    for (let i = 0; i < known.count; i++) {
      let [sum, count] = [0, 0];
      for (let j = 0; j < size && sum <= least * size; j++) {
        const away = flat[i * size + j] - wanted[j];
        if (away === away) {
          sum += away * away;
          count++;
        }
      }
      if (count && sum / count < least) [best, least] = [i, sum / count];
    }
    return [best, Math.sqrt(least)];
  }
  return { count: known.count, shape: small, values, nearest };
})();

function describe(i) {
  const known = SCENE.colours.slice(0, 3).map(({ name, values, of }) => `${name} ${values[of[i]] ?? of[i]}`);
  return known.length ? known.join(", ") : `example ${i}`;
}
