// Helpers that build DOM elements. Texts become text nodes and attribute names come from this code, so that user input is
// never parsed as markup; the content-security policy demands Trusted Types, so innerHTML would not work either.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "indeterminate", "srcObject", "multiple", "webkitdirectory"]);

/** An HTML element: `h("p", {class: "note", onclick: f}, "text", child)`. Null, undefined and false are skipped. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element, as `h`. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    else if (PROPERTIES.has(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...present(children));
  return node;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false);
}

/** Replaces the children of a node. */
export function fill(node, ...children) {
  node.replaceChildren(...present(children));
  return node;
}

let numbers = 0;

/** A unique element id, to connect labels with fields. */
export function newId(name) {
  numbers += 1;
  return `${name}-${numbers}`;
}

/** A labelled field: the input gets an id, the label points at it, the hint describes it. */
export function field(label, input, hint) {
  input.id ||= newId("field");
  const described = hint ? h("span", { class: "hint", id: `${input.id}-hint` }, hint) : null;
  if (described) input.setAttribute("aria-describedby", described.id);
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, described);
}

/** A drop-down of [value, text] pairs. */
export function select(options, value, attributes = {}) {
  const made = options.map(([key, text]) => h("option", { value: key }, text));
  return h("select", { ...attributes, value: undefined }, made.map((option) => {
    option.selected = option.value === value;
    return option;
  }));
}

/** A checkbox with its text. */
export function checkbox(text, checked, attributes = {}) {
  const input = h("input", { type: "checkbox", checked, ...attributes });
  const label = h("label", { class: "check" }, input, h("span", {}, text));
  return { input, label };
}

/** Shows a short message in the corner; screen readers announce it. */
export function toast(text, kind = "info") {
  const note = h("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), kind === "error" ? 9000 : 5000);
}

/** Downloads a text as a file. */
export function save(name, text, type = "application/json") {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
