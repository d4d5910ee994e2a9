// The data, and the only way in which this page makes elements: texts become text nodes, never markup.

const content = JSON.parse(document.getElementById("content").textContent);
const { scorers, checkpoints, prompts, seeds, scores } = content;

// What people read of a scorer that is known by its name: a toy model is called so.
const titleOf = (name) => scorers.find((s) => s.name === name)?.title ?? name;

const byId = (id) => document.getElementById(id);

// fill(element, {class: "x", onclick: f}, "text", child, ...): attribute names come from this code alone.
function fill(element, attributes, ...children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, ...children);
const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, ...children);

// For readers who hear the page.
const spoken = (text) => el("span", { class: "spoken" }, text);

// A name or text from outside: its own direction of writing must not turn what stands beside it, and long
// names may break after the signs that they are made of.
const foreign = (text, attributes = {}) => el("bdi", attributes, ...breakable(text));
const breakable = (text) => text.split(/(?<=[-_/:])/).flatMap((part, i) => (i ? [el("wbr"), part] : [part]));

function options(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => el("option", { value, dir: "auto" }, text)));
}

// As the other exports round: a number in the very middle goes to the even digit, where toFixed goes outwards.
function rounded(value, places) {
  const middle = Math.abs(value * 2 ** (places + 1)) % 2 === 1;
  const text = value.toFixed(places);
  return middle && Number(text.at(-1)) % 2 ? (value - Math.sign(value) * 10 ** -places / 4).toFixed(places) : text;
}
// Nothing is less than nothing: what rounds to 0 has no sign.
const number = (value, places) => (value === null ? "–" : rounded(value, places).replace(/^-(?!0(\.0+)?$)/, "−").replace("-", ""));
const signed = (value, places) => (Number(rounded(value, places)) > 0 ? "+" : "") + number(value, places);
// The prompts behind a number; nothing for a scorer of whole sets.
const size = (n) => (n === null ? "" : `n ${n.toLocaleString("en")}`);
const interval = (lo, hi, places) => (lo === null || hi === null ? "" : `[${number(lo, places)}, ${number(hi, places)}]`);
const probability = (p) => (p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`);
const share = (part) => `${(100 * part).toFixed(0)} %`;
const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
const short = (text, letters) => {
  const all = Array.from(text);
  return all.length > letters ? `${all.slice(0, letters - 1).join("")}…` : text;
};
const known = (values) => [...new Set(values)];
const folded = (text) => text.toLowerCase();
