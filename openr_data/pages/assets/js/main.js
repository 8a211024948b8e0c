// The page: its header, its two views, its address, and the switches for theme and raw text.

import { el, plural, quoted, remember, remembered } from "./dom.js";
import { readOnce } from "./data.js";
import { showRaw } from "./text.js";
import { startTooltip } from "./tooltip.js";
import { browseView } from "./browse.js";
import { overviewView } from "./overview.js";

const THEMES = ["auto", "light", "dark"];
const TOKEN_FIGURES = ";figures";

function paint(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function themeButton() {
  let theme = THEMES.includes(remembered("theme")) ? remembered("theme") : "auto";
  const words = () => `Theme: ${theme}`;
  const button = el("button", { type: "button", class: "quiet", onclick: turn }, words());
  function turn() {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember("theme", theme);
    paint(theme);
    button.textContent = words();
  }
  paint(theme);
  return button;
}

function rawButton(changed) {
  const press = () => {
    const raw = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(raw));
    showRaw(raw);
    changed();
  };
  const button = el("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: press }, "Raw text");
  return button;
}

function header(index, tabs, tools) {
  const { facts } = index;
  const held = [plural(index.sizes.problems, "problem"), plural(index.sizes.labeled ?? index.sizes.solutions ?? 0, index.labelled ? "labelled solution" : "solution")];
  const name = el("div", { class: "name" }, el("h1", {}, facts.name), el("p", { class: "muted" }, [facts.title, ...held].join(" · ")), facts.whose && el("p", { class: "muted" }, quoted(facts.whose)));
  return [name, el("nav", { "aria-label": "Views" }, tabs), el("div", { class: "tools" }, tools)];
}

function notices(index) {
  const said = [];
  const held = plural(index.sizes.problems, "problem");
  if (!index.facts.complete) said.push(el("p", { class: "notice" }, `This run is not finished (${index.facts.status}): the page shows the ${held} in its finished shards.`));
  if (index.left_out.length) said.push(el("p", { class: "aside" }, `Not in this file: ${index.left_out.join("; ")}.`));
  return said;
}

// The address of a place: #problem/solution, with ;tree for its tree.
function addressOf(index, where) {
  const { problems, solutions } = index;
  const parts = [problems.id[where.problem], ...(where.solution === null ? [] : [solutions.id[where.solution]])];
  return `#${parts.map(encodeURIComponent).join("/")}${where.view === "tree" ? ";tree" : ""}`;
}

// What an address means here, or null.
function placeOf(index, address) {
  const [path, view] = address.replace(/^#/, "").split(";");
  let problem, solution;
  try {
    [problem, solution] = path.split("/").map(decodeURIComponent);
  } catch {
    return null;
  }
  const shown = view === "tree" ? "tree" : "steps";
  const at = solution === undefined ? -1 : (index.solutions.id || []).indexOf(solution);
  if (at >= 0) return { problem: index.solutions.problem[at], solution: at, view: shown };
  const place = index.problems.id.indexOf(problem);
  return place < 0 ? null : { problem: place, solution: undefined, view: shown };
}

function firstPlace(index) {
  const wrong = index.labelled ? index.solutions.first.findIndex((step) => step !== null && step >= 0) : -1;
  if (wrong >= 0) return { problem: index.solutions.problem[wrong], solution: wrong };
  return index.problems.id.length ? { problem: 0, solution: undefined } : null;
}

function empty(index) {
  for (const name of ["id", "problem", "verdict", "first", "levels", "lowest", "steps", "method", "origin"]) index.solutions[name] ??= [];
  for (const name of ["id", "question", "source", "difficulty", "skipped", "solutions", "start", "texts", "tree", "nodes"]) index.problems[name] ??= [];
}

async function start() {
  const index = await readOnce("index");
  empty(index);
  const main = document.getElementById("main");
  const browse = browseView(index, (where) => history.pushState(null, "", where ? addressOf(index, where) : "#"));
  let overview = null;
  const link = (href, words) => el("a", { href }, words);
  const tabs = { browse: link("#", "Browse"), figures: link(`#${TOKEN_FIGURES}`, "Figures and costs") };
  tabs.browse.addEventListener("click", (event) => {
    event.preventDefault();
    history.pushState(null, "", browse.where() ? addressOf(index, browse.where()) : "#");
    show("browse");
  });

  function show(view) {
    overview ??= view === "figures" ? overviewView(index) : null;
    const element = view === "figures" ? overview : browse.element;
    if (main.firstChild !== element) main.replaceChildren(element);
    document.body.dataset.view = view;
    for (const [name, tab] of Object.entries(tabs)) {
      if (name === view) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
  }

  async function follow() {
    if (location.hash === `#${TOKEN_FIGURES}`) return show("figures");
    show("browse");
    const place = location.hash.length > 1 ? placeOf(index, location.hash) : null;
    if (place) {
      browse.read();
      return browse.go(place);
    }
    if (location.hash.length < 2) browse.toList();
    const first = firstPlace(index);
    return first && !browse.where() ? browse.go(first) : undefined;
  }

  document.getElementById("header").append(...header(index, Object.values(tabs), [rawButton(() => browse.reopen()), themeButton()]));
  document.getElementById("notices").append(...notices(index));
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  startTooltip();
  window.addEventListener("popstate", follow);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      event.preventDefault();
      browse.focusSearch();
    }
  });
  show("browse");
  browse.refresh();
  document.documentElement.dataset.ready = "table";
  await follow();
  document.documentElement.dataset.ready = "all";
  await browse.fillSearch();
}

start().catch((fault) => {
  const words = `This page could not be drawn: ${fault.message}`;
  document.getElementById("main").replaceChildren(el("p", { class: "notice", role: "alert" }, words));
  throw fault;
});
