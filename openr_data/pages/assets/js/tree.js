// The measured prefixes of a question as a tree, and the rollouts of the prefix that is chosen.

import { el, hiddenText, plural } from "./dom.js";
import { chip, level, levelClass, verdictBadge } from "./values.js";
import { answer, prose } from "./text.js";

const OPEN_AT_FIRST = 60;
const EXCERPT = 140;
// From these depths on a level is set in by less, and no more.
const NARROW = 4;
const FLAT = 24;

// `nodes` are the prefixes; `parent` is the place of another one in the list, or -1. `separator` stands between two steps.
export function treePane(nodes, separator) {
  const children = nodes.map(() => []);
  const roots = [];
  nodes.forEach((node, at) => (node.parent >= 0 ? children[node.parent] : roots).push(at));
  const chosen = el("section", { class: "chosen", "aria-label": "Rollouts of the chosen prefix", "aria-live": "polite" });
  const tree = el("ul", { role: "tree", class: "tree", "aria-label": "Measured prefixes and first wrong steps" });
  const items = new Map();

  function item(at, depth, position, total) {
    const node = nodes[at];
    const below = children[at];
    const open = below.length > 0 && (nodes.length <= OPEN_AT_FIRST || depth < 3);
    const label = el("div", { class: "node" }, twist(below.length), title(node, separator));
    const entry = el("li", {
      role: "treeitem",
      tabindex: -1,
      "aria-level": depth,
      "aria-posinset": position + 1,
      "aria-setsize": total,
      "aria-selected": "false",
      "aria-expanded": below.length ? String(open) : null,
      "aria-label": spoken(node),
    }, label);
    entry.dataset.at = at;
    label.addEventListener("click", (event) => {
      if (below.length && event.target.closest(".twist")) toggle(entry);
      choose(entry);
    });
    items.set(entry, { at, depth });
    if (open) grow(entry);
    return entry;
  }

  function grow(entry) {
    const { at, depth } = items.get(entry);
    const group = el("ul", { role: "group", class: depth < NARROW ? null : depth < FLAT ? "narrow" : "flat" });
    children[at].forEach((child, position) => group.append(item(child, depth + 1, position, children[at].length)));
    entry.append(group);
  }

  function toggle(entry, open = entry.getAttribute("aria-expanded") !== "true") {
    if (!entry.hasAttribute("aria-expanded")) return;
    entry.setAttribute("aria-expanded", String(open));
    if (open && !entry.querySelector(":scope > ul")) grow(entry);
  }

  function choose(entry, focus = true) {
    for (const each of tree.querySelectorAll("[tabindex='0']")) each.tabIndex = -1;
    for (const each of tree.querySelectorAll("[aria-selected='true']")) each.setAttribute("aria-selected", "false");
    entry.tabIndex = 0;
    entry.setAttribute("aria-selected", "true");
    if (focus) {
      entry.focus({ preventScroll: true });
      entry.querySelector(".node").scrollIntoView({ block: "nearest" });
    }
    chosen.replaceChildren(...rollouts(nodes[items.get(entry).at], separator));
  }

  // Entries that can be seen, from top to bottom.
  function visible() {
    return [...tree.querySelectorAll("[role='treeitem']")].filter((entry) => !entry.parentElement.closest("[aria-expanded='false']"));
  }

  tree.addEventListener("keydown", (event) => {
    const entry = event.target.closest("[role='treeitem']");
    if (!entry || event.ctrlKey || event.metaKey || event.altKey) return;
    const seen = visible();
    const here = seen.indexOf(entry);
    const open = entry.getAttribute("aria-expanded");
    const parent = entry.parentElement.closest("[role='treeitem']");
    const actions = {
      ArrowDown: () => seen[here + 1] && choose(seen[here + 1]),
      ArrowUp: () => seen[here - 1] && choose(seen[here - 1]),
      Home: () => choose(seen[0]),
      End: () => choose(seen.at(-1)),
      ArrowRight: () => (open === "false" ? toggle(entry, true) : open === "true" && choose(entry.querySelector("[role='treeitem']"))),
      ArrowLeft: () => (open === "true" ? toggle(entry, false) : parent && choose(parent)),
      Enter: () => toggle(entry),
      " ": () => toggle(entry),
    };
    if (!(event.key in actions)) return;
    actions[event.key]();
    event.preventDefault();
  });

  roots.forEach((at, position) => tree.append(item(at, 1, position, roots.length)));
  const first = tree.querySelector("[role='treeitem']");
  if (first) choose(first, false);
  return el("div", { class: "tree-view" }, tree, chosen);
}

function twist(count) {
  return el("span", { class: count ? "twist" : "twist leaf", "aria-hidden": "true" });
}

function place(node) {
  const last = node.start + node.steps.length;
  if (!last) return "Question";
  return node.steps.length > 1 && node.total ? `Steps ${node.start + 1}–${last}` : `Step ${last}`;
}

function spoken(node) {
  const counts = node.total ? `${node.hits} right of ${node.decided} decided` : "not measured";
  return `${place(node)}: ${counts}${node.wrong.length ? `, ${wrong(node)}` : ""}`;
}

// Whose first wrong step ends the prefix; which one that is where it has several.
function wrong(node) {
  const which = node.steps.length > 1 && node.total ? `step ${node.start + node.steps.length}: ` : "";
  return `${which}first wrong step of ${node.wrong.length > 1 ? "solutions" : "solution"} ${node.wrong.map((at) => at + 1).join(", ")}`;
}

function title(node, separator) {
  const value = node.decided ? node.hits / node.decided : null;
  const steps = node.total ? node.steps : node.steps.slice(-1);
  const text = steps.length ? steps.join(separator && " / ") : "(the question alone)";
  const flag = node.wrong.length
    ? el("span", { class: "flag" }, el("span", { "aria-hidden": "true" }, "✗ "), wrong(node))
    : null;
  const unknown = node.total - node.decided;
  return el("span", { class: `title edge-${levelClass(level(value, "mean"))}` },
    el("span", { class: "where" }, place(node)),
    chip(value, "mean", node.hits, node.decided),
    el("span", { class: "excerpt" }, text.length > EXCERPT ? `${text.slice(0, EXCERPT)}…` : text),
    unknown ? el("span", { class: "muted" }, `${unknown} not decided`) : null,
    flag);
}

const UNMEASURED = "Not measured itself: what was measured around it says that this step is the first wrong one.";

// The prefix in full, and its rollouts.
function rollouts(node, separator) {
  const heading = el("h4", {}, place(node) === "Question" ? "From the question alone" : `After ${place(node).toLowerCase()}`);
  const shown = node.rollouts.length < node.total ? `${node.rollouts.length} of ${plural(node.total, "rollout")} shown` : plural(node.total, "rollout");
  const visits = node.visits ? `, visited ${plural(node.visits, "time")}` : "";
  const said = node.total ? `${node.hits} right of ${node.decided} decided; ${shown}${visits}` : UNMEASURED;
  const counts = el("p", { class: "muted" }, said);
  const added = node.steps.length ? prose(node.steps.join(separator), "prose prefix") : null;
  return [heading, counts, added, el("ol", { class: "rollouts" }, node.rollouts.map(rollout))].filter(Boolean);
}

function rollout(each) {
  const found = each.answer === null ? [] : [el("span", { class: "muted" }, " found "), answer(each.answer)];
  const how = ` ${each.why.replaceAll("_", " ")}, ${plural(each.tokens, "token")}`;
  const head = el("div", { class: "rollout-head" }, verdictBadge(each.verdict), found, el("span", { class: "muted" }, how), hiddenText(`, sample ${each.index}`));
  return el("li", { class: `rollout ${each.verdict}` }, head, each.text ? prose(each.text) : el("p", { class: "muted" }, "(nothing: the prefix is the whole solution)"));
}
