/* Moving: everything that shows the latent is given a new one. */

const showPicture = shower($("picture"), "Decoded picture", true);
const showNearest = examples && !isTable && shower($("nearest"), "Nearest example", false, examples.shape);
let nearestOne = null;
if (!examples) $("nearest-box").hidden = true;
else $("nearest-box").addEventListener("click", () => nearestOne !== null && map.take(nearestOne));
const redraw = latestOnly(async (z, given) => {
  const begun = performance.now();
  const [values] = await backend.decode([z], given);
  const [i, away] = examples ? examples.nearest(values) : [];
  showPicture(values, isTable && examples ? examples.values(i) : null);
  if (examples) {
    if (i !== nearestOne && !isTable) {
      showNearest(examples.values(i));
    }
    nearestOne = i;
    $("nearest-note").textContent = `${describe(i)}; ${Number(away.toPrecision(2))} of the range away`;
  }
  const took = performance.now() - begun;
  $("picture").dataset.milliseconds = took.toFixed(2);
  say(`decoded in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms`);
});

/** `drawn` tells that this is the code of one's own image. */
function moveTo(z, { held = null, given = state.given, drawn = false } = {}) {
  state.z = onSupport(z, held);
  own.follows(drawn);
  if (given !== state.given) {
    state.given = given;
    showConditions();
    redrawStrip();
    under.refresh();
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
    const row = element("div", { class: "slider" }, element("label", { for: `slider-${dimension}`, title: groupOf(dimension) || name }, name, groupOf(dimension) ? element("small", {}, ` ${groupOf(dimension)}`) : ""), meter, input, output);
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

/** Two for each condition: beside the picture, to see the same latent given another; and beside one's own image. */
function conditionSelects(place, changed) {
  return SCENE.conditions.map(({ name, values }, c) => {
    const select = element("select", {
      onchange: () => changed(state.given.map((old, i) => (i === c ? Number(select.value) : old))),
    }, ...values.map((value, i) => element("option", { value: i }, value)));
    $(place).append(element("label", {}, `${name} `, select));
    return select;
  });
}
const selects = [
  ...conditionSelects("conditions", (given) => moveTo(state.z, { given })),
  ...conditionSelects("own-conditions", (given) => own.given(given)),
];
function showConditions() {
  selects.forEach((select, i) => (select.value = state.given[i % state.given.length]));
  $("draw").hidden = !backend.canDraw(state.given);
}

