// Everything about one problem: the question, its solutions, its tree.

import { el, number, plural } from "./dom.js";
import { textsOf, treeOf } from "./data.js";
import { conclusion, strip, verdictBadge } from "./values.js";
import { answer, prose } from "./text.js";
import { facts, solutionPane } from "./solution.js";
import { treePane } from "./tree.js";

// So many solutions of a problem stand above the open one.
const CHOICES = 100;

// A row of columns as one object.
export function lineOf(index, at) {
  const line = { labelled: index.labelled, at };
  for (const [name, column] of Object.entries(index.solutions)) line[name] = column[at];
  return line;
}

// `go` opens another view of the same problem; `where` is {problem, solution, view}, solution being null where there is none.
export async function detailPane(index, where, go) {
  const texts = await textsOf(index, where.problem);
  const tree = where.view === "tree" ? await treeOf(index, where.problem).then((nodes) => nodes && treePane(nodes, index.facts.separator)).catch(notThere) : null;
  const start = index.problems.start[where.problem];
  const count = index.problems.solutions[where.problem];
  const parts = [question(index, where.problem, texts)];
  const skipped = index.problems.skipped[where.problem];
  if (skipped) parts.push(el("p", { class: "notice" }, `The labeler dropped this problem: ${skipped.replaceAll("_", " ")}.`));
  if (index.problems.nodes[where.problem]) parts.push(views(index, where, count, go));
  if (tree) parts.push(tree);
  else if (where.solution !== null) {
    if (count > 1) parts.push(...[chooser(index, start, count, where, go)].flat());
    parts.push(solutionPane(lineOf(index, where.solution), texts.solutions[where.solution - start]));
  } else if (!count) parts.push(el("p", { class: "muted" }, "This problem has no solution in the run."));
  return parts;
}

// In place of what stands in a block that cannot be read.
export function notThere(fault) {
  return el("p", { class: "notice", role: "alert" }, fault.message);
}

function question(index, problem, texts) {
  const { problems } = index;
  const kind = [problems.source[problem], problems.difficulty[problem] && `difficulty ${problems.difficulty[problem]}`].filter(Boolean);
  const head = el("div", { class: "eyebrow" }, el("span", {}, problems.id[problem]), kind.map((each) => el("span", {}, each)));
  const reference = texts.answer ? el("p", { class: "reference" }, el("span", { class: "muted" }, "Reference answer "), answer(texts.answer)) : null;
  const more = Object.entries(texts.metadata);
  const metadata = more.length ? el("details", { class: "more" }, el("summary", {}, "More fields of the problem"), facts(more)) : null;
  return el("section", { class: "question", "aria-label": "Problem" }, head, el("h2", { class: "asked", tabindex: -1 }, prose(texts.question)), reference, metadata);
}

function views(index, where, count, go) {
  const nodes = index.problems.nodes[where.problem];
  const button = (view, words) => el("button", { type: "button", "aria-pressed": String(where.view === view), onclick: () => go({ ...where, view }) }, words);
  const buttons = [button("steps", plural(count, "solution")), button("tree", `Tree of ${plural(nodes, "prefix")}`)];
  return el("div", { class: "segmented", role: "group", "aria-label": "What to show of the problem" }, buttons);
}

function chooser(index, start, count, where, go) {
  const list = el("div", { class: "chooser", role: "group", "aria-label": "Solutions of this problem" });
  const first = Math.max(start, Math.min(where.solution - CHOICES / 2, start + count - CHOICES));
  const last = Math.min(first + CHOICES, start + count);
  for (let at = first; at < last; at += 1) list.append(choice(index, at, at - start + 1, where, go));
  if (last - first === count) return list;
  const range = `Solutions ${number(first - start + 1)} to ${number(last - start)} of ${number(count)}; the list of solutions has them all.`;
  return [list, el("p", { class: "muted chooser-note" }, range)];
}

function choice(index, at, place, where, go) {
  const line = lineOf(index, at);
  const words = [el("span", { class: "place" }, String(place)), verdictBadge(line.verdict, el("span", { class: "sr" }, line.verdict))];
  if (line.labelled) words.push(strip(line.levels, line.first), el("span", { class: "sr" }, `first error ${conclusion(line.first)}`));
  return el("button", { type: "button", "aria-pressed": String(at === where.solution), title: line.id, onclick: () => go({ ...where, solution: at }) }, words);
}
