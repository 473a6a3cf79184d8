// Makes elements. Text becomes text nodes, never HTML: names of categories and files come from strangers.

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, String(value));
  }
  node.append(...children);
  return node;
}

function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

function button(text, act, title = "") {
  return make("button", { type: "button", onclick: act, title: title || null }, text);
}

function swatch(color) {
  const patch = make("span", { class: "sc-swatch", "aria-hidden": "true" });
  patch.style.background = color;
  return patch;
}

// Put new children in place of the old ones, but leave the keyboard's focus where it was.
function refill(parent, children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  parent.replaceChildren(...children);
  if (focused) parent.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}
