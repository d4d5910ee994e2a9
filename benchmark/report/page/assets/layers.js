// What of the trade-off is drawn, how its marks look, and the legend that says so.

const SHAPES = [
  "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", "M-4.6 -4.6H4.6V4.6H-4.6Z", "M0 -6L5.6 4.4H-5.6Z", "M0 -6.4L6 0L0 6.4L-6 0Z",
  "M0 6L5.6 -4.4H-5.6Z", "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z", "M-5 -3L-3 -5L0 -2L3 -5L5 -3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0Z", "M0 -6L5.7 -1.9L3.5 4.9H-3.5L-5.7 -1.9Z",
];
const STAR = "M0 -8L2.1 -2.8L7.6 -2.5L3.3 1.1L4.7 6.5L0 3.4L-4.7 6.5L-3.3 1.1L-7.6 -2.5L-2.1 -2.8Z";
const FRONTIERS = known(content.planes.flatMap((plane) => plane.frontiers.map((frontier) => frontier.name)));
const hidden = new Set();

// The method of a number has the colour and the shape that it has in the figures.
const lookAt = (at) => ({ shape: SHAPES[(at + Math.floor(at / 8)) % SHAPES.length], colour: `m${at % 8}` });
const styleOf = (i) => (checkpoints[i].look === null ? { shape: STAR, colour: "m-base" } : lookAt(checkpoints[i].look));

// Other frontiers are the base model's: its ink, told apart by their dashes.
const dashOf = (name) => `d${FRONTIERS.indexOf(name) % 4}`;

// The optimum under a divergence has the colour of what was trained under it, or dashes of its own colour.
const lookOf = ({ name, look }) => (look === null ? dashOf(name) : `${lookAt(look[0]).colour}${look[1] ? "" : " untrained"}`);

const isDrawn = (layer) => !hidden.has(layer);

const sample = (attributes, ...marks) => svg("svg", { width: 28, height: 16, viewBox: "-14 -8 28 16", "aria-hidden": "true", ...attributes }, ...marks);

// One box for each layer of the plane; what was hidden stays hidden on the next plane.
function drawLayers(plane, redraw) {
  const layers = plane === null ? [] : [
    ["regions", "95 % regions", sample({}, svg("ellipse", { class: "region", rx: 12, ry: 6 }))],
    ["front", "front of the means", sample({}, svg("path", { class: "front", d: "M-13 -5H4V7" }))],
    ...plane.frontiers.map((f) => [`frontier ${f.name}`, f.name, sample({ class: `frontier ${lookOf(f)}` }, svg("path", { class: "line", d: "M-14 0H14" }))]),
  ];
  byId("layers").hidden = !layers.length;
  const boxes = layers.map(([layer, text, picture]) => {
    const tick = el("input", { type: "checkbox", checked: isDrawn(layer), "data-layer": layer });
    tick.addEventListener("change", () => {
      if (tick.checked) hidden.delete(layer);
      else hidden.add(layer);
      redraw();
    });
    return el("label", {}, tick, " ", picture, " ", foreign(text));
  });
  byId("layers").replaceChildren(byId("layers").firstElementChild, ...boxes);
}

function drawLegend(plane) {
  const key = (attributes, shape, text) =>
    el("li", {}, svg("svg", { width: 16, height: 16, viewBox: "-9 -9 18 18", "aria-hidden": "true", ...attributes }, svg("path", { d: shape })), foreign(text));
  byId("legend").replaceChildren(
    key({ class: "m-base" }, STAR, content.reference),
    ...content.methods.map(([method, at]) => key({ class: lookAt(at).colour }, lookAt(at).shape, method)),
    ...(plane?.points.some((p) => !p.may) ? [key({ class: "m-base beaten" }, SHAPES[0], "pale: off the Pareto front (95 %)")] : []),
  );
}
