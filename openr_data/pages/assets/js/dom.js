// Elements from plain values. Text goes in as text nodes only; nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

// Children are nodes, or strings that become text; null and false are left out.
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Words for a screen reader only.
export function hiddenText(text) {
  return el("span", { class: "sr" }, text);
}

// Words with names between backticks, as a card has them.
export function quoted(text) {
  return text.split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
}

export function plural(count, word) {
  return `${number(count)} ${word}${count === 1 ? "" : word.endsWith("x") ? "es" : "s"}`;
}

const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

export function number(value) {
  return GROUPED.format(value);
}

export function fixed(value, digits = 2) {
  return value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
}

// What a person chose, kept where the browser allows it; a page opened from a file may not be allowed to.
export function remembered(name) {
  try {
    return localStorage.getItem(`openr-data.${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`openr-data.${name}`, value);
  } catch {
    // Only the memory is lost.
  }
}
