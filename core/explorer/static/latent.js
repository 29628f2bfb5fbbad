
/* The page: one latent, and everything that shows or moves it. */

const $ = (id) => document.getElementById(id);
const SIZE = product(SCENE.latent.shape);
const CODES = parted(unpacked(SCENE.codes), SIZE);
const STRIP = 9;
const SHOWN_AT_FIRST = 12;
const MAGENTA = [255, 0, 200];
const DIVERGING = [[33, 102, 172], [146, 197, 222], [238, 238, 238], [244, 165, 130], [178, 24, 43]];
const night = matchMedia("(prefers-color-scheme: dark)");
const palette = () => (night.matches ? SCENE.palette.dark : SCENE.palette.light);

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

/** The group that a latent is drawn in, where there are several. */
function groupOf(dimension) {
  if (SCENE.latent.groups.length < 2) return "";
  let end = 0;
  return `group ${SCENE.latent.groups.findIndex((size) => dimension < (end += size))}`;
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

