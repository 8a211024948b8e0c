// A table of any length: only the rows in sight exist. One tab stop; arrow keys move, Enter opens.

import { el } from "./dom.js";

const AROUND = 4;

// `columns` are {name, label, size, drop, sortable}, the first of them as wide as there is room; `cells(at)` gives one row's cells, `open(at)` shows it, `sort(name)` is asked to sort.
export function makeTable({ label, columns, rowHeight, cells, open, sort }) {
  const head = el("div", { class: "row head", role: "row", "aria-rowindex": 1 });
  const space = el("div", { class: "space", role: "rowgroup" });
  const scroller = el("div", { class: "scroller", role: "presentation", tabindex: -1 }, space);
  const grid = el("div", { class: "grid", role: "grid", tabindex: 0, "aria-label": label }, head, scroller);
  const rows = new Map();
  let found = [];
  let active = 0;
  let opened = null;
  let waiting = false;
  let top = 0; // where the list is scrolled to and how high it is: asking the browser would lay the page out anew
  let height = 600;

  head.append(...columns.map((column) => header(column)));

  // Lets columns go until the others fit.
  function fit() {
    if (!grid.clientWidth) return; // the list is hidden
    const room = grid.clientWidth / parseFloat(getComputedStyle(document.documentElement).fontSize) - 3;
    const droppable = columns.filter((column) => column.drop).sort((left, right) => left.drop - right.drop);
    const gone = new Set();
    const needed = () => columns.reduce((sum, column) => sum + (gone.has(column) ? 0 : column.size + 0.7), 0);
    while (needed() > room && gone.size < droppable.length) gone.add(droppable[gone.size]);
    const shown = columns.filter((column) => !gone.has(column));
    const widths = shown.map((column, at) => (at ? `${column.size}rem` : "minmax(0, 1fr)"));
    grid.style.setProperty("--columns", widths.join(" "));
    grid.dataset.without = [...gone].map((column) => column.name).join(" ");
  }

  function header(column) {
    const content = column.sortable
      ? el("button", { type: "button", onclick: () => sort(column.name) }, column.label, el("span", { class: "arrow", "aria-hidden": "true" }))
      : column.label;
    return el("div", { role: "columnheader", class: `cell col-${column.name}`, "data-name": column.name }, content);
  }

  function inSight() {
    const first = Math.max(0, Math.floor(top / rowHeight) - AROUND);
    return [first, Math.min(found.length, Math.ceil((top + height) / rowHeight) + AROUND)];
  }

  function draw() {
    const [first, last] = inSight();
    for (const [at, row] of rows) {
      if (at < first || at >= last) {
        row.remove();
        rows.delete(at);
      }
    }
    const fresh = [];
    for (let at = first; at < last; at += 1) {
      if (!rows.has(at)) fresh.push(makeRow(at));
    }
    space.append(...fresh);
  }

  function makeRow(at) {
    const row = el("div", { class: "row", role: "row", id: `row-${at}`, "aria-rowindex": at + 2 });
    row.append(...cells(found[at]).map((content, place) => cell(columns[place], content)));
    row.style.top = `${at * rowHeight}px`;
    row.addEventListener("click", () => {
      move(at);
      open(found[at]);
    });
    rows.set(at, row);
    mark(at);
    return row;
  }

  function cell(column, content) {
    return el("div", { role: "gridcell", class: `cell col-${column.name}` }, content);
  }

  function mark(at) {
    const row = rows.get(at);
    if (!row) return;
    row.classList.toggle("active", at === active);
    row.setAttribute("aria-selected", String(found[at] === opened));
  }

  function scrollTo(place) {
    top = Math.max(0, place);
    scroller.scrollTop = top;
  }

  function move(to) {
    const before = active;
    active = Math.max(0, Math.min(found.length - 1, to));
    const place = active * rowHeight;
    if (place < top) scrollTo(place);
    else if (place + rowHeight > top + height) scrollTo(place + rowHeight - height);
    draw();
    mark(before);
    mark(active);
    if (found.length) grid.setAttribute("aria-activedescendant", `row-${active}`);
    else grid.removeAttribute("aria-activedescendant");
  }

  grid.addEventListener("keydown", (event) => {
    if (event.target !== grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(height / rowHeight) - 1);
    const steps = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: found.length - 1 };
    if (event.key in steps) move(steps[event.key]);
    else if ((event.key === "Enter" || event.key === " ") && found.length) open(found[active]);
    else return;
    event.preventDefault();
  });

  scroller.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      top = scroller.scrollTop;
      draw();
    });
  }, { passive: true });
  new ResizeObserver(() => {
    height = scroller.clientHeight || height;
    fit();
    draw();
  }).observe(scroller);

  return {
    element: grid,
    // Show these rows, from the top.
    show(next) {
      found = next;
      rows.clear();
      space.replaceChildren();
      space.style.height = `${found.length * rowHeight}px`;
      grid.setAttribute("aria-rowcount", String(found.length + 1));
      active = Math.max(0, found.indexOf(opened));
      if (top) scrollTo(0);
      move(active);
    },
    order(name, descending) {
      for (const each of head.children) {
        if (each.dataset.name === name) each.setAttribute("aria-sort", descending ? "descending" : "ascending");
        else each.removeAttribute("aria-sort");
      }
    },
    // Which row is open elsewhere on the page.
    select(at) {
      opened = at;
      const place = found.indexOf(at);
      if (place >= 0) move(place);
      for (const each of rows.keys()) mark(each);
    },
    beside: (at, by) => found[found.indexOf(at) + by],
    focus: () => grid.focus(),
  };
}
