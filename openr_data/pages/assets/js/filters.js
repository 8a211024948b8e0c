// Which solutions and problems are shown, and in which order. Knows columns of numbers and texts, draws nothing.

import { NO_ERROR } from "./values.js";

export const ANY = "";

// One filter per control; a filter that is ANY lets everything pass.
export const EMPTY = {
  text: "",
  verdict: ANY,
  first: ANY,
  method: ANY,
  origin: ANY,
  source: ANY,
  difficulty: ANY,
  low: null,
  high: null,
};

// Case and accents make no difference.
function folded(text) {
  return /^[\0-\x7f]*$/.test(text) ? text.toLowerCase() : text.normalize("NFKD").replace(/\p{M}+/gu, "").toLowerCase();
}

// What is asked for: every word, and every phrase in quotes.
export function needles(text) {
  return [...text.matchAll(/"([^"]*)"?|\S+/g)].map((found) => folded(found[1] ?? found[0])).filter(Boolean);
}

// Folded texts to search in; the full ones come block by block.
export function searchTexts(index) {
  const { problems, solutions } = index;
  return {
    problems: problems.id.map((id, at) => folded(`${id}\n${problems.question[at]}`)),
    solutions: solutions.id.map(folded),
    complete: false,
  };
}

export function addTexts(search, index, problem, texts) {
  const start = index.problems.start[problem];
  search.problems[problem] = folded(`${index.problems.id[problem]}\n${texts.question}`);
  texts.solutions.forEach((each, at) => {
    search.solutions[start + at] = folded(`${index.solutions.id[start + at]}\n${each.steps.join("\n")}`);
  });
}

// Indices of the solutions that pass, in their order. `earlier` is a weaker filter, and `among` are those that it let pass.
export function passingSolutions(index, search, filter, earlier = null, among = null) {
  const { solutions, problems } = index;
  const tests = [...solutionTests(solutions, filter), ...problemTests(problems, filter).map((test) => (at) => test(solutions.problem[at]))];
  const found = [];
  const known = earlier ? needles(earlier.text) : [];
  const fresh = needles(filter.text).filter((needle) => !known.includes(needle));
  const asked = fresh.map((needle) => [needle, search.problems.map((text) => text.includes(needle))]);
  const count = among ? among.length : solutions.id.length;
  for (let place = 0; place < count; place += 1) {
    const at = among ? among[place] : place;
    if (!tests.every((test) => test(at))) continue;
    if (!asked.every(([needle, said]) => said[solutions.problem[at]] || search.solutions[at].includes(needle))) continue;
    found.push(at);
  }
  return found;
}

// Does everything that passes `next` also pass `before`? So it is while somebody types on.
export function narrows(next, before) {
  const same = Object.keys(EMPTY).every((name) => name === "text" || next[name] === before[name]);
  const asked = needles(next.text);
  return same && needles(before.text).every((earlier) => asked.some((needle) => needle.includes(earlier)));
}

// Problems with a solution that passes; those without solutions pass where nothing is asked of a solution.
export function passingProblems(index, search, filter, passing) {
  const { problems, solutions } = index;
  const wanted = new Set(passing.map((at) => solutions.problem[at]));
  const tests = problemTests(problems, filter);
  const asked = needles(filter.text);
  const free = solutionTests(solutions, filter).length === 0;
  const found = [];
  for (let at = 0; at < problems.id.length; at += 1) {
    const bare = free && problems.solutions[at] === 0 && tests.every((test) => test(at));
    if (wanted.has(at) || (bare && asked.every((needle) => search.problems[at].includes(needle)))) found.push(at);
  }
  return found;
}

function solutionTests(solutions, filter) {
  const tests = [];
  for (const name of ["verdict", "method", "origin"]) {
    if (filter[name] !== ANY) tests.push((at) => solutions[name][at] === filter[name]);
  }
  if (filter.first !== ANY) {
    const wanted = filter.first === "undecided" ? null : filter.first === "none" ? NO_ERROR : Number(filter.first);
    tests.push(filter.first === "some" ? (at) => solutions.first[at] >= 0 && solutions.first[at] !== null : (at) => solutions.first[at] === wanted);
  }
  if (filter.low !== null) tests.push((at) => solutions.lowest[at] !== null && solutions.lowest[at] >= filter.low);
  if (filter.high !== null) tests.push((at) => solutions.lowest[at] !== null && solutions.lowest[at] <= filter.high);
  return tests;
}

function problemTests(problems, filter) {
  return ["source", "difficulty"].filter((name) => filter[name] !== ANY).map((name) => (at) => problems[name][at] === filter[name]);
}

// `found` sorted by a column, in place; what has no value stands last, ties keep the order of the run.
export function sorted(found, column, descending) {
  const sign = descending ? -1 : 1;
  return found.sort((left, right) => {
    const [a, b] = [column(left), column(right)];
    if (a === b) return left - right;
    if (a === null || b === null) return a === null ? 1 : -1;
    return sign * (a - b) || left - right;
  });
}

// Texts as numbers in the order of a dictionary (numbers in them by their size): comparing texts takes too long for every key.
export function ranks(texts) {
  const known = [...new Set(texts)].filter(Boolean).sort(new Intl.Collator("en", { numeric: true }).compare);
  const rank = new Map(known.map((text, at) => [text, at]));
  return texts.map((text) => rank.get(text) ?? null);
}

// Distinct values of a column with how often they occur, the most frequent first.
export function occurring(column) {
  const counts = new Map();
  for (const value of column) counts.set(value, (counts.get(value) || 0) + 1);
  return [...counts].sort((left, right) => right[1] - left[1]);
}
