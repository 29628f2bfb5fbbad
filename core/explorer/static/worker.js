
/* Decodes and encodes beside the page, so that the page stays live: answers [id, name, inputs] with [id, values]. */

const networks = {};

function bytes(text) {
  const characters = atob(text);
  const result = new Uint8Array(characters.length);
  for (let i = 0; i < characters.length; i++) result[i] = characters.charCodeAt(i);
  return result.buffer;
}

self.onmessage = ({ data: [id, name, inputs] }) => {
  try {
    if (id === null) networks[name] = new Network(inputs, bytes(inputs.weights));
    else self.postMessage([id, networks[name].run(...inputs), null]);
  } catch (error) {
    self.postMessage([id, null, String(error)]);
  }
};
