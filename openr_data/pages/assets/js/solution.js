// One solution, step by step, with what was measured at each step.

import { el, fixed, hiddenText, number, plural, svg } from "./dom.js";
import { ESTIMATORS, NO_ERROR, STANDING, chip, level, levelClass, standing, verdictBadge, wilson } from "./values.js";
import { describe } from "./tooltip.js";
import { answer, prose } from "./text.js";

// So many steps are drawn at once, the others as soon as these are seen.
const AT_ONCE = 100;

// `line` is the solution's row of the table, `texts` its texts.
export function solutionPane(line, texts) {
  return el("section", { class: "solution", "aria-label": `Solution ${line.id}` }, summary(line, texts), steps(line, texts), details(line, texts));
}

function summary(line, texts) {
  const found = texts.answer === null ? [] : [" ", el("span", { class: "muted" }, "found "), answer(texts.answer)];
  const badge = el("span", { class: "answer" }, verdictBadge(line.verdict, line.verdict === "unknown" ? `answer not decided (${texts.why.replaceAll("_", " ")})` : `${line.verdict} answer`), found);
  const parts = [badge];
  if (line.labelled) parts.push(decision(line, texts));
  return el("div", { class: "summary" }, parts);
}

function decision(line, texts) {
  const sure = line.confidence === null ? "" : `, probability ${fixed(line.confidence)}`;
  const told = texts.hard.length ? "; steps as they were published, also after it" : "";
  const words = line.first === null ? "First wrong step not decided" : line.first === NO_ERROR ? "No wrong step found" : `First wrong step: ${line.first + 1}`;
  return el("span", { class: "decision" }, el("strong", {}, words), el("span", { class: "muted" }, ` (${texts.reason.replaceAll("_", " ")}${sure}${told})`));
}

function steps(line, texts) {
  const valued = line.labelled && [...texts.values, ...texts.counts].some((each) => each !== null);
  const list = el("ol", { class: `steps${!line.labelled ? " plain" : valued ? "" : " unvalued"}` });
  const add = (from) => {
    list.append(...texts.steps.slice(from, from + AT_ONCE).map((text, at) => step(line, texts, text, from + at, valued)));
    if (from + AT_ONCE < texts.steps.length) setTimeout(() => list.isConnected && add(from + AT_ONCE));
  };
  add(0);
  return list;
}

function step(line, texts, text, index, valued) {
  if (!line.labelled) return el("li", { class: "step" }, el("span", { class: "place" }, String(index + 1)), prose(text));
  const [value, estimator] = [texts.values[index], texts.estimators[index]];
  const place = standing(index, line.first, texts.hard);
  const [mark, words] = STANDING[place];
  const number = el("span", { class: "place" }, String(index + 1), el("span", { class: "mark", "aria-hidden": "true" }, mark), hiddenText(words));
  if (!valued) return el("li", { class: `step ${place} edge-${levelClass(line.levels[index])}` }, number, body(text, place));
  const measured = el("span", { class: "measured", tabindex: 0, role: "group", "aria-label": `Value of step ${index + 1}` }, chip(value, estimator, texts.hits[index], texts.counts[index]));
  const item = el("li", { class: `step ${place}` }, number, measured, body(text, place));
  item.classList.add(`edge-${levelClass(level(value, estimator))}`);
  describe(measured, () => evidence(texts, index));
  return item;
}

function body(text, place) {
  const flag = place === "error" ? el("span", { class: "flag" }, "First wrong step") : null;
  return el("div", { class: "body" }, flag, prose(text));
}

// What the tooltip says of a step.
function evidence(texts, index) {
  const [value, estimator] = [texts.values[index], texts.estimators[index]];
  const [hits, counts, good] = [texts.hits[index], texts.counts[index], texts.good[index]];
  if (value === null && counts === null) return [el("p", {}, "Not measured: the method did not look here.")];
  const rows = [];
  if (value !== null) rows.push(["Value", fixed(value, 3)]);
  if (estimator) rows.push(["Read as", `${estimator}: ${ESTIMATORS[estimator] || "named by the data"}`]);
  if (counts !== null) rows.push(["Rollouts", `${hits} right of ${counts} decided`], ["95% interval", intervalText(hits, counts)]);
  else rows.push(["Rollouts", "not known: the value was published"]);
  if (good !== null) rows.push(["Right so far", `probability ${fixed(good, 3)}`]);
  return [facts(rows), counts === null ? "" : interval(hits, counts)];
}

function intervalText(hits, counts) {
  const [low, high] = wilson(hits, counts);
  return `${fixed(low)} to ${fixed(high)} (Wilson)`;
}

function interval(hits, counts) {
  const [low, high] = wilson(hits, counts).map((end) => 2 + end * 196);
  const middle = 2 + (hits / counts) * 196;
  const line = (attributes) => svg("line", { y1: 8, y2: 8, ...attributes });
  const shapes = [line({ x1: 2, x2: 198, class: "axis" }), line({ x1: low, x2: high, class: "range" }), svg("circle", { cx: middle, cy: 8, r: 4 })];
  return svg("svg", { class: "interval", viewBox: "0 0 200 16", width: 200, height: 16, "aria-hidden": "true" }, shapes);
}

export function facts(rows) {
  return el("dl", { class: "facts" }, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function details(line, texts) {
  const rows = [["Solution", line.id], ["Written by", texts.sampler || "not told"]];
  if (line.labelled) {
    rows.push(["Method", line.method], ["Origin", line.origin === "rollout" ? "rollout: sampled by the labeler" : line.origin]);
    rows.push(["Cost", `${plural(texts.cost[0], "rollout")}, ${plural(texts.cost[1], "token")}`]);
  }
  rows.push(["Answer graded", `${line.verdict} (${texts.why})`], ["Length", length(texts)]);
  rows.push(["Drawn", `sample ${texts.index}, seed ${texts.seed}`]);
  rows.push(...Object.entries(texts.notes || {}));
  return el("details", { class: "more" }, el("summary", {}, "About this solution"), facts(rows));
}

function length(texts) {
  const tokens = texts.tokens ? `, ${plural(texts.tokens, "token")}` : "";
  const ended = { stop: "ended by itself", length: "cut at the token limit", error: "the engine gave up" }[texts.finish] || texts.finish;
  return `${number(texts.steps.length)} ${texts.steps.length === 1 ? "step" : "steps"}${tokens}, ${ended}`;
}
