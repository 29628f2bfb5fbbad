/* The start. */

async function newSample() {
  try {
    moveTo(await backend.draw(state.given));
  } catch (error) {
    say(error.message);
  }
}

function reset() {
  play(false);
  own.clear();
  moveTo(CODES[SCENE.start], { given: SCENE.given ? SCENE.given[SCENE.start] : state.given });
}

$("parts").textContent = Object.entries(SCENE.parts).map(([kind, name]) => `${kind} ${name}`).join(" · ");
$("enlarged").textContent = SCENE.data.enlarged;
$("measure").textContent = `by ${SCENE.latent.measure}`;
$("where").textContent = SCENE.networks
  ? `This page decodes by itself and sends nothing anywhere.${SCENE.examples ? ` It holds ${SCENE.examples.toLocaleString("en")} examples of the data.` : ""}`
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
night.addEventListener("change", () => {
  showLegend();
  map.draw();
});

const other = CODES.findIndex((_, i) => SCENE.colours[0] && SCENE.colours[0].of[i] !== SCENE.colours[0].of[SCENE.start]);
state.a = onSupport(CODES[SCENE.start]);
state.b = onSupport(CODES[other < 0 ? CODES.length - 1 : other]);
showRows();
showLegend();
showConditions();
map.choose(0);
moveTo(state.z);
redrawStrip();
