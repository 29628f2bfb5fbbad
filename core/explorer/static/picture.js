
/* Pictures: values as colours. */

const [LOW, HIGH] = [SCENE.data.low, SCENE.data.high];
const isTable = SCENE.data.shape.length === 1;
const COLUMNS = SCENE.data.cells;
const framed = (shape) => {
  if (isTable) return { channels: 1, height: shape[0], width: 1 };
  const [height, width] = shape.slice(-2);
  return { channels: product(shape.slice(0, -2)), height, width };
};
const frame = framed(SCENE.data.shape);
const PIXELS = isTable ? "cells" : SCENE.data.enlarged ? "pixels smooth" : "pixels";
const unit = (value) => Math.min(1, Math.max(0, (value - LOW) / (HIGH - LOW)));

/** Where in the range of its column a value of a table lies, from 0 to 1. */
function unitOf(value, i) {
  const { low, high } = COLUMNS[i] ?? { low: LOW, high: HIGH };
  return high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0.5;
}

/** A value of a table in the units of its column: a category by name, a point in time as a date. */
function inUnits(value, i, real = false) {
  const column = COLUMNS[i];
  if (Number.isNaN(value)) return "missing";
  const { values, shift, scale, log, offset, date, decimals } = column;
  if (values.length === 2 && !real) return value > 0.5 ? `${values[1]} ${Math.round(100 * value)} %` : `${values[0]} ${Math.round(100 - 100 * value)} %`;
  if (values.length) return values[Math.min(values.length - 1, Math.max(0, Math.round(value)))];
  const plain = shift + scale * value;
  const own = log ? Math.exp(plain) - offset : plain;
  if (date) {
    const time = new Date(own * (date === "days" ? 86400000 : 1000));
    return Number.isNaN(time.getTime()) ? "–" : time.toISOString().slice(0, date === "days" ? 10 : 19).replace("T", " ");
  }
  if (decimals !== null) return own.toFixed(decimals);
  return Math.abs(own) >= 1e5 || (own !== 0 && Math.abs(own) < 1e-3) ? own.toExponential(2) : String(Number(own.toPrecision(4)));
}

function diverging(part) {
  const at = part * (DIVERGING.length - 1);
  const below = Math.min(DIVERGING.length - 2, Math.floor(at));
  return DIVERGING[below].map((c, i) => Math.round(c + (DIVERGING[below + 1][i] - c) * (at - below)));
}

/** Draws an example on a canvas: grey, colours, or its channels side by side; of a table a strip. */
function paint(canvas, values, { channels, height, width } = frame) {
  const across = channels === 3 || isTable ? 1 : Math.ceil(Math.sqrt(channels));
  const down = channels === 3 || isTable ? 1 : Math.ceil(channels / across);
  canvas.width = across * (width + 1) - 1;
  canvas.height = down * (height + 1) - 1;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  image.data.fill(128);
  const put = (x, y, colour) => image.data.set([...colour, 255], 4 * (y * canvas.width + x));
  const plane = height * width;
  for (let c = 0; c < (channels === 3 ? 1 : channels); c++) {
    const [left, top] = [(c % across) * (width + 1), Math.floor(c / across) * (height + 1)];
    for (let i = 0; i < plane; i++) {
      const parts = channels === 3 ? [values[i], values[plane + i], values[2 * plane + i]] : [values[c * plane + i]];
      let colour = parts.map((v) => Math.round(255 * unit(v)));
      if (parts.some(Number.isNaN)) colour = MAGENTA;
      else if (isTable) colour = diverging(unitOf(parts[0], i));
      else if (colour.length === 1) colour = [colour[0], colour[0], colour[0]];
      put(left + (i % width), top + Math.floor(i / width), colour);
    }
  }
  context.putImageData(image, 0, 0);
  const parent = canvas.parentElement;
  if (parent) parent.dataset.frame = String(Number(parent.dataset.frame ?? 0) + 1);
}

/** Something in a place of the page that shows an example: a picture, or a list of bars. */
function shower(place, label, bars, shape = frame) {
  if (!(isTable && bars)) {
    const canvas = element("canvas", { role: "img", "aria-label": label, class: PIXELS });
    place.append(canvas);
    return (values) => paint(canvas, values, shape);
  }
  const list = element("dl", { class: "bars", "aria-label": label });
  if (SCENE.pictures) list.append(element("div", { class: "head" }, element("span"), element("span", {}, element("span"), element("span", {}, "decoded"), element("span", {}, "nearest"))));
  const meters = COLUMNS.map(({ name, low, high }, i) => {
    const [bar, number, other] = [element("span"), element("output"), element("span", { class: "other" })];
    const ends = `from ${inUnits(low, i)} to ${inUnits(high, i)}`;
    list.append(element("div", {}, element("dt", { title: `${name}, ${ends}` }, name), element("dd", {}, element("i", { title: ends }, bar), number, other)));
    return { bar, number, other };
  });
  place.append(list);
  return (values, beside) => {
    meters.forEach(({ bar, number, other }, i) => {
      if (beside) other.textContent = inUnits(beside[i], i, true);
      bar.style.width = Number.isNaN(values[i]) ? "0" : `${100 * unitOf(values[i], i)}%`;
      number.textContent = inUnits(values[i], i);
    });
    place.dataset.frame = String(Number(place.dataset.frame ?? 0) + 1);
  };
}
