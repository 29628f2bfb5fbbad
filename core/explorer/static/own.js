
/* One's own image: drawn or dropped, given the form of the examples, encoded and decoded again. */

const own = (() => {
  const { channels, height, width } = frame;
  const possible = !isTable && (channels === 1 || channels === 3) && SCENE.data.bounded;
  if (!possible || !backend.canEncode) {
    $("encode").hidden = true;
    $("encode-note").textContent = backend.canEncode
      ? "The examples of this model are no images that a picture file could hold."
      : `This page has no encoder${SCENE.reason ? `, as ${SCENE.reason}` : ""}: start genmod explore to encode images.`;
    if (!possible) $("encode-panel").hidden = true;
    return { follows() {}, given: (given) => moveTo(state.z, { given }), clear() {} };
  }
  const pad = $("pad");
  const ink = pad.getContext("2d", { willReadFrequently: true });
  const facts = SCENE.data.shapes;
  const hex = (colour) => `#${colour.map((v) => Math.round(255 * v).toString(16).padStart(2, "0")).join("")}`;
  const three = (colour) => (colour.length === 3 ? colour : [colour[0], colour[0], colour[0]]);
  const paper = facts ? hex(three(facts.ground)) : SCENE.data.dark ? "#000000" : "#ffffff";
  const usual = facts ? hex(three(facts.pen)) : SCENE.data.dark ? "#ffffff" : "#000000";
  const showSeen = shower($("seen"), "The picture as the model is given it", false);
  const showAgain = shower($("again"), "Its reconstruction", false);
  $("pen").value = usual;
  $("pen-label").hidden = channels === 1;
  $("centre-label").hidden = !facts;

  /** What is encoded: `strokes` on the pad, or a `picture` that was dropped; and whether the page has moved on since. */
  let [strokes, picture, stale] = [[], null, false];
  const empty = () => picture === null && strokes.length === 0;

  function follows(drawn) {
    stale = !drawn && !empty();
    $("encode").classList.toggle("stale", stale);
  }

  const encode = latestOnly(async () => {
    if (empty()) return;
    const values = prepared();
    showSeen(values);
    $("pair").classList.remove("empty");
    const z = await backend.encode(values, state.given);
    if (empty()) return;
    moveTo(z, { drawn: true });
    const [again] = await backend.decode([state.z], state.given);
    if (!empty()) showAgain(again);
  });

  function given(wanted) {
    moveTo(state.z, { given: wanted, drawn: true });
    encode();
  }

  /* Reading pictures. */

  const blank = (w, h, colour) => {
    const made = document.createElement("canvas");
    [made.width, made.height] = [Math.max(1, Math.round(w)), Math.max(1, Math.round(h))];
    const context = made.getContext("2d", { willReadFrequently: true });
    context.fillStyle = colour;
    context.fillRect(0, 0, made.width, made.height);
    context.imageSmoothingQuality = "high";
    return [made, context];
  };

  /** Channels of the pixels of a canvas from 0 to 1, pixel by pixel. */
  function read(context, w, h) {
    const { data } = context.getImageData(0, 0, w, h);
    const invert = $("invert").checked;
    return Array.from({ length: w * h }, (_, i) => {
      const colour = [data[4 * i], data[4 * i + 1], data[4 * i + 2]].map((v) => (invert ? 255 - v : v) / 255);
      return channels === 3 ? colour : [0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]];
    });
  }

  /** The colour around: the middle one of those in the corners. */
  function groundOf(pixels, w, h) {
    const corners = [0, w - 1, (h - 1) * w, h * w - 1].map((i) => pixels[i]);
    return corners[0].map((_, c) => {
      const four = corners.map((corner) => corner[c]).sort((a, b) => a - b);
      return (four[1] + four[2]) / 2;
    });
  }
  const strength = (colour, ground) => Math.max(...colour.map((v, c) => Math.abs(v - ground[c])));

  /** Drawn lines, as wide in parts of what is drawn as those of the examples are. */
  function inked() {
    const all = strokes.flatMap(({ points }) => points);
    const [left, top] = [0, 1].map((k) => Math.min(...all.map((p) => p[k])));
    const [right, bottom] = [0, 1].map((k) => Math.max(...all.map((p) => p[k])));
    const extent = Math.max(right - left, bottom - top, 20);
    const line = (facts.stroke * extent) / (1 - facts.stroke);
    const scale = 300 / (extent + line);
    const [made, context] = blank((right - left + 3 * line) * scale, (bottom - top + 3 * line) * scale, paper);
    context.setTransform(scale, 0, 0, scale, (1.5 * line - left) * scale, (1.5 * line - top) * scale);
    for (const stroke of strokes) trace(context, stroke, line);
    return made;
  }

  function trace(context, { colour, points }, line) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points.length > 1 ? points.slice(1) : points) context.lineTo(...point);
    context.stroke();
  }

  /** The part of a picture that has its shape as large and where the examples have theirs; null if there is no shape. */
  function shapeIn(from) {
    const scale = Math.min(1, 400 / Math.max(from.width, from.height));
    const [small, context] = blank(from.width * scale, from.height * scale, paper);
    context.drawImage(from, 0, 0, small.width, small.height);
    const pixels = read(context, small.width, small.height);
    const ground = groundOf(pixels, small.width, small.height);
    const away = pixels.map((colour) => strength(colour, ground));
    const most = away.reduce((a, b) => Math.max(a, b), 0);
    if (most < 0.1) return null;
    let [left, top, right, bottom, mass, mx, my] = [small.width, small.height, -1, -1, 0, 0, 0];
    away.forEach((v, i) => {
      if (v < 0.3 * most) return;
      const [x, y] = [i % small.width, Math.floor(i / small.width)];
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
      mass += v;
      mx += v * (x + 0.5);
      my += v * (y + 0.5);
    });
    const [wide, high] = [right - left + 1, bottom - top + 1];
    // Pixels of this picture in one of the model's.
    const step = Math.max(wide / (width * facts.fill[0]), high / (height * facts.fill[1]));
    const [x, y] = facts.by === "mass" ? [mx / mass, my / mass] : [left + wide / 2, top + high / 2];
    const cut = { x: x - facts.centre[0] * width * step, y: y - facts.centre[1] * height * step, width: width * step, height: height * step };
    for (const side of Object.keys(cut)) cut[side] /= scale;
    return { cut, ground, most, area: (wide / step) * (high / step) };
  }

  /** A part of a picture in the size of the examples; what lies beyond its edges has the colour of its corner. */
  function resized(from, cut) {
    const [, one] = blank(1, 1, paper);
    one.drawImage(from, 0, 0, 1, 1, 0, 0, 1, 1);
    const [r, g, b] = one.getImageData(0, 0, 1, 1).data;
    const beyond = `rgb(${r}, ${g}, ${b})`;
    // Halving first: a browser that takes single pixels out of a large picture would lose thin lines.
    let [now, part] = [from, cut];
    while (part.width > 2 * width && part.height > 2 * height) {
      const [half, context] = blank(Math.ceil(part.width / 2), Math.ceil(part.height / 2), beyond);
      context.drawImage(now, -part.x / 2, -part.y / 2, now.width / 2, now.height / 2);
      [now, part] = [half, { x: 0, y: 0, width: part.width / 2, height: part.height / 2 }];
    }
    const [, context] = blank(width, height, beyond);
    const [sx, sy] = [width / part.width, height / part.height];
    context.drawImage(now, -part.x * sx, -part.y * sy, now.width * sx, now.height * sy);
    return read(context, width, height);
  }

  /** Shapes on the ground of the examples, as strong as theirs. */
  function matched(pixels, { ground, most, area }) {
    const apart = pixels.map((colour) => colour.map((v, c) => (strength(colour, ground) < 0.12 * most ? 0 : v - ground[c])));
    const strong = apart.map((colour) => Math.max(...colour.map(Math.abs)));
    const top = Math.max(1e-6, ...strong);
    const mean = (gain) => strong.reduce((sum, v) => sum + Math.min(facts.peak, v * gain), 0) / area;
    let [low, high] = [(0.7 * facts.peak) / top, (3 * facts.peak) / top];
    for (let i = 0; i < 20; i++) {
      const middle = (low + high) / 2;
      if (mean(middle) < facts.ink) low = middle;
      else high = middle;
    }
    // One's own colours stay what they are.
    const gain = channels === 3 ? 1 : low;
    return apart.map((colour) =>
      colour.map((v, c) => Math.min(1, Math.max(0, facts.ground[c] + Math.sign(v) * Math.min(channels === 3 ? 1 : facts.peak, Math.abs(v) * gain)))),
    );
  }

  function prepared() {
    const fit = facts && $("centre").checked;
    const from = picture ?? (fit ? inked() : pad);
    const found = fit ? shapeIn(from) : null;
    const step = Math.min(from.width / width, from.height / height);
    const whole = { x: (from.width - width * step) / 2, y: (from.height - height * step) / 2, width: width * step, height: height * step };
    let pixels = resized(from, found ? found.cut : whole);
    if (found) pixels = matched(pixels, found);
    const values = new Float32Array(channels * height * width);
    pixels.forEach((colour, i) => colour.forEach((v, c) => (values[c * height * width + i] = LOW + v * (HIGH - LOW))));
    return values;
  }

  /* The pad. */

  function wipe() {
    ink.fillStyle = paper;
    ink.fillRect(0, 0, pad.width, pad.height);
    [strokes, picture] = [[], null];
  }

  function clear() {
    wipe();
    $("pair").classList.add("empty");
    $("invert").checked = false;
    $("centre").checked = Boolean(facts);
    $("file").value = "";
    $("pen").value = usual;
    follows(true);
  }

  let drawing = false;
  const at = (event) => [event.offsetX * (pad.width / pad.clientWidth), event.offsetY * (pad.height / pad.clientHeight)];
  function extend(point) {
    const stroke = strokes[strokes.length - 1];
    stroke.points.push(point);
    trace(ink, { ...stroke, points: stroke.points.slice(-2) }, pad.width * (facts ? 0.75 * facts.stroke : 1 / 13));
    encode();
  }
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    // What was drawn before the page moved on is forgotten.
    if (stale || picture) {
      wipe();
      $("invert").checked = false;
    }
    follows(true);
    drawing = true;
    strokes.push({ colour: channels === 3 ? $("pen").value : usual, points: [] });
    extend(at(event));
  });
  pad.addEventListener("pointermove", (event) => drawing && extend(at(event)));
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => (drawing = false));
  $("clear").addEventListener("click", clear);
  for (const id of ["centre", "invert"]) $(id).addEventListener("change", () => encode());

  async function open(file) {
    if (!file) return;
    let opened;
    try {
      opened = await createImageBitmap(file);
    } catch {
      say(`${file.name} is no picture that this browser can read`);
      return;
    }
    wipe();
    picture = opened;
    const scale = Math.min(pad.width / opened.width, pad.height / opened.height);
    const [w, h] = [opened.width * scale, opened.height * scale];
    ink.drawImage(opened, (pad.width - w) / 2, (pad.height - h) / 2, w, h);
    $("invert").checked = false;
    if (facts && channels === 1) {
      // Black on white, where the examples are white on black, is turned round.
      const [, context] = blank(64, 64, paper);
      context.drawImage(opened, 0, 0, 64, 64);
      $("invert").checked = Math.abs(groundOf(read(context, 64, 64), 64, 64)[0] - facts.ground[0]) > 0.5;
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
  return { follows, given, clear };
})();
