// The trade-off: what a checkpoint gains in preference against what it keeps in diversity.

const UPWARDS = ["preference", "alignment", "style"];
const RIGHTWARDS = ["diversity", "distance"];
const LABELLED = 10;
const MARGIN = { left: 62, right: 18, top: 14, bottom: 48 };
const METHODS = known(checkpoints.filter((c) => c.id !== content.reference).map((c) => c.method));
const SHAPES = [
  "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", "M-4.6 -4.6H4.6V4.6H-4.6Z", "M0 -6L5.6 4.4H-5.6Z", "M0 -6.4L6 0L0 6.4L-6 0Z",
  "M0 6L5.6 -4.4H-5.6Z", "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z", "M0 -6L5.7 -1.9L3.5 4.9H-3.5L-5.7 -1.9Z", "M-5 -3L-3 -5L0 -2L3 -5L5 -3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0Z",
];
const STAR = "M0 -8L2.1 -2.8L7.6 -2.5L3.3 1.1L4.7 6.5L0 3.4L-4.7 6.5L-3.3 1.1L-7.6 -2.5L-2.1 -2.8Z";

function styleOf(i) {
  if (checkpoints[i].id === content.reference) return { shape: STAR, colour: "m-base" };
  const at = METHODS.indexOf(checkpoints[i].method);
  return { shape: SHAPES[at % SHAPES.length], colour: `m${at % 8}` };
}

// As in the figures: the reference's mean plus the paired difference, with the difference's interval.
function placed(i, j) {
  const cell = checkpoints[i].cells[j];
  const base = checkpoints.find((c) => c.id === content.reference)?.cells[j].mean ?? null;
  if (base !== null && cell.diff !== null) {
    const lo = cell.diffLo === null ? cell.diff : cell.diffLo;
    const hi = cell.diffHi === null ? cell.diff : cell.diffHi;
    return { at: base + cell.diff, lo: base + lo, hi: base + hi };
  }
  return cell.mean === null ? null : { at: cell.mean, lo: cell.mean, hi: cell.mean };
}

// Round steps of 1, 2 or 5 times a power of ten.
function ticks(lo, hi, wanted) {
  const rough = (hi - lo) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const first = Math.ceil(lo / step);
  const found = [];
  for (let n = first; n * step <= hi + 1e-9 * step; n += 1) found.push(n * step);
  return { values: found, places: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function scale(values, from, to, higher) {
  const lo = Math.min(...values);
  const hi = Math.max(...values);
  const room = (hi - lo || Math.abs(hi) || 1) * 0.08;
  const [a, b] = higher ? [lo - room, hi + room] : [hi + room, lo - room];
  return { lo: lo - room, hi: hi + room, at: (v) => from + ((v - a) / (b - a)) * (to - from) };
}

function describe(i, x, y) {
  const c = checkpoints[i];
  const one = (j) => {
    const cell = c.cells[j];
    const places = scorers[j].places;
    const difference = cell.diff === null ? "" : `; difference ${signed(cell.diff, places)} ${interval(cell.diffLo, cell.diffHi, places)}`;
    return `${scorers[j].name} ${number(cell.mean, places)} ${interval(cell.lo, cell.hi, places)}${difference}${cell.group ? `; group ${cell.group}` : ""}`;
  };
  return { name: c.name, id: c.id, lines: [one(y), one(x)] };
}

function drawPlot() {
  const [y, x] = [Number(byId("axis-y").value), Number(byId("axis-x").value)];
  const points = checkpoints
    .map((_, i) => ({ i, x: placed(i, x), y: placed(i, y) }))
    .filter((p) => p.x && p.y)
    // The reference last, so that it lies on top.
    .sort((a, b) => (checkpoints[a.i].id === content.reference) - (checkpoints[b.i].id === content.reference));
  const width = Math.max(260, byId("plot").clientWidth || 640);
  const height = Math.round(Math.min(460, Math.max(280, width * 0.6)));
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-labelledby": "plot-caption" });
  byId("plot").replaceChildren(picture);
  if (!points.length) {
    picture.append(svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "No checkpoint has both numbers."));
    return;
  }
  const across = scale(points.flatMap((p) => [p.x.lo, p.x.hi]), MARGIN.left, width - MARGIN.right, scorers[x].higher);
  const up = scale(points.flatMap((p) => [p.y.lo, p.y.hi]), height - MARGIN.bottom, MARGIN.top, scorers[y].higher);
  drawAxes(picture, width, height, across, up, x, y);
  for (const p of points) picture.append(drawPoint(p, across, up, x, y));
  // Names last: they need the text's true length.
  if (points.length <= LABELLED) drawLabels(picture, points, across, up, width);
}

function drawAxes(picture, width, height, across, up, x, y) {
  const [bottom, right] = [height - MARGIN.bottom, width - MARGIN.right];
  const horizontal = ticks(across.lo, across.hi, width < 480 ? 4 : 7);
  const vertical = ticks(up.lo, up.hi, 5);
  const axes = svg("g", { class: "axes", "aria-hidden": "true" });
  for (const v of horizontal.values) {
    axes.append(svg("line", { x1: across.at(v), x2: across.at(v), y1: MARGIN.top, y2: bottom }));
    axes.append(svg("text", { x: across.at(v), y: bottom + 16, "text-anchor": "middle" }, number(v, horizontal.places)));
  }
  for (const v of vertical.values) {
    axes.append(svg("line", { x1: MARGIN.left, x2: right, y1: up.at(v), y2: up.at(v) }));
    axes.append(svg("text", { x: MARGIN.left - 6, y: up.at(v) + 4, "text-anchor": "end" }, number(v, vertical.places)));
  }
  const middle = (MARGIN.top + bottom) / 2;
  axes.append(svg("text", { class: "title", x: (MARGIN.left + right) / 2, y: height - 10, "text-anchor": "middle" }, `${short(scorers[x].name, 40)} → better`));
  axes.append(svg("text", { class: "title", "text-anchor": "middle", transform: `translate(14 ${middle}) rotate(-90)` }, `${short(scorers[y].name, 40)} → better`));
  picture.append(axes);
}

function drawPoint(p, across, up, x, y) {
  const { shape, colour } = styleOf(p.i);
  const told = describe(p.i, x, y);
  const group = svg("g", {
    class: `point ${colour}`, tabindex: 0, role: "button", "data-checkpoint": p.i,
    "aria-label": [told.name, ...told.lines].join(". "), "aria-pressed": String(filter.chosen.has(p.i)),
    onmouseenter: () => showTip(p, told, across, up), onmouseleave: hideTip,
    onfocus: () => showTip(p, told, across, up), onblur: hideTip,
    onclick: () => toggleChosen(p.i),
    onkeydown: (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        toggleChosen(p.i);
      }
    },
  });
  const [px, py] = [across.at(p.x.at), up.at(p.y.at)];
  group.append(svg("line", { x1: across.at(p.x.lo), x2: across.at(p.x.hi), y1: py, y2: py }));
  group.append(svg("line", { x1: px, x2: px, y1: up.at(p.y.lo), y2: up.at(p.y.hi) }));
  // Fingers are wider than markers.
  group.append(svg("circle", { class: "target", cx: px, cy: py, r: 14 }));
  group.append(svg("path", { d: shape, transform: `translate(${px} ${py})` }));
  return group;
}

function drawLabels(picture, points, across, up, width) {
  const taken = points.map((p) => box(across.at(p.x.at) - 8, up.at(p.y.at) - 8, 16, 16));
  for (const p of points) {
    const [px, py] = [across.at(p.x.at), up.at(p.y.at)];
    const label = svg("text", { class: "label", "data-checkpoint": p.i, "aria-hidden": "true" }, short(checkpoints[p.i].name, 36));
    picture.append(label);
    const length = label.getComputedTextLength();
    const free = [[10, -8], [-10 - length, -8], [10, 18], [-10 - length, 18], [-length / 2, -14], [-length / 2, 24]]
      .map(([dx, dy]) => box(px + dx, py + dy - 11, length, 14))
      .find((b) => b.x >= 0 && b.right <= width && b.y > 0 && !taken.some((t) => overlaps(t, b)));
    if (!free) label.remove();
    else {
      taken.push(free);
      fill(label, { x: free.x, y: free.y + 11 });
    }
  }
}

const box = (x, y, width, height) => ({ x, y, right: x + width, bottom: y + height });
const overlaps = (a, b) => a.x < b.right && b.x < a.right && a.y < b.bottom && b.y < a.bottom;

function showTip(p, told, across, up) {
  const tip = byId("tip");
  tip.replaceChildren(foreign(told.name, { class: "name" }), ...(told.id === told.name ? [] : [foreign(told.id, { class: "id" })]));
  tip.append(...told.lines.map((line) => el("span", {}, line)));
  tip.hidden = false;
  const room = byId("plot").clientWidth - tip.offsetWidth;
  tip.style.left = `${Math.max(0, Math.min(room, across.at(p.x.at) + 14))}px`;
  tip.style.top = `${Math.max(0, up.at(p.y.at) + 16)}px`;
}

function hideTip() {
  byId("tip").hidden = true;
}

function markShown(shown) {
  for (const drawn of byId("plot").querySelectorAll(".point, .label")) {
    const i = Number(drawn.dataset.checkpoint);
    drawn.classList.toggle("faded", !shown.includes(i));
    if (drawn.matches(".point")) drawn.setAttribute("aria-pressed", String(filter.chosen.has(i)));
  }
}

function startTradeOff() {
  const choices = (axes) =>
    axes.flatMap((axis) => scorers.map((s, j) => [j, s]).filter(([, s]) => s.axis === axis))
      .map(([j, s]) => [j, `${s.name} (${s.axis})`]);
  const [upwards, rightwards] = [choices(UPWARDS), choices(RIGHTWARDS)];
  const possible = upwards.length > 0 && rightwards.length > 0;
  byId("trade-off-none").hidden = possible;
  byId("trade-off-some").hidden = !possible;
  if (!possible) return;
  for (const [id, pairs] of [["axis-y", upwards], ["axis-x", rightwards]]) {
    options(byId(id), pairs);
    byId(id).value = (pairs.find(([j]) => scorers[j].primary) ?? pairs[0])[0];
  }
  const redraw = () => {
    const focused = document.activeElement.closest(".point")?.dataset.checkpoint;
    hideTip();
    drawPlot();
    markShown(shownCheckpoints());
    if (focused !== undefined) byId("plot").querySelector(`.point[data-checkpoint="${Number(focused)}"]`)?.focus();
  };
  for (const id of ["axis-y", "axis-x"]) byId(id).addEventListener("change", redraw);
  byId("plot-caption").append(
    "Bars are 95 % intervals of paired differences from ", foreign(content.reference), ", laid at its mean. ",
    "Hover or focus tells the numbers; a click or Enter filters the page by the checkpoint.",
  );
  const key = (colour, shape, text) =>
    el("li", {}, svg("svg", { class: colour, width: 16, height: 16, viewBox: "-9 -9 18 18", "aria-hidden": "true" }, svg("path", { d: shape })), foreign(text));
  byId("legend").append(
    key("m-base", STAR, content.reference),
    ...METHODS.map((method, at) => key(`m${at % 8}`, SHAPES[at % SHAPES.length], method)),
  );
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    width = entry.contentRect.width;
    redraw();
  }).observe(byId("plot"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideTip();
  });
  onFilter(markShown);
}
