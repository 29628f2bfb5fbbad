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
    under.refresh();
  }

  /** Places of the plane, those in the middle first: the corner and size of each on the screen, and the latent in its middle. */
  function cells(edge, shape) {
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    const across = Math.max(1, Math.round(w / edge));
    const width = w / across;
    const height = width * Math.min(4, Math.max(0.25, shape));
    const down = Math.ceil(h / height);
    const found = [];
    for (let i = 0; i < across; i++) {
      for (let j = 0; j < down; j++) {
        const [x, y] = [i * width, j * height + (h - down * height) / 2];
        const at = toPlane([x + width / 2, y + height / 2]);
        const z = Float32Array.from(plane.origin);
        plane.axes.forEach((axis, k) => axis.forEach((v, d) => (z[d] += at[k] * v)));
        found.push({ x, y, width, height, z, away: Math.hypot(x + width / 2 - w / 2, y + height / 2 - h / 2) });
      }
    }
    return found.sort((a, b) => a.away - b.away);
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
    return chosen ? classColour(chosen.of[i], chosen.values.length) : palette()[0];
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
    const tiled = under.paint(context);
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
    context.globalAlpha = tiled ? 1 : 0.8;
    context.strokeStyle = tiled ? "#fff" : paper;
    points.forEach((p, i) => {
      const [x, y] = toScreen(p);
      context.fillStyle = colourOf(i);
      context.beginPath();
      context.arc(x, y, points.length > 300 ? 2.8 : 4, 0, 7);
      context.fill();
      if (tiled) context.stroke();
    });
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.font = "12px system-ui, sans-serif";
    if (tiled) {
      // Over tiles of any brightness.
      context.strokeStyle = paper;
      context.lineWidth = 4;
      context.strokeText(plane.labels[0], w - context.measureText(plane.labels[0]).width - 8, h - 8);
      context.strokeText(plane.labels[1], 8, 16);
    }
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
    moveTo(CODES[i], { given: SCENE.given ? SCENE.given[i] : state.given });
  }

  const seen = examples && !isTable ? shower($("tip-picture"), "The example itself", false, examples.shape) : null;
  $("tip-picture").hidden = !seen;
  function showTip(i) {
    $("tip").hidden = i < 0;
    if (i < 0) return;
    $("tip-text").textContent = describe(i);
    if (seen) {
      $("tip-picture").hidden = i >= examples.count;
      if (i < examples.count) seen(examples.values(i));
    }
    const [x, y] = toScreen(points[i]);
    $("tip").style.left = `${Math.max(4, Math.min(x + 14, canvas.clientWidth - $("tip").offsetWidth - 4))}px`;
    const high = $("tip").offsetHeight;
    $("tip").style.top = `${y > high + 10 ? y - high - 8 : y + 16}px`;
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
  return { choose, draw, cells, take, onScreen: (i) => toScreen(points[i]) };
})();

function classColour(i, total) {
  if (total <= palette().length) return palette()[i];
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

