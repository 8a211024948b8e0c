// Small charts drawn from numbers as SVG, each with its numbers as a table.

import { el, number, svg } from "./dom.js";

const WIDTH = 420;
const HEIGHT = 180;
const EDGE = { left: 44, right: 8, top: 10, bottom: 38 };

// A figure: its title, what it says in one sentence, the drawing, and the numbers for those who want or need them.
export function figure(title, note, drawing, head, rows) {
  const table = el("table", {}, el("thead", {}, tableRow("th", head)), el("tbody", {}, rows.map((row) => tableRow("td", row))));
  const numbers = el("details", {}, el("summary", {}, "Numbers"), el("div", { class: "table-box" }, table));
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `${title}. ${note}`);
  return el("figure", {}, el("figcaption", {}, el("h3", {}, title), el("p", { class: "muted" }, note)), drawing, numbers);
}

function tableRow(tag, cells) {
  return el("tr", {}, cells.map((cell) => el(tag, tag === "th" ? { scope: "col" } : {}, String(cell))));
}

// `all` are {label, count, kind}; `kind` is a class that colours the bar. `edges` are labels of where the bars begin and the last
// one ends, in place of labels below them.
export function bars(all, axis, edges = null) {
  const top = rounded(Math.max(1, ...all.map((bar) => bar.count)));
  const width = (WIDTH - EDGE.left - EDGE.right) / Math.max(1, all.length);
  const height = (count) => (count / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const every = Math.max(1, Math.ceil(all.length / 12));
  const shapes = all.flatMap((bar, at) => {
    const x = EDGE.left + at * width;
    const tall = height(bar.count);
    const box = { x: x + width * 0.1, y: HEIGHT - EDGE.bottom - tall, width: width * 0.8, height: tall, class: bar.kind || "plain" };
    const label = !edges && at % every === 0 ? [text(x + width / 2, HEIGHT - EDGE.bottom + 14, bar.label, "middle")] : [];
    return [svg("rect", box, svg("title", {}, `${bar.label}: ${number(bar.count)}`)), ...label];
  });
  const ends = (edges || []).map((words, at) => (at % every === 0 ? text(EDGE.left + at * width, HEIGHT - EDGE.bottom + 14, words, "middle") : ""));
  return chart([...ruler(top), ...shapes, ...ends, text((WIDTH + EDGE.left) / 2, HEIGHT - 4, axis, "middle", "axis-name")]);
}

// `points` are numbers or null, one per equal part of the axis, which holds 0 to 1, and more where the points need it.
export function line(points, axis) {
  const low = Math.floor(Math.min(0, ...points));
  const high = Math.ceil(Math.max(1, ...points));
  const width = (WIDTH - EDGE.left - EDGE.right) / Math.max(1, points.length);
  const at = (value, place) => [EDGE.left + (place + 0.5) * width, HEIGHT - EDGE.bottom - ((value - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom)];
  const known = points.map((value, place) => (value === null ? null : at(value, place)));
  const path = known.map((point, place) => (point ? `${known[place - 1] ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}` : "")).join("");
  const dots = known.filter(Boolean).map(([x, y]) => svg("circle", { cx: x, cy: y, r: 3, class: "dot" }));
  const labels = points.map((_, place) => text(EDGE.left + (place + 0.5) * width, HEIGHT - EDGE.bottom + 14, `${Math.round(((place + 1) / points.length) * 100)}%`, "middle"));
  return chart([...ruler(high, low), svg("path", { d: path, class: "curve" }), ...dots, ...labels, text((WIDTH + EDGE.left) / 2, HEIGHT - 4, axis, "middle", "axis-name")]);
}

// Parts of a whole as one bar; `parts` are {label, count, kind}.
export function stacked(parts) {
  const total = Math.max(1, parts.reduce((sum, part) => sum + part.count, 0));
  let x = 0;
  const shapes = parts.filter((part) => part.count).map((part) => {
    const width = (part.count / total) * WIDTH;
    const shape = svg("rect", { x, y: 6, width: Math.max(1, width - 2), height: 34, class: part.kind }, svg("title", {}, `${part.label}: ${number(part.count)}`));
    x += width;
    return shape;
  });
  const legend = parts.map((part, at) => {
    const y = 64 + at * 22;
    const words = `${part.label}: ${number(part.count)} (${((part.count / total) * 100).toFixed(1)}%)`;
    return [svg("rect", { x: 0, y: y - 10, width: 12, height: 12, class: part.kind }), text(20, y, words, "start", "legend")];
  });
  return chart([...shapes, ...legend.flat()], 64 + parts.length * 22);
}

// An even number at or above `top`, so that its half is a whole number.
function rounded(top) {
  const unit = 2 * 10 ** Math.max(0, Math.floor(Math.log10(top)) - 1);
  return Math.ceil(top / unit) * unit;
}

function ruler(top, low = 0) {
  const inner = HEIGHT - EDGE.top - EDGE.bottom;
  return [0, 0.5, 1].flatMap((share) => {
    const y = HEIGHT - EDGE.bottom - share * inner;
    const value = low + (top - low) * share;
    const label = value >= 10000 ? `${number(value / 1000)}k` : number(value);
    return [svg("line", { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y, y2: y, class: "grid-line" }), text(EDGE.left - 6, y + 4, label, "end")];
  });
}

function text(x, y, words, anchor, kind = "tick") {
  return svg("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor, class: kind }, words);
}

function chart(shapes, height = HEIGHT) {
  return svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}` }, shapes);
}
