// One tooltip for the page: on hover and on focus, stays while the pointer is over it, goes with Escape.

const tip = () => document.getElementById("tooltip");
let owner = null;
let leaving = 0;

// `fill` returns the nodes to show; it is called only when they are shown.
export function describe(element, fill) {
  const show = () => open(element, fill());
  element.addEventListener("pointerenter", show);
  element.addEventListener("focus", show);
  element.addEventListener("pointerleave", leave);
  element.addEventListener("blur", close);
  return element;
}

export function startTooltip() {
  tip().addEventListener("pointerenter", () => clearTimeout(leaving));
  tip().addEventListener("pointerleave", leave);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  document.addEventListener("scroll", close, { capture: true, passive: true });
}

function open(element, nodes) {
  clearTimeout(leaving);
  if (owner && owner !== element) owner.removeAttribute("aria-describedby");
  owner = element;
  tip().replaceChildren(...nodes);
  tip().hidden = false;
  element.setAttribute("aria-describedby", "tooltip");
  place(element.getBoundingClientRect(), tip());
}

function place(anchor, box) {
  const room = { width: document.documentElement.clientWidth, height: window.innerHeight };
  const size = box.getBoundingClientRect();
  const below = anchor.bottom + 6 + size.height <= room.height;
  box.style.left = `${Math.max(8, Math.min(anchor.left, room.width - size.width - 8))}px`;
  box.style.top = `${below ? anchor.bottom + 6 : Math.max(8, anchor.top - size.height - 6)}px`;
}

function leave() {
  clearTimeout(leaving);
  leaving = setTimeout(close, 150);
}

export function close() {
  if (!owner) return;
  owner.removeAttribute("aria-describedby");
  owner = null;
  tip().hidden = true;
}
