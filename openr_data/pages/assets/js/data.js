// The data inside the page: compressed blocks that are unpacked when they are needed.

const KEPT = 16;
const unpacked = new Map();

export async function readBlock(name) {
  if (unpacked.has(name)) {
    const known = unpacked.get(name);
    unpacked.delete(name);
    unpacked.set(name, known);
    return known;
  }
  const reading = readOnce(name);
  unpacked.set(name, reading);
  if (unpacked.size > KEPT) unpacked.delete(unpacked.keys().next().value);
  return reading;
}

// The same without keeping it, for whoever goes through everything once.
export async function readOnce(name) {
  let block = document.getElementById(name);
  if (!block && document.readyState === "loading") {
    await new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
    block = document.getElementById(name);
  }
  if (!block) throw new Error(`This file is not whole: its block "${name}" is missing.`);
  try {
    const stream = new Blob([bytes(block.textContent)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  } catch {
    throw new Error(`This file is not whole: its block "${name}" cannot be read.`);
  }
}

function bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const result = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) result[index] = binary.charCodeAt(index);
  return result;
}

// Texts of one problem: its question and all its solutions.
export async function textsOf(index, problem) {
  const [block, place] = index.problems.texts[problem];
  return (await readBlock(`texts-${block}`))[place];
}

// Measured prefixes of one problem, or null.
export async function treeOf(index, problem) {
  const where = index.problems.tree[problem];
  return where ? (await readBlock(`tree-${where[0]}`))[where[1]] : null;
}
