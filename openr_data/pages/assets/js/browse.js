// The list with its filters on one side, the problem that is open on the other.

import { el, fixed, number, plural } from "./dom.js";
import { readOnce } from "./data.js";
import { ANY, EMPTY, addTexts, narrows, needles, occurring, passingProblems, passingSolutions, ranks, searchTexts, sorted } from "./filters.js";
import { conclusion, strip, verdictBadge } from "./values.js";
import { makeTable } from "./table.js";
import { detailPane, lineOf, notThere } from "./detail.js";

// `size` is a width in rem, `drop` the order in which columns go where there is little room.
const COLUMNS = {
  solutions: [
    { name: "question", label: "Problem", size: 9.5, sortable: true },
    { name: "verdict", label: "Answer", size: 5.3, sortable: true, drop: 4 },
    { name: "first", label: "First error", size: 5.6, sortable: true, labelled: true },
    { name: "strip", label: "Steps by value", size: 8.2, labelled: true, drop: 3 },
    { name: "lowest", label: "Lowest", size: 3.9, sortable: true, valued: true, drop: 2 },
    { name: "steps", label: "Steps", size: 3, sortable: true, drop: 1 },
  ],
  problems: [
    { name: "question", label: "Problem", size: 9.5, sortable: true },
    { name: "source", label: "Source", size: 8.5, sortable: true, drop: 2 },
    { name: "difficulty", label: "Level", size: 4.6, sortable: true, drop: 1 },
    { name: "right", label: "Right answers", size: 7, sortable: true },
    { name: "nodes", label: "Prefixes", size: 5, sortable: true, labelled: true, drop: 3 },
  ],
};
const ROW_HEIGHT = 46;
const HOW = "Every word has to occur; words in \"quotes\" as they stand. Case and accents make no difference.";

// `opened(where)` is told what is shown, so that it can be linked to.
export function browseView(index, opened) {
  const search = searchTexts(index);
  const state = { rows: "solutions", filter: { ...EMPTY }, column: null, descending: false, where: null, passing: [], asked: null, turn: 0 };
  const right = rightAnswers(index);
  const tables = {};
  const count = el("p", { class: "count", role: "status" });
  const list = el("div", { class: "list" });
  const detail = el("article", { class: "detail", tabindex: -1, "aria-label": "The open problem" }, el("p", { class: "muted empty" }, "Choose a row to read it."));
  const controls = filterControls(index, state.filter, () => refresh());
  const kind = rowKinds(state, () => refresh());
  const panel = el("section", { class: "panel", "aria-label": "Problems and solutions" }, controls.element, el("div", { class: "bar" }, kind, count), list);
  const view = el("div", { class: "browse" }, panel, detail);
  const columns = sortColumns(index, right);
  const valued = hasValues(index);

  for (const rows of ["solutions", "problems"]) {
    const shown = COLUMNS[rows].filter((column) => (index.labelled || !column.labelled) && (valued || !column.valued));
    const cells = rows === "solutions" ? solutionCells(index, shown) : problemCells(index, right, shown);
    const open = (at) => go(rows === "solutions" ? { problem: index.solutions.problem[at], solution: at } : { problem: at, solution: undefined }, true);
    tables[rows] = makeTable({ label: rows === "solutions" ? "Solutions" : "Problems", columns: shown, rowHeight: ROW_HEIGHT, cells, open, sort });
  }

  function sort(name) {
    state.descending = state.column === name ? !state.descending : false;
    state.column = name;
    refresh();
  }

  function refresh() {
    const earlier = state.asked && narrows(state.filter, state.asked) ? state.asked : null;
    state.passing = passingSolutions(index, search, state.filter, earlier, earlier && state.passing);
    state.asked = search.complete ? { ...state.filter } : null;
    const problems = passingProblems(index, search, state.filter, state.passing);
    const found = state.rows === "solutions" ? state.passing : problems;
    const column = state.column && columns[state.rows][state.column];
    const table = tables[state.rows];
    if (list.firstChild !== table.element) list.replaceChildren(table.element);
    table.order(column ? state.column : null, state.descending);
    table.show(column ? sorted([...found], column, state.descending) : found);
    const asked = needles(state.filter.text).length && !search.complete ? " (still reading the texts)" : "";
    count.textContent = `${number(state.passing.length)} of ${plural(index.solutions.id.length, "solution")} in ${plural(problems.length, "problem")}${asked}`;
  }

  async function go(where, tell = false) {
    const whole = complete(index, where, state.where);
    state.turn += 1;
    const turn = state.turn;
    const parts = await detailPane(index, whole, (next) => go(next, true)).catch((fault) => [notThere(fault)]);
    if (turn !== state.turn) return;
    const same = state.where && state.where.problem === whole.problem;
    const pressed = focusedPlace(detail);
    state.where = whole;
    const back = el("button", { type: "button", class: "back", onclick: close }, "Back to the list");
    detail.replaceChildren(back, ...parts);
    if (!same) detail.scrollTop = 0;
    showPressed(detail.querySelector(".chooser"));
    if (pressed) detail.querySelector(pressed)?.focus();
    tables.solutions.select(whole.solution);
    tables.problems.select(whole.problem);
    if (tell) {
      view.classList.add("reading");
      if (back.offsetParent && !detail.contains(document.activeElement)) back.focus(); // the list, which had the focus, is hidden
      opened(whole);
    }
  }

  function toList() {
    view.classList.remove("reading");
  }

  function close() {
    toList();
    opened(null);
    tables[state.rows].focus();
  }

  return {
    element: view,
    refresh,
    go,
    reopen: () => (state.where ? go(state.where) : undefined),
    read: () => view.classList.add("reading"),
    toList,
    where: () => state.where,
    focusSearch: () => controls.search.focus(),
    // Reads all texts, block by block, so that the search finds words inside of them.
    async fillSearch() {
      const blocks = index.problems.texts;
      let held = -1;
      let texts = [];
      for (let problem = 0; problem < blocks.length; problem += 1) {
        if (blocks[problem][0] !== held) {
          held = blocks[problem][0];
          texts = await readOnce(`texts-${held}`);
          await new Promise((done) => setTimeout(done, 0));
        }
        addTexts(search, index, problem, texts[blocks[problem][1]]);
      }
      search.complete = true;
      document.documentElement.dataset.search = "complete";
      if (needles(state.filter.text).length) refresh();
    },
  };
}

// Of many solutions only some are in sight: the open one is.
function showPressed(chooser) {
  const pressed = chooser?.querySelector("[aria-pressed='true']");
  if (pressed) chooser.scrollTop = pressed.offsetTop - chooser.offsetTop - chooser.clientHeight / 2 + pressed.offsetHeight / 2;
}

// Where the focus was inside the detail, as something that can be found again after it was drawn anew.
function focusedPlace(detail) {
  const focused = document.activeElement;
  if (!detail.contains(focused) || focused === detail) return null;
  for (const group of [".segmented", ".chooser"]) {
    if (focused.closest(group)) return `${group} [aria-pressed='true']`;
  }
  return null;
}

// A place with everything filled in: the solution to show first is the first with an error, the view stays as it was.
function complete(index, where, before) {
  const start = index.problems.start[where.problem];
  const count = index.problems.solutions[where.problem];
  let { solution } = where;
  if (solution === undefined) {
    const places = Array.from({ length: count }, (_, at) => start + at);
    solution = count ? (places.find((at) => index.labelled && index.solutions.first[at] >= 0 && index.solutions.first[at] !== null) ?? start) : null;
  }
  const asked = where.view || (before && before.view) || "steps";
  const tree = index.problems.tree[where.problem] !== null;
  return { problem: where.problem, solution, view: tree && (asked === "tree" || !count) ? "tree" : "steps" };
}

function hasValues(index) {
  return index.labelled && index.solutions.lowest.some((value) => value !== null);
}

function rightAnswers(index) {
  const right = index.problems.id.map(() => 0);
  (index.solutions.verdict || []).forEach((verdict, at) => {
    if (verdict === "right") right[index.solutions.problem[at]] += 1;
  });
  return right;
}

function sortColumns(index, right) {
  const { problems, solutions } = index;
  const ranked = {};
  const rank = (name, texts) => (ranked[name] ??= ranks(texts));
  return {
    solutions: {
      question: (at) => rank("id", problems.id)[solutions.problem[at]],
      verdict: (at) => rank("verdict", solutions.verdict)[at],
      first: (at) => solutions.first[at],
      lowest: (at) => solutions.lowest[at],
      steps: (at) => solutions.steps[at],
    },
    problems: {
      question: (at) => rank("id", problems.id)[at],
      source: (at) => rank("source", problems.source)[at],
      difficulty: (at) => rank("difficulty", problems.difficulty)[at],
      right: (at) => (problems.solutions[at] ? right[at] / problems.solutions[at] : null),
      nodes: (at) => problems.nodes[at],
    },
  };
}

function asked(index, problem) {
  return [el("span", { class: "id" }, index.problems.id[problem]), el("span", { class: "excerpt" }, index.problems.question[problem])];
}

function solutionCells(index, shown) {
  const content = {
    question: (line) => asked(index, line.problem),
    verdict: (line) => verdictBadge(line.verdict),
    first: (line) => el("span", { class: line.first === null ? "muted" : "" }, conclusion(line.first)),
    strip: (line) => strip(line.levels, line.first),
    lowest: (line) => fixed(line.lowest),
    steps: (line) => number(line.steps),
  };
  return (at) => shown.map((column) => content[column.name](lineOf(index, at)));
}

function problemCells(index, right, shown) {
  const { problems } = index;
  const content = {
    question: (at) => asked(index, at),
    source: (at) => problems.source[at] || "–",
    difficulty: (at) => problems.difficulty[at] || "–",
    right: (at) => (problems.solutions[at] ? `${right[at]} of ${problems.solutions[at]}` : el("span", { class: "muted" }, problems.skipped[at].replaceAll("_", " ") || "none")),
    nodes: (at) => number(problems.nodes[at]),
  };
  return (at) => shown.map((column) => content[column.name](at));
}

function rowKinds(state, changed) {
  const group = el("div", { class: "segmented", role: "group", "aria-label": "Rows of the table" });
  for (const [rows, words] of [["solutions", "Solutions"], ["problems", "Problems"]]) {
    const press = () => {
      state.rows = rows;
      for (const each of group.children) each.setAttribute("aria-pressed", String(each === button));
      changed();
    };
    const button = el("button", { type: "button", "aria-pressed": String(state.rows === rows), onclick: press }, words);
    group.append(button);
  }
  return group;
}

function filterControls(index, filter, changed) {
  const search = el("input", { type: "search", id: "search", placeholder: "Search questions and steps", "aria-label": "Search questions and steps", "aria-description": HOW, title: HOW, autocomplete: "off", spellcheck: "false" });
  search.addEventListener("input", () => {
    filter.text = search.value;
    changed();
  });
  const fields = [...choices(index).map((each) => choiceField(filter, each, changed)), ...(hasValues(index) ? [rangeField(filter, changed)] : [])];
  const reset = el("button", { type: "button", class: "quiet", onclick: clear }, "Clear filters");
  function clear() {
    Object.assign(filter, EMPTY);
    form.reset();
    changed();
  }
  const form = el("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, search, el("div", { class: "fields" }, fields, reset));
  return { element: form, search };
}

// Filters of this run: only those that can tell two rows apart.
function choices(index) {
  const { solutions, problems } = index;
  const listed = [["verdict", "Answer", occurring(solutions.verdict || []).map(([value, n]) => [value, `${value} (${number(n)})`])]];
  if (index.labelled) listed.push(["first", "First error", firstErrors(solutions.first || [])]);
  for (const [name, words, column] of [["method", "Method", solutions.method], ["origin", "Origin", solutions.origin], ["source", "Source", problems.source], ["difficulty", "Level", problems.difficulty]]) {
    listed.push([name, words, occurring(column || []).filter(([value]) => value !== "").map(([value, n]) => [value, `${value} (${number(n)})`])]);
  }
  const byNumber = new Intl.Collator("en", { numeric: true }).compare;
  listed.find(([name]) => name === "difficulty")[2].sort((left, right) => byNumber(left[0], right[0]));
  return listed.filter(([, , values]) => values.length > 1);
}

function firstErrors(column) {
  const counts = new Map(occurring(column));
  const steps = [...counts.keys()].filter((value) => value !== null && value >= 0).sort((left, right) => left - right);
  const some = steps.reduce((sum, step) => sum + counts.get(step), 0);
  const head = [["some", `any step (${number(some)})`], ["none", `none (${number(counts.get(-1) || 0)})`], ["undecided", `undecided (${number(counts.get(null) || 0)})`]];
  return [...head, ...steps.map((step) => [String(step), `step ${step + 1} (${number(counts.get(step))})`])];
}

function choiceField(filter, [name, words, values], changed) {
  const select = el("select", { name }, el("option", { value: ANY }, "any"), values.map(([value, label]) => el("option", { value }, label)));
  select.addEventListener("change", () => {
    filter[name] = select.value;
    changed();
  });
  return el("label", {}, el("span", {}, words), select);
}

function rangeField(filter, changed) {
  const bound = (name, words) => {
    const input = el("input", { type: "number", step: "0.05", name, placeholder: words, "aria-label": `Lowest step value, ${words}` });
    input.addEventListener("input", () => {
      filter[name] = input.value === "" || Number.isNaN(input.valueAsNumber) ? null : input.valueAsNumber;
      changed();
    });
    return input;
  };
  const legend = el("legend", {}, "Lowest value");
  return el("fieldset", { class: "range" }, legend, bound("low", "from"), bound("high", "to"));
}
