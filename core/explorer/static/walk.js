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
  const canvas = element("canvas", { class: PIXELS });
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

