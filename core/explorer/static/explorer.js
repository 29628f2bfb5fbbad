
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
  told: SCENE.told ? SCENE.told[SCENE.start] : SCENE.conditions.map(() => 0),
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
  return Float32Array.from(result);
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

/* Moving: everything that shows the latent is told of a new one. */

const showPicture = shower($("picture"), "Decoded picture", true);
const redraw = latestOnly(async (z, told) => {
  const begun = performance.now();
  const [values] = await backend.decode([z], told);
  showPicture(values);
  const took = performance.now() - begun;
  $("picture").dataset.milliseconds = took.toFixed(2);
  say(`decoded in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms`);
});

function moveTo(z, { held = null, told = state.told } = {}) {
  state.z = onSupport(z, held);
  if (told !== state.told) {
    state.told = told;
    showConditions();
    redrawStrip();
  }
  showSliders();
  showChoices();
  map.draw();
  redraw(state.z, state.told);
}

/* Sliders. */

const pieceOf = (d) => SCENE.latent.pieces.find((piece) => d >= piece.start && d < piece.start + piece.size);
const sliders = SCENE.latent.sliders
  .filter(({ dimension }) => !["choice", "bits"].includes(pieceOf(dimension).kind))
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

/* Discrete latents: which class of each, or whether a bit is set. */

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
const showChoices = () => choices.forEach(({ show }) => show());

/* Conditions. */

const conditionSelects = SCENE.conditions.map(({ name, values }, c) => {
  const select = element("select", {
    id: `condition-${c}`,
    onchange: () => moveTo(state.z, { told: state.told.map((old, i) => (i === c ? Number(select.value) : old)) }),
  }, ...values.map((value, i) => element("option", { value: i }, value)));
  $("conditions").append(element("label", {}, `${name} `, select));
  return select;
});
function showConditions() {
  conditionSelects.forEach((select, c) => (select.value = state.told[c]));
  $("draw").hidden = !backend.canDraw(state.told);
}

/* The map: a plane through the latent space, and the codes seen along it. */

const map = (() => {
  const canvas = $("map");
  const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
  let plane, points, box;

  function project2(z) {
    const from = z.map((v, i) => v - plane.origin[i]);
    return plane.axes.map((axis) => dot(from, axis));
  }

  function choose(number) {
    const { origin, axes, labels } = SCENE.maps[number];
    plane = { origin: unpacked(origin), axes: axes.map(unpacked), labels };
    points = CODES.map(project2);
    const ends = [0, 1].map((i) => {
      const values = points.map((p) => p[i]).sort((a, b) => a - b);
      const [low, high] = [values[0], values[values.length - 1]];
      const margin = 0.08 * (high - low) || 1;
      return [low - margin, high + margin];
    });
    const [wide, high] = ends.map(([a, b]) => b - a);
    // One scale for both directions, unless that would make the map a thin line.
    if (Math.max(wide, high) < 4 * Math.min(wide, high)) {
      const extra = Math.abs(wide - high) / 2;
      const narrow = wide < high ? 0 : 1;
      ends[narrow] = [ends[narrow][0] - extra, ends[narrow][1] + extra];
    }
    box = ends;
    draw();
  }

  const toScreen = (p) => {
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    return [((p[0] - box[0][0]) / (box[0][1] - box[0][0])) * w, h - ((p[1] - box[1][0]) / (box[1][1] - box[1][0])) * h];
  };
  const toPlane = ([x, y]) => {
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    return [box[0][0] + (x / w) * (box[0][1] - box[0][0]), box[1][0] + ((h - y) / h) * (box[1][1] - box[1][0])];
  };

  function colourOf(i) {
    const chosen = SCENE.colours[$("colour").selectedIndex];
    return chosen ? classColour(chosen.of[i], chosen.values.length) : PALETTE[0];
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      [canvas.width, canvas.height] = [Math.round(w * ratio), Math.round(h * ratio)];
    }
    const context = canvas.getContext("2d");
    const style = getComputedStyle(document.body);
    const [ink, paper, faint, accent] = ["--ink", "--panel", "--line", "--accent"].map((name) => style.getPropertyValue(name));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, w, h);
    context.strokeStyle = faint;
    context.lineWidth = 1;
    context.beginPath();
    const [zx, zy] = toScreen([0, 0]);
    if (SIZE <= 2 || plane.origin.every((v) => v === 0)) {
      context.moveTo(Math.round(zx) + 0.5, 0);
      context.lineTo(Math.round(zx) + 0.5, h);
      context.moveTo(0, Math.round(zy) + 0.5);
      context.lineTo(w, Math.round(zy) + 0.5);
    }
    context.stroke();
    context.globalAlpha = 0.75;
    points.forEach((p, i) => {
      const [x, y] = toScreen(p);
      context.fillStyle = colourOf(i);
      context.beginPath();
      context.arc(x, y, points.length > 300 ? 2.8 : 4, 0, 7);
      context.fill();
    });
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.font = "12px system-ui, sans-serif";
    context.fillText(plane.labels[0], w - context.measureText(plane.labels[0]).width - 8, h - 8);
    context.fillText(plane.labels[1], 8, 16);
    if (state.a && state.b) {
      const ends = [state.a, state.b].map((z) => toScreen(project2(z)));
      context.strokeStyle = ink;
      context.setLineDash([4, 4]);
      context.beginPath();
      context.moveTo(...ends[0]);
      context.lineTo(...ends[1]);
      context.stroke();
      context.setLineDash([]);
      ["A", "B"].forEach((letter, i) => {
        const [x, y] = ends[i];
        context.fillStyle = paper;
        context.strokeStyle = ink;
        context.lineWidth = 1.5;
        context.beginPath();
        context.arc(x, y, 9, 0, 7);
        context.fill();
        context.stroke();
        context.fillStyle = ink;
        context.textAlign = "center";
        context.fillText(letter, x, y + 4);
        context.textAlign = "left";
      });
    }
    const [x, y] = toScreen(project2(state.z));
    for (const [radius, width, colour] of [[12, 6, paper], [12, 3, accent], [1.5, 2, accent]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
      context.stroke();
    }
  }

  function nearest(x, y, reach) {
    let [best, distance] = [-1, reach];
    points.forEach((p, i) => {
      const [px, py] = toScreen(p);
      const d = Math.hypot(px - x, py - y);
      if (d < distance) [best, distance] = [i, d];
    });
    return best;
  }

  function goTo(position) {
    const here = project2(state.z);
    const z = Float32Array.from(state.z);
    plane.axes.forEach((axis, i) => axis.forEach((v, d) => (z[d] += (position[i] - here[i]) * v)));
    moveTo(z);
  }

  function take(i) {
    moveTo(CODES[i], { told: SCENE.told ? SCENE.told[i] : state.told });
  }

  function describe(i) {
    const known = SCENE.colours.slice(0, 3).map(({ name, values, of }) => `${name} ${values[of[i]] ?? of[i]}`);
    return known.length ? known.join(", ") : `example ${i}`;
  }

  function showTip(i) {
    $("tip").hidden = i < 0;
    if (i < 0) return;
    $("tip").textContent = describe(i);
    const [x, y] = toScreen(points[i]);
    $("tip").style.left = `${Math.max(4, Math.min(x + 14, canvas.clientWidth - $("tip").offsetWidth - 4))}px`;
    $("tip").style.top = `${y > 40 ? y - 36 : y + 16}px`;
  }

  const place = (event) => [event.offsetX, event.offsetY];
  let pressed = null;
  canvas.addEventListener("pointerdown", (event) => {
    pressed = { at: place(event), moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (pressed) {
      pressed.moved = pressed.moved || Math.hypot(x - pressed.at[0], y - pressed.at[1]) > 4;
      if (pressed.moved) goTo(toPlane([x, y]));
      showTip(-1);
      return;
    }
    const i = nearest(x, y, 10);
    showTip(i);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (pressed && !pressed.moved) {
      const i = nearest(...place(event), 6);
      if (i >= 0) take(i);
      else goTo(toPlane(place(event)));
    }
    pressed = null;
  });
  canvas.addEventListener("pointercancel", () => (pressed = null));
  canvas.addEventListener("pointerleave", () => showTip(-1));
  canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.1 : 0.02;
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (direction) {
      showTip(-1);
      const here = project2(state.z);
      goTo(here.map((v, i) => v + direction[i] * step * (box[i][1] - box[i][0])));
      event.preventDefault();
    } else if (event.key === "Enter") {
      const i = nearest(...toScreen(project2(state.z)), Infinity);
      take(i);
      showTip(i);
      event.preventDefault();
    }
  });
  new ResizeObserver(() => draw()).observe(canvas);
  return { choose, draw };
})();

function classColour(i, total) {
  if (total <= PALETTE.length) return PALETTE[i];
  return total > 24 ? `hsl(${260 - (230 * i) / (total - 1)} 65% 50%)` : `hsl(${(i * 137.5) % 360} 60% 50%)`;
}

function showLegend() {
  const chosen = SCENE.colours[$("colour").selectedIndex];
  $("legend").replaceChildren();
  if (!chosen) return;
  const values = chosen.values.length <= 24 ? chosen.values.map((_, i) => i) : [0, chosen.values.length - 1];
  for (const i of values) {
    const swatch = element("i");
    swatch.style.background = classColour(i, chosen.values.length);
    $("legend").append(element("li", {}, swatch, chosen.values[i]));
  }
}

/* Interpolation. */

function between(a, b, t) {
  const straight = a.map((v, i) => v * (1 - t) + b[i] * t);
  if ($("path").value === "linear" || SIZE === 1) return straight;
  const [long, other] = [Math.hypot(...a), Math.hypot(...b)];
  if (long < 1e-9 || other < 1e-9) return straight;
  const cosine = Math.min(1, Math.max(-1, a.reduce((sum, v, i) => sum + (v / long) * (b[i] / other), 0)));
  const angle = Math.acos(cosine);
  if (Math.sin(angle) < 1e-4) return straight;
  const length = long * (1 - t) + other * t;
  const [first, second] = [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((s) => s / Math.sin(angle));
  return a.map((v, i) => length * ((first * v) / long + (second * b[i]) / other));
}

const strip = Array.from({ length: STRIP }, (_, i) => {
  const t = i / (STRIP - 1);
  const name = t === 0 ? "A" : t === 1 ? "B" : `${t * 100} % of the way from A to B`;
  const canvas = element("canvas", { class: isTable ? "cells" : "pixels" });
  const button = element("button", { type: "button", class: "step", "aria-label": name, onclick: () => walkTo(t) }, canvas);
  $("strip").append(button);
  return { t, canvas };
});

const decodeStrip = latestOnly(async () => {
  const points = strip.map(({ t }) => onSupport(between(state.a, state.b, t)));
  const decoded = await backend.decode(points, state.told);
  decoded.forEach((values, i) => paint(strip[i].canvas, values));
  $("strip").dataset.frame = String(Number($("strip").dataset.frame ?? 0) + 1);
});
const redrawStrip = () => {
  if (state.a && state.b) decodeStrip();
};

function walkTo(t) {
  $("walk").value = t;
  moveTo(between(state.a, state.b, t));
}

function setEnd(which) {
  state[which] = state.z;
  $("walk").value = which === "a" ? 0 : 1;
  map.draw();
  redrawStrip();
}

let playing = false;
function play(on) {
  playing = on;
  $("play").setAttribute("aria-pressed", String(on));
  $("play").textContent = on ? "Stop" : "Play";
  if (!on) return;
  let begun = null;
  const from = Number($("walk").value);
  const step = (now) => {
    if (!playing) return;
    begun ??= now;
    // There and back again, four seconds each way.
    const phase = (from + (now - begun) / 4000) % 2;
    walkTo(phase > 1 ? 2 - phase : phase);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

/* One's own image. */

const images = (() => {
  const { channels, height, width } = frame;
  const possible = !isTable && (channels === 1 || channels === 3) && SCENE.data.bounded;
  const reason = !backend.canEncode
    ? "This page has no encoder: start genmod explore to encode images."
    : "The examples of this model are no images that a picture file could hold.";
  if (!possible || !backend.canEncode) {
    $("encode").hidden = true;
    $("encode-note").textContent = reason;
    if (!possible) $("encode-panel").hidden = true;
    return;
  }
  const pad = $("pad");
  const ink = pad.getContext("2d", { willReadFrequently: true });
  const [paper, pen] = SCENE.data.dark ? ["#000", "#fff"] : ["#fff", "#000"];
  const showSeen = shower($("seen"), "The picture as the model is given it", false);
  const showAgain = shower($("again"), "Its reconstruction", false);
  let source = null;
  $("centre").checked = channels === 1;

  const encode = latestOnly(async () => {
    if (source === null) return;
    const values = prepared(source);
    showSeen(values);
    const z = await backend.encode(values, state.told);
    moveTo(z);
    const [again] = await backend.decode([state.z], state.told);
    showAgain(again);
  });

  /** The square or rectangle of a picture that has the shape in it, with room around as digits have it. */
  function shapeIn(picture) {
    const small = document.createElement("canvas");
    const scale = Math.min(1, 400 / Math.max(picture.width, picture.height));
    [small.width, small.height] = [picture.width, picture.height].map((n) => Math.max(1, Math.round(n * scale)));
    const context = small.getContext("2d");
    context.fillStyle = paper;
    context.fillRect(0, 0, small.width, small.height);
    context.drawImage(picture, 0, 0, small.width, small.height);
    const { data } = context.getImageData(0, 0, small.width, small.height);
    const light = (i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 765;
    const ground = light(0) > 0.5 ? 1 : 0;
    let [left, top, right, bottom, mass, mx, my] = [small.width, small.height, -1, -1, 0, 0, 0];
    for (let y = 0; y < small.height; y++) {
      for (let x = 0; x < small.width; x++) {
        const strength = Math.abs(light(y * small.width + x) - ground);
        if (strength < 0.2) continue;
        [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
        mass += strength;
        mx += strength * (x + 0.5);
        my += strength * (y + 0.5);
      }
    }
    if (mass === 0) return null;
    // As MNIST was made: the shape fills 20 of 28 pixels, its centre of mass is in the middle.
    const side = (Math.max(right - left, bottom - top) + 1) * 1.4;
    return { x: (mx / mass - side / 2) / scale, y: (my / mass - side / 2) / scale, width: side / scale, height: side / scale };
  }

  function prepared(picture) {
    const small = document.createElement("canvas");
    [small.width, small.height] = [width, height];
    const context = small.getContext("2d");
    let cut = $("centre").checked ? shapeIn(picture) : null;
    if (!cut) {
      const scale = Math.min(picture.width / width, picture.height / height);
      const [w, h] = [width * scale, height * scale];
      cut = { x: (picture.width - w) / 2, y: (picture.height - h) / 2, width: w, height: h };
    }
    // What lies beyond the edge has the colour of the corner.
    const corner = document.createElement("canvas");
    [corner.width, corner.height] = [1, 1];
    const one = corner.getContext("2d");
    one.fillStyle = paper;
    one.fillRect(0, 0, 1, 1);
    one.drawImage(picture, 0, 0, 1, 1, 0, 0, 1, 1);
    const [r, g, b] = one.getImageData(0, 0, 1, 1).data;
    context.fillStyle = `rgb(${r}, ${g}, ${b})`;
    context.fillRect(0, 0, width, height);
    // Halving first: a browser that takes single pixels out of a large picture would lose thin lines.
    let [from, cutNow] = [picture, cut];
    while (cutNow.width > 2 * width && cutNow.height > 2 * height) {
      const half = document.createElement("canvas");
      [half.width, half.height] = [Math.ceil(cutNow.width / 2), Math.ceil(cutNow.height / 2)];
      const halved = half.getContext("2d");
      halved.fillStyle = context.fillStyle;
      halved.fillRect(0, 0, half.width, half.height);
      halved.imageSmoothingQuality = "high";
      halved.drawImage(from, -cutNow.x / 2, -cutNow.y / 2, from.width / 2, from.height / 2);
      [from, cutNow] = [half, { x: 0, y: 0, width: cutNow.width / 2, height: cutNow.height / 2 }];
    }
    context.imageSmoothingQuality = "high";
    const [sx, sy] = [width / cutNow.width, height / cutNow.height];
    context.drawImage(from, -cutNow.x * sx, -cutNow.y * sy, from.width * sx, from.height * sy);
    const { data } = context.getImageData(0, 0, width, height);
    const values = new Float32Array(channels * height * width);
    const invert = $("invert").checked;
    for (let i = 0; i < height * width; i++) {
      const colour = [data[4 * i], data[4 * i + 1], data[4 * i + 2]].map((v) => (invert ? 255 - v : v) / 255);
      const parts = channels === 3 ? colour : [0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]];
      parts.forEach((v, c) => (values[c * height * width + i] = LOW + v * (HIGH - LOW)));
    }
    return values;
  }

  function clear() {
    ink.fillStyle = paper;
    ink.fillRect(0, 0, pad.width, pad.height);
    source = null;
  }

  let stroke = null;
  const at = (event) => [event.offsetX * (pad.width / pad.clientWidth), event.offsetY * (pad.height / pad.clientHeight)];
  function line(from, to) {
    ink.strokeStyle = pen;
    ink.lineWidth = pad.width / 13;
    ink.lineCap = ink.lineJoin = "round";
    ink.beginPath();
    ink.moveTo(...from);
    ink.lineTo(...to);
    ink.stroke();
    source = pad;
    $("invert").checked = false;
    encode();
  }
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    stroke = at(event);
    line(stroke, stroke);
  });
  pad.addEventListener("pointermove", (event) => {
    if (stroke) line(stroke, (stroke = at(event)));
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => (stroke = null));
  $("clear").addEventListener("click", clear);
  for (const id of ["centre", "invert"]) $(id).addEventListener("change", () => encode());

  async function open(file) {
    if (!file) return;
    try {
      source = await createImageBitmap(file);
    } catch {
      say(`${file.name} is no picture that this browser can read`);
      return;
    }
    encode();
  }
  $("file").addEventListener("change", () => open($("file").files[0]));
  // Anywhere on the page: a picture that misses its place would otherwise replace the page.
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
  window.addEventListener("dragleave", () => $("drop").classList.remove("over"));
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    open(event.dataTransfer.files[0]);
  });
  clear();
})();

/* The start. */

async function newSample() {
  try {
    moveTo(await backend.draw(state.told));
  } catch (error) {
    say(error.message);
  }
}

function reset() {
  play(false);
  moveTo(CODES[SCENE.start], { told: SCENE.told ? SCENE.told[SCENE.start] : state.told });
}

$("parts").textContent = Object.entries(SCENE.parts).map(([kind, name]) => `${kind} ${name}`).join(" · ");
$("measure").textContent = `by ${SCENE.latent.measure}`;
$("where").textContent = SCENE.networks
  ? "This page decodes by itself and sends nothing anywhere."
  : "This page talks to genmod on your machine only.";
SCENE.maps.forEach(({ name }, i) => $("plane").append(element("option", { value: i }, name)));
$("plane-label").hidden = SCENE.maps.length < 2;
SCENE.colours.forEach(({ name }, i) => $("colour").append(element("option", { value: i }, name)));
$("colour-label").hidden = SCENE.colours.length < 2;
$("sliders").append(...sliders.map(({ row }) => row));
$("choices").append(...choices.map(({ row }) => row));
if (SCENE.latent.pieces.some(({ kind }) => kind === "sphere")) $("path").value = "spherical";

$("plane").addEventListener("change", () => map.choose(Number($("plane").value)));
$("colour").addEventListener("change", () => {
  showLegend();
  map.draw();
});
$("more").addEventListener("click", () => {
  shown += SHOWN_AT_FIRST;
  showRows();
});
$("draw").addEventListener("click", newSample);
$("reset").addEventListener("click", reset);
$("set-a").addEventListener("click", () => setEnd("a"));
$("set-b").addEventListener("click", () => setEnd("b"));
$("path").addEventListener("change", redrawStrip);
$("play").addEventListener("click", () => play(!playing));
$("walk").addEventListener("input", () => {
  play(false);
  walkTo(Number($("walk").value));
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
  const action = { n: newSample, r: reset, a: () => setEnd("a"), b: () => setEnd("b") }[event.key.toLowerCase()];
  if (action && !(event.key.toLowerCase() === "n" && $("draw").hidden)) action();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map.draw());

const other = CODES.findIndex((_, i) => SCENE.colours[0] && SCENE.colours[0].of[i] !== SCENE.colours[0].of[SCENE.start]);
state.a = onSupport(CODES[SCENE.start]);
state.b = onSupport(CODES[other < 0 ? CODES.length - 1 : other]);
showRows();
showLegend();
showConditions();
map.choose(0);
moveTo(state.z);
redrawStrip();
