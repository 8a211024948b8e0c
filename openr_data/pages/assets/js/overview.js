// The run in numbers: what it holds, figures, what it cost, what ran, and what is not in this file.

import { el, fixed, number, plural, quoted } from "./dom.js";
import { bars, figure, line, stacked } from "./charts.js";
import { facts } from "./solution.js";
import { ESTIMATORS, level, levelClass } from "./values.js";

const MANY = 24;

export function overviewView(index) {
  const stats = index.statistics;
  return el("div", { class: "overview" },
    section("At a glance", tiles(index, stats)),
    section("Figures", el("div", { class: "figures" }, figures(index, stats))),
    section("Cost", cost(index, stats)),
    ...checks(stats),
    ...made(index),
    section("What ran", settings(index.facts, Object.keys(stats.methods))));
}

function section(title, ...content) {
  return el("section", {}, el("h2", {}, title), content);
}

function tiles(index, stats) {
  const all = [[stats.problems, "problems"], [stats.solutions, "solutions"], [stats.steps, "steps"]];
  if (index.labelled) all.push([stats.cost.labelled_steps, "steps with a label"]);
  if (stats.rollouts) all.push([stats.rollouts, "rollouts kept"]);
  const boxes = all.map(([count, words]) => el("div", { class: "tile" }, el("dt", {}, words), el("dd", {}, number(count))));
  const answers = Object.entries(stats.verdicts).map(([name, count]) => `${number(count)} ${name}`).join(", ");
  const dropped = Object.entries(stats.skipped).map(([name, count]) => `${number(count)} ${name.replaceAll("_", " ")}`).join(", ");
  const rows = [["Answers", answers || "none graded"]];
  if (dropped) rows.push(["Dropped problems", dropped]);
  if (index.rejected) rows.push(["Rejected rows", `${number(index.rejected)}: see rejects.jsonl`]);
  if (index.failed) rows.push(["Failed problems", `${number(index.failed)}: see failures.jsonl`]);
  if (stats.duplicates.problems || stats.duplicates.solutions) {
    rows.push(["Repeated", `${plural(stats.duplicates.problems, "problem")}, ${plural(stats.duplicates.solutions, "solution")} word for word`]);
  }
  return [el("dl", { class: "tiles" }, boxes), facts(rows)];
}

function figures(index, stats) {
  const drawn = [];
  if (index.labelled) drawn.push(balance(stats.balance), firstErrors(stats), ...Object.entries(stats.values).map(([name, each]) => values(name, each)));
  const placed = stats.value_by_place.some((value) => value !== null);
  if (placed) drawn.push(byPlace(stats.value_by_place));
  if (stats.step_counts) drawn.push(histogram("Steps per solution", spread(stats.steps_per_solution, "steps"), stats.step_counts, "steps"));
  if (stats.pass_rates) drawn.push(histogram("Pass rate per problem", "Share of right answers among its solutions and root rollouts.", stats.pass_rates, "share of right answers"));
  return drawn;
}

function balance({ right, wrong, unlabelled }) {
  const parts = [
    { label: "right", count: right, kind: "v9" },
    { label: "wrong", count: wrong, kind: "v1" },
    { label: "without a label", count: unlabelled, kind: "vn" },
  ];
  const rows = parts.map((part) => [part.label, number(part.count)]);
  return figure("Labels", "Steps by their hard label: as published, or right before the first error and wrong from there on.", stacked(parts), ["label", "steps"], rows);
}

function firstErrors(stats) {
  const counts = Object.entries(stats.first_errors).map(([step, count]) => [Number(step), count]).sort((left, right) => left[0] - right[0]);
  const last = Math.min(MANY, 1 + (counts.at(-1)?.[0] ?? -1));
  const shown = Array.from({ length: last }, (_, step) => ({ label: String(step + 1), count: stats.first_errors[step] || 0, kind: "v1" }));
  const rest = counts.filter(([step]) => step >= MANY).reduce((sum, [, count]) => sum + count, 0);
  if (rest) shown.push({ label: "later", count: rest, kind: "v1" });
  const note = `${number(stats.without_error)} solutions without an error, ${number(stats.undecided)} undecided.`;
  const rows = [...counts.map(([step, count]) => [`step ${step + 1}`, number(count)]), ["none", number(stats.without_error)], ["undecided", number(stats.undecided)]];
  return figure("Where the first error is", note, bars(shown, "step"), ["first error", "solutions"], rows);
}

function values(name, each) {
  const all = binned(each).map((bar) => ({ ...bar, kind: levelClass(level(bar.middle, name)) }));
  const note = `${number(all.reduce((sum, bar) => sum + bar.count, 0))} steps; ${ESTIMATORS[name] || "named by the data"}.`;
  return figure(`Step values (${name})`, note, bars(all, "value", each.edges.map(short)), ["value", "steps"], all.map((bar) => [bar.range, number(bar.count)]));
}

function binned({ edges, counts }) {
  return counts.map((count, at) => ({
    count,
    label: short(edges[at]),
    range: whole(edges) ? short(edges[at]) : `${short(edges[at])} to ${short(edges[at + 1])}`,
    middle: (edges[at] + edges[at + 1]) / 2,
  }));
}

// One bin per whole number, such as a number of steps.
function whole(edges) {
  return edges.every((edge, at) => Number.isInteger(edge) && (at === 0 || edge === edges[at - 1] + 1));
}

function short(value) {
  return String(Math.round(value * 100) / 100).replace("-", "−");
}

function histogram(title, note, each, axis) {
  const all = binned(each);
  return figure(title, note, bars(all, axis, whole(each.edges) ? null : each.edges.map(short)), [axis, "count"], all.map((bar) => [bar.range, number(bar.count)]));
}

function byPlace(points) {
  const rows = points.map((value, place) => [`${place + 1} of ${points.length}`, fixed(value, 3)]);
  return figure("Value along a solution", "Mean step value by part of the solution.", line(points, "part of the solution"), ["part", "mean value"], rows);
}

function spread(each, unit) {
  return `${number(each.mean)} ${unit} on average; median ${number(each.median)}, at most ${number(each.maximum)}.`;
}

function cost(index, stats) {
  const { cost: paid } = stats;
  const { totals, pilot, imported } = index.facts;
  const time = clock(paid.hours * 3600);
  if (imported) return el("p", {}, `Reading it took ${time}. What the published labels cost is not known.`);
  const each = (amount, shown) => (paid.labelled_steps ? [shown(amount / paid.labelled_steps)] : []);
  const row = (name, amount, shown = few) => [name, shown(amount), ...each(amount, shown)];
  const rows = [row("Completions drawn", paid.rollouts), row("Tokens generated", paid.tokens)];
  for (const name of ["judge", "prover"]) {
    if (`${name}_tokens` in totals) rows.push(row(`Completions of the ${name}`, totals[`${name}_completions`]), row(`Tokens of the ${name}`, totals[`${name}_tokens`]));
  }
  rows.push(row("Time of all attempts", paid.hours * 3600, clock));
  const head = el("tr", {}, ["", "whole run", ...(paid.labelled_steps ? ["per labelled step"] : [])].map((words) => el("th", { scope: "col" }, words)));
  const lines = rows.map(([name, ...cells]) => el("tr", {}, el("th", { scope: "row" }, name), cells.map((cell) => el("td", {}, cell))));
  const said = [];
  if (totals.reused) said.push(`${plural(totals.reused, "completion")} came from an earlier run and cost nothing.`);
  if (pilot) said.push(`The model was fitted to a pilot of ${plural(pilot.solutions, "solution")}: it looked at ${plural(pilot.completions, "completion")} (${plural(pilot.tokens, "token")}), whoever paid for them.`);
  return [el("div", { class: "table-box" }, el("table", { class: "cost" }, el("thead", {}, head), el("tbody", {}, lines))), said.map((each) => el("p", { class: "muted" }, each))];
}

// A small number keeps two digits that say something.
function few(value) {
  return value > 0 && value < 1 ? String(Number(value.toPrecision(2))) : number(value);
}

function clock(seconds) {
  if (seconds < 120) return `${seconds < 0.1 ? seconds.toPrecision(1) : number(seconds)} s`;
  return seconds < 7200 ? `${number(seconds / 60)} min` : `${number(seconds / 3600)} h`;
}

// What was checked beside the labels; nothing where nothing was.
function checks(stats) {
  const found = [];
  for (const each of stats.overlaps) {
    found.push([`Overlap with ${each.benchmark}`, `${number(each.exact)} same questions, ${number(each.overlapping)} with ${each.ngram}-grams in common, of ${number(each.questions)}`]);
  }
  for (const each of stats.agreements) {
    found.push([`${each.left} and ${each.right}`, `${number(each.same)} of ${number(each.both)} first errors the same, ${number(each.near)} within one step`]);
  }
  if (stats.oracle) {
    const share = (value) => (value === null ? "–" : `${(value * 100).toFixed(1)}%`);
    const { exact, early, late, decided } = stats.oracle;
    found.push(["Against an exact oracle", `first error exact ${share(exact)}, too early ${share(early)}, too late ${share(late)}, over ${plural(decided, "solution")} with a wrong answer`]);
  }
  return found.length ? [section("Checks", facts(found))] : [];
}

// How the labels came about, and what they cannot see.
function made(index) {
  const list = (texts) => el("ul", { class: "told" }, texts.map((text) => el("li", {}, quoted(text))));
  const { about, how, limits } = index.facts;
  return [section(index.labelled ? "How the labels were made" : "How the solutions were made", el("p", {}, about), list(how)), section(index.labelled ? "What the labels cannot see" : "Limits", list(limits))];
}

function settings(run, methods) {
  const rows = [["Command", [run.command, run.method || methods.join(", ")].filter(Boolean).join(" ")], ["Engine", run.engine || "none"]];
  rows.push(...run.versions.map((each) => ["Versions", each]), ["Attempts", number(run.attempts)], ["Inputs", run.inputs.join(", ") || "none"]);
  rows.push(...Object.entries(run.prompts).map(([name, text]) => [name, el("span", { class: "prompt" }, text)]));
  const top = facts(rows);
  const groups = Object.entries(run.settings).map(([name, rows]) => el("details", { class: "more", open: ["engine", "sampling"].includes(name) }, el("summary", {}, name), facts(rows)));
  return [top, el("div", { class: "groups" }, groups)];
}
