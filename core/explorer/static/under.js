
/* What decodes to what, under the map: a tile for each place of the plane through its origin. */

const under = (() => {
  const box = $("tiles");
  if (isTable) {
    $("tiles-label").hidden = true;
    return { refresh() {}, paint() {} };
  }
  const EDGE = 44;
  const AT_ONCE = SCENE.networks ? 4 : 16;
  // Of two numbers, the plane is all there is; of more, it is one of many.
  box.checked = SIZE <= 2;
  let tiles = [];
  let turn = 0;

  async function refresh() {
    const mine = ++turn;
    tiles = [];
    map.draw();
    if (!box.checked) return;
    const cells = map.cells(EDGE, frame.height / frame.width);
    while (cells.length) {
      const some = cells.splice(0, AT_ONCE);
      let decoded;
      try {
        decoded = await backend.decode(some.map(({ z }) => onSupport(z)), state.given);
      } catch (error) {
        say(error.message);
        return;
      }
      if (mine !== turn) return;
      decoded.forEach((values, i) => {
        const canvas = document.createElement("canvas");
        paint(canvas, values);
        tiles.push({ ...some[i], canvas });
      });
      map.draw();
      $("map-box").dataset.tiles = String(tiles.length);
      // What the visitor asks for comes in between.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  function draw(context) {
    context.imageSmoothingEnabled = Boolean(SCENE.data.enlarged);
    for (const { x, y, width, height, canvas } of tiles) context.drawImage(canvas, x, y, width, height);
    return tiles.length > 0;
  }
  box.addEventListener("change", refresh);
  return { refresh, paint: draw };
})();
