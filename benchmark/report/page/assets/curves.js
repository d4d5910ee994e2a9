// What the training runs logged: a small picture a quantity, a line a run, in the colours of their methods.

const CURVE = { width: 300, height: 170, left: 52, right: 8, top: 10, bottom: 26 };

function drawCurve(panel) {
  const { width, height, left, right, top, bottom } = CURVE;
  const points = panel.lines.flatMap((line) => line.points);
  const span = (n) => points.map((point) => point[n]);
  const across = scale(span(0), left, width - right, true);
  const up = scale([...span(1), ...(panel.level === null ? [] : [panel.level])], height - bottom, top, true);
  const axes = svg("g", { class: "axes", "aria-hidden": "true" });
  const [steps, values] = [ticks(Math.max(0, across.lo), across.hi, 4), ticks(up.lo, up.hi, 4)];
  for (const v of steps.values) axes.append(svg("text", { x: across.at(v), y: height - 8, "text-anchor": "middle" }, number(v, 0)));
  for (const v of values.values) {
    axes.append(svg("line", { x1: left, x2: width - right, y1: up.at(v), y2: up.at(v) }));
    axes.append(svg("text", { x: left - 5, y: up.at(v) + 4, "text-anchor": "end" }, number(v, values.places)));
  }
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${panel.label} over optimiser steps` }, axes);
  if (panel.level !== null) picture.append(svg("line", { class: "level", x1: left, x2: width - right, y1: up.at(panel.level), y2: up.at(panel.level) }));
  for (const { run, loser, points: along } of panel.lines) {
    const path = along.map(([x, y]) => `${across.at(x).toFixed(1)},${up.at(y).toFixed(1)}`).join(" ");
    const line = svg("g", { class: `curve ${runColour(run)}${loser ? " loser" : ""}` }, svg("polyline", { points: path }));
    if (along.length < 12) line.append(...along.map(([x, y]) => svg("circle", { cx: across.at(x), cy: up.at(y), r: 2.5 })));
    picture.append(line);
  }
  return el("figure", {}, picture, el("figcaption", {}, panel.label));
}

const runColour = (run) => {
  const { look } = content.training.runs[run];
  return look === null ? "m-base" : `m${look % 8}`;
};

function startCurves() {
  const { runs, panels } = content.training;
  byId("training").hidden = byId("training-link").hidden = !panels.length;
  if (!panels.length) return;
  byId("curves-legend").append(...runs.map((run, r) =>
    el("li", {}, sample({ class: `curve ${runColour(r)}` }, svg("path", { class: "line", d: "M-14 0H14" })), foreign(run.name))));
  byId("curves").append(...panels.map(drawCurve));
}
