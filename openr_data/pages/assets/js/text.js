// Text of a model or a file, with its mathematics drawn as MathML (by Temml). What cannot be read stays as it was written.

import { el } from "./dom.js";

const OPENING = /\\\[|\\\(|\$\$|\$|\\begin\{([a-zA-Z]+\*?)\}|\\boxed(?=\{)/g;
const CLOSING = { "\\[": "\\]", "\\(": "\\)", $$: "$$" };
const LONGEST_FORMULA = 4000;
const LONGEST_TEXT = 50000;
const MOST_FORMULAS = 500;
const ENVIRONMENTS = /^(align|aligned|alignat|gather|gathered|equation|multline|cases|array|split|[pbvBV]?matrix)\*?$/;
// These reach outside of the formula, or need what the page does not load.
const REFUSED = /\\(cancelto|label|ref|eqref|href|url|includegraphics|class|id|style|data)\b/;
const ATTRIBUTES = ["id", "href", "src", "xlink:href"];

let raw = false;

export function showRaw(value) {
  raw = value;
}

// An element with the text; lines are kept.
export function prose(text, className = "prose") {
  const box = el("div", { class: className, dir: "auto" });
  if (raw || text.length > LONGEST_TEXT) box.append(text);
  else draw(box, segments(text));
  return box;
}

// A formula on lines of its own brings its own space: line breaks beside it go.
function draw(box, parts) {
  parts.forEach(([kind, source, body], at) => {
    if (kind !== "text") return box.append(formula(kind, source, body));
    const said = source.replace(/\\([$%])/g, "$1"); // so LaTeX writes money and percents outside of formulas too
    const left = parts[at - 1]?.[0] === "block" ? said.replace(/^[ \t]*\n\s*/, "") : said;
    return box.append(parts[at + 1]?.[0] === "block" ? withoutLastBreak(left) : left);
  });
}

function withoutLastBreak(text) {
  const kept = text.trimEnd();
  return text.includes("\n", kept.length) ? kept : text;
}

// An answer alone: mathematics without delimiters.
export function answer(text) {
  if (raw || /[$]|\\[[(]/.test(text) || !/[\\^_]/.test(text)) return prose(text, "prose inline");
  return el("span", { class: "prose inline" }, formula("inline", text, text));
}

// The text as (kind, source, formula): kind is text, inline or block, and the sources in their order are the text again.
export function segments(text) {
  const found = [];
  const missing = new Set(); // what closes nothing more in this text: it is looked for once
  let left = MOST_FORMULAS;
  let done = 0;
  const scan = new RegExp(OPENING);
  for (let match = scan.exec(text); match && left; match = scan.exec(text)) {
    const part = escaped(text, match.index) ? null : closed(text, match, missing);
    if (!part) continue;
    if (match.index > done) found.push(["text", text.slice(done, match.index)]);
    found.push([part.kind, text.slice(match.index, part.end), part.body]);
    left -= 1;
    done = part.end;
    scan.lastIndex = done;
  }
  if (done < text.length) found.push(["text", text.slice(done)]);
  return found;
}

function escaped(text, index) {
  let backslashes = 0;
  while (text[index - 1 - backslashes] === "\\") backslashes += 1;
  return backslashes % 2 === 1;
}

// Where a formula that begins at `match` ends, or null where it does not.
function closed(text, match, missing) {
  const [opening, environment] = match;
  const start = match.index + opening.length;
  if (opening === "\\boxed") return boxed(text, match.index, start);
  if (environment !== undefined) return enclosed(text, match.index, start, environment, missing);
  if (opening === "$") return dollars(text, start);
  const end = ending(text, CLOSING[opening], start, missing);
  if (end < 0) return null;
  const kind = opening === "\\(" ? "inline" : "block";
  return { kind, body: text.slice(start, end), end: end + 2 };
}

// As in Pandoc: no space inside the dollars, no digit behind them, no empty line between. $5 and $6 are money.
function dollars(text, start) {
  let end = start;
  do end = text.indexOf("$", end + 1);
  while (end > 0 && escaped(text, end));
  if (end < 0 || /\s/.test(text[start]) || /\s/.test(text[end - 1]) || /\d/.test(text[end + 1] || "")) return null;
  const body = text.slice(start, end);
  return /\n\s*\n/.test(body) ? null : { kind: "inline", body, end: end + 1 };
}

function ending(text, closing, start, missing) {
  if (missing.has(closing)) return -1;
  const end = text.indexOf(closing, start);
  if (end < 0) missing.add(closing);
  return end;
}

function enclosed(text, from, start, environment, missing) {
  const closing = `\\end{${environment}}`;
  const end = ENVIRONMENTS.test(environment) ? ending(text, closing, start, missing) : -1;
  return end < 0 ? null : { kind: "block", body: text.slice(from, end + closing.length), end: end + closing.length };
}

function boxed(text, from, start) {
  let depth = 0;
  for (let index = start; index < Math.min(text.length, start + LONGEST_FORMULA); index += 1) {
    if (text[index] === "\\") index += 1;
    else if (text[index] === "{") depth += 1;
    else if (text[index] === "}" && (depth -= 1) === 0) return { kind: "inline", body: text.slice(from, index + 1), end: index + 1 };
  }
  return null;
}

function formula(kind, source, body) {
  const box = el("span", { class: `formula ${kind}` });
  try {
    if (body.length > LONGEST_FORMULA || REFUSED.test(body)) throw new Error("not read");
    const options = { displayMode: kind === "block", throwOnError: true, macros: { "\\mbox": "\\text{#1}" }, maxExpand: 200, maxSize: [20, 400] };
    temml.render(body, box, options);
    withoutNames(box);
  } catch {
    box.className = "formula source";
    box.replaceChildren(source);
  }
  return box;
}

// A formula can neither be a link nor take the name of an element of the page.
function withoutNames(box) {
  for (const element of box.querySelectorAll("*")) for (const name of ATTRIBUTES) element.removeAttribute(name);
}
