"use strict";

/* Where latents are decoded: by the server that sent the page, or in the page by itself. Both have
 * decode(latents, given) → a list of examples, encode(values, given) → a latent, draw(given) → a latent. */

const SCENE = JSON.parse(document.getElementById("scene").textContent);

function unpacked(text) {
  const characters = atob(text);
  const result = new Uint8Array(characters.length);
  for (let i = 0; i < characters.length; i++) result[i] = characters.charCodeAt(i);
  return new Float32Array(result.buffer);
}

const product = (shape) => shape.reduce((all, n) => all * n, 1);

function parted(values, size) {
  return Array.from({ length: values.length / size }, (_, i) => values.subarray(i * size, (i + 1) * size));
}

function serverBackend() {
  const token = new URLSearchParams(location.search).get("token") ?? "";

  async function ask(what, body) {
    let answer;
    try {
      answer = await fetch(`api/${what}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Genmod-Token": token },
        body: JSON.stringify(body),
      });
    } catch {
      throw new Error("genmod does not answer; is it still running?");
    }
    if (!answer.ok) {
      const { error } = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
      throw new Error(error);
    }
    return new Float32Array(await answer.arrayBuffer());
  }

  return {
    canEncode: true,
    canDraw: () => SCENE.drawable,
    decode: async (latents, given) =>
      parted(await ask("decode", { latents: latents.map((z) => Array.from(z)), given }), product(SCENE.data.shape)),
    encode: (values, given) => ask("encode", { values: Array.from(values), given }),
    draw: (given) => ask("draw", { given }),
  };
}

function ownBackend() {
  const code = document.getElementById("worker").textContent;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data: [id, values, error] }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(values);
  };
  worker.onerror = () => {
    for (const { reject } of waiting.values()) reject(new Error("this browser cannot run the model"));
    waiting.clear();
  };
  for (const [name, network] of Object.entries(SCENE.networks)) worker.postMessage([null, name, network]);

  const run = (name, ...inputs) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      worker.postMessage([last, name, inputs]);
    });
  const context = (given) =>
    SCENE.conditions.length === 0
      ? []
      : [SCENE.conditions.flatMap(({ values }, c) => values.map((_, i) => (i === given[c] ? 1 : 0)))];

  const draws = new Map();
  for (const [key, text] of Object.entries(SCENE.draws)) {
    draws.set(key, parted(unpacked(text), product(SCENE.latent.shape)));
  }
  const drawsFor = (given) => draws.get("") ?? draws.get(given.join(","));
  let next = 0;
  return {
    canEncode: "encode" in SCENE.networks,
    canDraw: (given) => drawsFor(given) !== undefined,
    decode: (latents, given) => Promise.all(latents.map((z) => run("decode", z, ...context(given)))),
    encode: (values, given) => run("encode", values, ...context(given)),
    draw: async (given) => {
      const found = drawsFor(given);
      return found[next++ % found.length];
    },
  };
}

const backend = SCENE.networks ? ownBackend() : serverBackend();

/** Calls `work` with the latest of what it is given, one at a time; whatever was overtaken is left out. */
function latestOnly(work) {
  let next = null;
  let busy = false;
  return async (...given) => {
    next = given;
    if (busy) return;
    busy = true;
    while (next !== null) {
      const now = next;
      next = null;
      try {
        await work(...now);
      } catch (error) {
        say(error.message);
      }
    }
    busy = false;
  };
}

function say(text) {
  document.getElementById("status").textContent = text;
}
