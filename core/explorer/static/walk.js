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
  const decoded = await backend.decode(points, state.given);
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
    const z = await backend.encode(values, state.given);
    moveTo(z);
    const [again] = await backend.decode([state.z], state.given);
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

