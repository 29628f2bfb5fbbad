
/* The page: one latent, and everything that shows or moves it. */

const $ = (id) => document.getElementById(id);
const SIZE = product(SCENE.latent.shape);
const CODES = parted(unpacked(SCENE.codes), SIZE);
const STRIP = 9;
const SHOWN_AT_FIRST = 12;
const MAGENTA = [255, 0, 200];
const DIVERGING = [[33, 102, 172], [146, 197, 222], [238, 238, 238], [244, 165, 130], [178, 24, 43]];
const PALETTE = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8833", "#7766bb", "#44aa99", "#997755"];

const state = {
  z: CODES[SCENE.start],
  given: SCENE.given ? SCENE.given[SCENE.start] : SCENE.conditions.map(() => 0),
  a: null,
  b: null,
};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function nameOf(dimension) {
  const index = [];
  let rest = dimension;
  for (const n of [...SCENE.latent.shape].reverse()) {
    index.unshift(rest % n);
    rest = Math.floor(rest / n);
  }
  return `z${index.join(",")}`;
}

/* Supports: a latent that was moved is put back to where latents lie. */

const TABLES = (SCENE.latent.book?.tables ?? []).map(unpacked);
const PLACES = (SCENE.latent.book?.places ?? []).map(({ name, values, table }) => ({ name, values, codes: parted(TABLES[table], values.length) }));

/** The number of the code that is nearest to what a latent has in a place. */
function codeIn(z, { values, codes }) {
  const away = codes.map((code) => code.reduce((sum, v, i) => sum + (v - z[values[i]]) ** 2, 0));
  return away.indexOf(Math.min(...away));
}

function setCode(z, { values, codes }, k) {
  values.forEach((at, i) => (z[at] = codes[k][i]));
}

/** `held` is the place within the piece of a value that is to stay as it is, or null. */
function project(piece, values, held) {
  const { kind, low = -Infinity, high = Infinity } = piece;
  const length = (skip) => Math.hypot(...values.filter((_, i) => i !== skip));
  if (kind === "interval") values.forEach((v, i) => (values[i] = Math.min(high, Math.max(low, v))));
  else if (kind === "bits") values.forEach((v, i) => (values[i] = v > 0.5 ? 1 : 0));
  else if (kind === "ball") {
    const shrink = Math.min(1, (0.999 * high) / length());
    values.forEach((v, i) => (values[i] = v * shrink));
  } else if (kind === "sphere") {
    if (held !== null) {
      values[held] = Math.min(1, Math.max(-1, values[held]));
      const rest = length(held);
      const wanted = Math.sqrt(1 - values[held] ** 2);
      if (rest > 1e-9) values.forEach((v, i) => i !== held && (values[i] = (v * wanted) / rest));
      else if (values.length > 1) values[held === 0 ? 1 : 0] = wanted;
    }
    const all = length();
    if (all > 1e-9) values.forEach((v, i) => (values[i] = v / all));
    else values[0] = 1;
  } else if (kind === "simplex") {
    values.forEach((v, i) => (values[i] = Math.min(1, Math.max(0, v))));
    const fixed = held === null ? 0 : values[held];
    const rest = values.reduce((sum, v, i) => sum + (i === held ? 0 : v), 0);
    const others = values.length - (held === null ? 0 : 1);
    values.forEach((v, i) => {
      if (i !== held) values[i] = rest > 1e-9 ? (v * (1 - fixed)) / rest : (1 - fixed) / others;
    });
  } else if (kind === "choice") {
    const best = values.indexOf(Math.max(...values));
    values.forEach((_, i) => (values[i] = i === best ? 1 : 0));
  }
}

function onSupport(z, held = null) {
  const result = Float64Array.from(z);
  for (const piece of SCENE.latent.pieces) {
    if (piece.kind === "free") continue;
    const part = Array.from(result.subarray(piece.start, piece.start + piece.size));
    project(piece, part, held !== null && held >= piece.start && held < piece.start + piece.size ? held - piece.start : null);
    result.set(part, piece.start);
  }
  const settled = Float32Array.from(result);
  for (const place of PLACES) setCode(settled, place, codeIn(settled, place));
  return settled;
}

/* Pictures: values as colours. */

const [LOW, HIGH] = [SCENE.data.low, SCENE.data.high];
const isTable = SCENE.data.shape.length === 1;
const frame = (() => {
  const shape = SCENE.data.shape;
  if (isTable) return { channels: 1, height: shape[0], width: 1 };
  const [height, width] = shape.slice(-2);
  return { channels: product(shape.slice(0, -2)), height, width };
})();
const unit = (value) => Math.min(1, Math.max(0, (value - LOW) / (HIGH - LOW)));

function diverging(part) {
  const at = part * (DIVERGING.length - 1);
  const below = Math.min(DIVERGING.length - 2, Math.floor(at));
  return DIVERGING[below].map((c, i) => Math.round(c + (DIVERGING[below + 1][i] - c) * (at - below)));
}

/** Draws an example on a canvas: grey, colours, or its channels side by side; of a table a strip. */
function paint(canvas, values) {
  const { channels, height, width } = frame;
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
      else if (isTable) colour = diverging(unit(parts[0]));
      else if (colour.length === 1) colour = [colour[0], colour[0], colour[0]];
      put(left + (i % width), top + Math.floor(i / width), colour);
    }
  }
  context.putImageData(image, 0, 0);
  const parent = canvas.parentElement;
  if (parent) parent.dataset.frame = String(Number(parent.dataset.frame ?? 0) + 1);
}

/** Something in a place of the page that shows an example: a picture, or a list of bars. */
function shower(place, label, bars) {
  if (!(isTable && bars)) {
    const canvas = element("canvas", { role: "img", "aria-label": label, class: isTable ? "cells" : "pixels" });
    place.append(canvas);
    return (values) => paint(canvas, values);
  }
  const rows = SCENE.data.shape[0] > 400 ? 400 : SCENE.data.shape[0];
  const list = element("dl", { class: "bars", "aria-label": label });
  const meters = Array.from({ length: rows }, (_, i) => {
    const [bar, number] = [element("span"), element("output")];
    list.append(element("div", {}, element("dt", {}, `x${i}`), element("dd", {}, element("i", {}, bar), number)));
    return { bar, number };
  });
  place.append(list);
  return (values) => {
    meters.forEach(({ bar, number }, i) => {
      bar.style.width = `${100 * unit(values[i])}%`;
      number.textContent = Number(values[i]).toPrecision(3);
    });
    place.dataset.frame = String(Number(place.dataset.frame ?? 0) + 1);
  };
}

/* Moving: everything that shows the latent is given a new one. */

const showPicture = shower($("picture"), "Decoded picture", true);
const redraw = latestOnly(async (z, given) => {
  const begun = performance.now();
  const [values] = await backend.decode([z], given);
  showPicture(values);
  const took = performance.now() - begun;
  $("picture").dataset.milliseconds = took.toFixed(2);
  say(`decoded in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms`);
});

function moveTo(z, { held = null, given = state.given } = {}) {
  state.z = onSupport(z, held);
  if (given !== state.given) {
    state.given = given;
    showConditions();
    redrawStrip();
  }
  showSliders();
  showChoices();
  map.draw();
  redraw(state.z, state.given);
}

/* Sliders. */

const pieceOf = (d) => SCENE.latent.pieces.find((piece) => d >= piece.start && d < piece.start + piece.size);
const sliders = SCENE.latent.sliders
  .filter(({ dimension }) => !["choice", "bits", "code"].includes(pieceOf(dimension).kind))
  .map(({ dimension, low, high, activity }) => {
    const piece = pieceOf(dimension);
    const [from, to] = piece.kind === "simplex" ? [0, 1] : [Math.max(low, piece.low ?? -Infinity), Math.min(high, piece.high ?? Infinity)];
    const name = nameOf(dimension);
    const input = element("input", {
      type: "range", id: `slider-${dimension}`, min: from, max: to, step: (to - from) / 200, "aria-label": `${name}, activity ${activity.toPrecision(2)}`,
      oninput: () => moveTo(changed(state.z, dimension, Number(input.value)), { held: dimension }),
    });
    const output = element("output", { for: `slider-${dimension}` });
    const meter = element("span", { class: "activity", title: `${SCENE.latent.measure}: ${activity.toPrecision(3)}` }, element("i"));
    meter.firstChild.style.width = `${Math.max(2, (100 * activity) / Math.max(1e-12, SCENE.latent.sliders[0].activity))}%`;
    const row = element("div", { class: "slider" }, element("label", { for: `slider-${dimension}` }, name), meter, input, output);
    return { dimension, input, output, row };
  });

function changed(z, dimension, value) {
  const result = Float32Array.from(z);
  result[dimension] = value;
  return result;
}

function showSliders() {
  for (const { dimension, input, output } of sliders) {
    input.value = state.z[dimension];
    output.textContent = state.z[dimension].toFixed(2);
  }
}

let shown = SHOWN_AT_FIRST;
function showRows() {
  sliders.forEach(({ row }, i) => (row.hidden = i >= shown));
  $("more").hidden = shown >= sliders.length;
  $("more").textContent = `Show ${Math.min(SHOWN_AT_FIRST, sliders.length - shown)} more`;
}

/* Discrete latents: which class or code of each, or whether a bit is set. */

const choices = [];
for (const piece of SCENE.latent.pieces) {
  if (choices.length >= 64) break;
  if (piece.kind === "choice" || piece.kind === "simplex") {
    const alike = SCENE.latent.pieces.every(({ kind, size }) => kind === piece.kind && size === piece.size);
    const group = alike ? `z${piece.start / piece.size}` : `z${piece.start} to z${piece.start + piece.size - 1}`;
    const options = Array.from({ length: piece.size }, (_, i) => element("option", { value: i }, String(i)));
    const mixed = element("option", { value: "mixed", disabled: "" }, "mixed");
    const select = element("select", {
      onchange: () => {
        const z = Float32Array.from(state.z);
        for (let i = 0; i < piece.size; i++) z[piece.start + i] = i === Number(select.value) ? 1 : 0;
        moveTo(z);
      },
    }, ...(piece.kind === "simplex" ? [mixed] : []), ...options);
    choices.push({
      row: element("label", {}, `${group} `, select),
      show: () => {
        const part = Array.from(state.z.subarray(piece.start, piece.start + piece.size));
        const best = part.indexOf(Math.max(...part));
        select.value = piece.kind === "choice" || part[best] > 0.99 ? best : "mixed";
        mixed.textContent = `mostly ${best} (${part[best].toFixed(2)})`;
      },
    });
  } else if (piece.kind === "bits") {
    for (let d = piece.start; d < piece.start + Math.min(64, piece.size); d++) {
      const box = element("input", { type: "checkbox", onchange: () => moveTo(changed(state.z, d, box.checked ? 1 : 0)) });
      choices.push({ row: element("label", {}, box, nameOf(d)), show: () => (box.checked = state.z[d] > 0.5) });
    }
  }
}
for (const place of PLACES.slice(0, 64)) {
  const select = element("select", {
    onchange: () => {
      const z = Float32Array.from(state.z);
      setCode(z, place, Number(select.value));
      moveTo(z);
    },
  }, ...place.codes.map((_, k) => element("option", { value: k }, String(k))));
  choices.push({ row: element("label", {}, `${place.name} `, select), show: () => (select.value = codeIn(state.z, place)) });
}
const showChoices = () => choices.forEach(({ show }) => show());

/* Conditions. */

const conditionSelects = SCENE.conditions.map(({ name, values }, c) => {
  const select = element("select", {
    id: `condition-${c}`,
    onchange: () => moveTo(state.z, { given: state.given.map((old, i) => (i === c ? Number(select.value) : old)) }),
  }, ...values.map((value, i) => element("option", { value: i }, value)));
  $("conditions").append(element("label", {}, `${name} `, select));
  return select;
});
function showConditions() {
  conditionSelects.forEach((select, c) => (select.value = state.given[c]));
  $("draw").hidden = !backend.canDraw(state.given);
}

/* The map: a plane through the latent space, and the codes seen along it. */

