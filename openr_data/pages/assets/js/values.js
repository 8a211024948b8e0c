// What a step value means, and how it looks: a colour, a bar and a number, never a colour alone.

import { el, fixed, hiddenText, svg } from "./dom.js";

export const NO_ERROR = -1;
const SIGNED = new Set(["advantage", "rating"]);
const Z = 1.96;

export const ESTIMATORS = {
  __proto__: null,
  mean: "share of right rollouts, of a fixed number",
  stopped: "mean of the Beta posterior: rollouts ended at the first hit",
  verdict: "the answer of the whole solution: 1 right, 0 wrong",
  posterior: "mean under the adaptive model",
  scan: "SCAN score, 0 to 1",
  entropy: "entropy-regularised value, 0 to 1",
  progress: "value after the step / value before it",
  advantage: "what the step adds to the chance of success, −1 to 1",
  label: "published hard label: 1 right, 0 wrong",
  rating: "rating by a person: 1 good, 0 neutral, −1 bad",
  value: "published value, its counts are not known",
};

export const VERDICTS = { right: "✓", wrong: "✗", unknown: "?" };

// Wilson score interval, as in the data set.
export function wilson(hits, rollouts) {
  const share = hits / rollouts;
  const centre = share + (Z * Z) / (2 * rollouts);
  const spread = Z * Math.sqrt((share * (1 - share)) / rollouts + (Z * Z) / (4 * rollouts * rollouts));
  const scale = 1 + (Z * Z) / rollouts;
  return [Math.max(0, (centre - spread) / scale), Math.min(1, (centre + spread) / scale)];
}

// Value as a share of its scale, 0 to 1.
export function share(value, estimator) {
  const placed = SIGNED.has(estimator) ? (value + 1) / 2 : value;
  return Math.min(1, Math.max(0, placed));
}

// The tenth in which a value lies, "0" to "9"; "-" without one.
export function level(value, estimator) {
  if (value === null || value === undefined) return "-";
  return String(Math.min(9, Math.floor(share(value, estimator) * 10 + 1e-9)));
}

// "g" and "b" stand for good and bad where there is a label but no value.
export function levelClass(character) {
  return character === "-" ? "vn" : `v${character}`;
}

const HEIGHTS = { "-": 3, g: 12, b: 12 };

// Where a step stands: before the first error, at it, after it, or not known. `hard` are labels as they were published, which may
// call a step right that stands after the first error; it is empty where there are none.
export function standing(step, first, hard) {
  if (hard.length && step !== first) return { true: "good", false: "bad", null: "bare" }[hard[step]];
  if (first === null || first === undefined) return "open";
  if (first === NO_ERROR || step < first) return "before";
  return step === first ? "error" : "after";
}

export const STANDING = {
  before: ["✓", "before any error"],
  error: ["✗", "first wrong step"],
  after: ["·", "after the first error"],
  open: ["?", "not decided"],
  good: ["✓", "published as right"],
  bad: ["✗", "published as wrong"],
  bare: ["·", "published without a label"],
};

export function conclusion(first) {
  if (first === null || first === undefined) return "undecided";
  return first === NO_ERROR ? "none" : `step ${first + 1}`;
}

export function verdictBadge(verdict, words = verdict) {
  return el("span", { class: `verdict ${verdict}` }, el("span", { class: "mark", "aria-hidden": "true" }, VERDICTS[verdict]), words);
}

// A solution in one line: a bar per step, as high as its value, with a mark at the first error. Bars of one colour are one path,
// as a table draws hundreds of them at a time.
export function strip(levels, first) {
  const width = Math.max(3, Math.min(9, 126 / Math.max(1, levels.length)));
  const thick = Math.max(1.5, width - 1.5);
  const paths = new Map();
  [...levels].forEach((character, index) => {
    const height = HEIGHTS[character] ?? 4 + Number(character) * 1.5;
    const bar = `M${(index * width).toFixed(2)} 18v-${height}h${thick.toFixed(2)}v${height}z`;
    paths.set(character, (paths.get(character) || "") + bar);
  });
  const bars = [...paths].map(([character, d]) => svg("path", { d, class: levelClass(character) }));
  const marks = first !== null && first >= 0 ? [cross(first * width + (width - 1.5) / 2)] : [];
  const total = Math.max(1, levels.length * width);
  const box = { viewBox: `0 0 ${total} 26`, width: Math.min(132, total), height: 26, preserveAspectRatio: "none" };
  return svg("svg", { class: "strip", "aria-hidden": "true", ...box }, bars, marks);
}

function cross(x) {
  return svg("path", { class: "cross", d: `M${x - 2.5} 20.5l5 5m0 -5l-5 5` });
}

// Number, bar and counts of one step.
export function chip(value, estimator, hits, rollouts) {
  const counts = rollouts === null || rollouts === undefined ? null : `${hits}/${rollouts}`;
  if (value === null || value === undefined) {
    return el("span", { class: "chip vn" }, el("span", { class: "value" }, "–"), hiddenText("not measured"));
  }
  const bar = el("span", { class: `fill ${levelClass(level(value, estimator))}`, "aria-hidden": "true" });
  bar.style.width = `${Math.max(2, share(value, estimator) * 100)}%`;
  const words = [el("span", { class: "value" }, fixed(value)), counts && el("span", { class: "counts" }, counts)];
  return el("span", { class: "chip" }, ...words, el("span", { class: "track", "aria-hidden": "true" }, bar));
}
