// The trade-off: what a checkpoint gains in preference against what it keeps in diversity.

const UPWARDS = ["preference", "alignment", "style"];
const RIGHTWARDS = ["diversity", "distance"];
const LABELLED = 12;

const axesChosen = () => [Number(byId("axis-x").value), Number(byId("axis-y").value)];
const planeOf = (x, y) => content.planes.find((plane) => plane.x === x && plane.y === y) ?? null;

// Without a plane, as of a scorer that was not asked for: the mean, and the paired difference's interval laid at
// the reference's, beside which the mean may lie where the two have numbers of other prompts.
function placed(i, j) {
  const cell = checkpoints[i].cells[j];
  const base = checkpoints.find((c) => c.id === content.reference)?.cells[j].mean ?? null;
  if (cell.mean === null) return null;
  const ends = base === null || cell.diff === null ? [cell.mean, cell.mean] : [base + (cell.diffLo ?? cell.diff), base + (cell.diffHi ?? cell.diff)];
  return { at: cell.mean, ends };
}

function pointsOf(plane, x, y) {
  const points = plane
    ? plane.points.map((p) => ({ ...p, reach: reach(p.at, p.region) }))
    : checkpoints.map((_, i) => ({ i, x: placed(i, x), y: placed(i, y) })).filter((p) => p.x && p.y)
      .map(({ i, x: a, y: b }) => ({ i, at: [a.at, b.at], reach: { x: a.ends, y: b.ends } }));
  // The reference last, so that it lies on top.
  return points.sort((a, b) => (checkpoints[a.i].id === content.reference) - (checkpoints[b.i].id === content.reference));
}

// What is behind a mean: its interval and its prompts.
function behind(cell, places) {
  return [interval(cell.lo, cell.hi, places), size(cell.n)].filter(Boolean).join(", ");
}

function describe(p, x, y) {
  const c = checkpoints[p.i];
  const one = (j) => {
    const [cell, places] = [c.cells[j], scorers[j].places];
    const difference = cell.diff === null ? "" : `; difference ${signed(cell.diff, places)} ${[interval(cell.diffLo, cell.diffHi, places), size(cell.diffN)].filter(Boolean).join(", ")}`;
    const tested = cell.p === null ? "" : `; ${probability(cell.p)}, Holm-adjusted`;
    return `${scorers[j].title} ${number(cell.mean, places)} ${behind(cell, places)}${difference}${tested}${cell.group ? `; group ${cell.group}` : ""}`;
  };
  return { name: c.name, id: c.id, lines: [one(y), one(x), ...(p.support === undefined ? [] : [standing(p)])] };
}

const standing = (p) => `${p.may ? "may be" : "is not"} on the Pareto front (95 %); support ${share(p.support)}`;

// One point of each setting: of several training seeds the one nearest to their middle.
function namedPoints(points) {
  const groups = Map.groupBy(points, (p) => checkpoints[p.i].group);
  return [...groups.values()].map((group) => {
    const middle = [0, 1].map((n) => group.reduce((sum, p) => sum + p.at[n], 0) / group.length);
    const spread = [0, 1].map((n) => Math.max(...group.map((p) => Math.abs(p.at[n] - middle[n]))) || 1);
    const far = (p) => Math.hypot(...[0, 1].map((n) => (p.at[n] - middle[n]) / spread[n]));
    return group.reduce((a, b) => (far(b) < far(a) ? b : a));
  });
}

function drawPlot() {
  const [x, y] = axesChosen();
  const plane = planeOf(x, y);
  const points = pointsOf(plane, x, y);
  const frontiers = (plane?.frontiers ?? []).filter(({ name }) => isDrawn(`frontier ${name}`));
  const width = Math.max(260, byId("plot").clientWidth || 640);
  const height = Math.round(Math.min(480, Math.max(300, width * 0.62)));
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-labelledby": "plot-caption" });
  byId("plot").replaceChildren(picture);
  if (!points.length) {
    picture.append(svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "No checkpoint has both numbers."));
    return;
  }
  // What is too thin to be read off does not widen the plot.
  const further = frontiers.flatMap((f) => f.points.filter((p) => !p.hollow).map((p) => p.at));
  const values = (axis, n) => [...points.flatMap((p) => p.reach[axis]), ...further.map((at) => at[n])];
  const across = scale(values("x", 0), MARGIN.left, width - MARGIN.right, scorers[x].higher);
  const up = scale(values("y", 1), height - MARGIN.bottom, MARGIN.top, scorers[y].higher);
  const pixels = ([u, v]) => [across.at(u), up.at(v)];
  followPointer(picture);
  drawAxes(picture, width, height, across, up, x, y);
  const regions = plane && isDrawn("regions") ? points.filter((p) => p.region).map((p) => ({ i: p.i, ...ellipse(p.at, p.region, across, up) })) : [];
  picture.append(...regions.map((region) => ellipseMark(region, { class: `region ${styleOf(region.i).colour}${regions.length > LABELLED ? " many" : ""}`, "data-checkpoint": region.i })));
  const centre = points.find((p) => checkpoints[p.i].id === content.reference);
  if (centre) {
    const [px, py] = pixels(centre.at);
    picture.append(svg("path", { class: "cross", d: `M${px} ${MARGIN.top}V${height - MARGIN.bottom}M${MARGIN.left} ${py}H${width - MARGIN.right}` }));
  }
  if (plane && isDrawn("front")) {
    picture.append(svg("path", { class: "front", d: frontLine(points.map((p) => pixels(p.at)), MARGIN.left, height - MARGIN.bottom) }));
  }
  const inside = ([u, v]) => u >= across.lo && u <= across.hi && v >= up.lo && v <= up.hi;
  picture.append(...frontiers.map((f) => drawFrontier({ ...f, points: f.points.filter((p) => !p.hollow || inside(p.at)) }, across, up, x, y)));
  picture.append(...points.map((p) => drawPoint(p, across, up, x, y, plane === null)));
  // Names last: they need the text's true length.
  const named = namedPoints(points);
  const labels = named.length > LABELLED ? [] : named.map((p) => ({ at: p.at, text: short(checkpoints[p.i].group, width < 480 ? 22 : 36), class: "label", colour: styleOf(p.i).colour, "data-checkpoint": p.i }));
  // Optima lie so close that the boxes of the layers name them, and no text beside them.
  for (const { name, points: along } of frontiers.filter((f) => f.points.length && !f.divergence)) {
    const ends = [[along.at(-1), `${short(name, 30)}: ${short(along.at(-1).label, 14)}`], ...(along.length > 1 ? [[along[0], short(along[0].label, 14)]] : [])];
    labels.push(...ends.map(([p, text]) => ({ at: p.at, text, class: "label minor" })));
  }
  const taken = [...points.map((p) => p.at), ...further].map(pixels).map(([px, py]) => box(px - 9, py - 9, 18, 18));
  drawLabels(picture, labels.map(({ at, ...label }) => ({ x: across.at(at[0]), y: up.at(at[1]), ...label })), taken, regions, width - MARGIN.right, height - MARGIN.bottom);
}

function drawPoint(p, across, up, x, y, bars) {
  const { shape, colour } = styleOf(p.i);
  const told = describe(p, x, y);
  const [px, py] = [across.at(p.at[0]), up.at(p.at[1])];
  const group = svg("g", {
    class: `point ${colour}${p.may === false ? " beaten" : ""}`, tabindex: 0, role: "button", "data-checkpoint": p.i,
    "aria-label": [told.name, ...told.lines].join(". "), "aria-pressed": String(filter.chosen.has(p.i)),
    onkeydown: (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        toggleChosen(p.i);
      }
    },
  });
  const region = byId("plot").querySelector(`.region[data-checkpoint="${p.i}"]`);
  addMark({ px, py, told, parts: [group, region].filter(Boolean), pick: () => toggleChosen(p.i) }, group);
  if (bars) {
    const [[left, right], [low, high]] = [p.reach.x.map(across.at), p.reach.y.map(up.at)];
    group.append(svg("line", { x1: left, x2: right, y1: py, y2: py }), svg("line", { x1: px, x2: px, y1: low, y2: high }));
  }
  group.append(svg("circle", { class: "target", cx: px, cy: py, r: 12 }));
  group.append(svg("path", { d: shape, transform: `translate(${px} ${py})` }));
  return group;
}

// One stop for Tab; the arrows go along the line.
function drawFrontier(frontier, across, up, x, y) {
  const at = frontier.points.map((p) => [across.at(p.at[0]), up.at(p.at[1])]);
  const group = svg("g", { class: `frontier ${lookOf(frontier)}`, role: "group", "aria-label": `${frontier.name}, without training` });
  const solid = frontier.points.findLastIndex((p) => !p.hollow) + 1;
  const line = (places, kind) => svg("polyline", { class: kind, points: places.map((place) => place.join(",")).join(" ") });
  group.append(line(at.slice(0, solid), "line"), line(at.slice(Math.max(0, solid - 1)), "thin"));
  const stops = frontier.points.map((p, n) => {
    const value = (j, v, n) => [`${scorers[j].title} ${number(v, scorers[j].places)}`, size(n)].filter(Boolean).join(", ");
    const weight = p.share === null ? [] : [`effective sample size ${(100 * p.share).toFixed(0)} % of the pool${p.hollow ? ", too small to be read off" : ""}`];
    const told = { name: `${frontier.name}, ${p.label}`, lines: [value(y, p.at[1], p.n[1]), value(x, p.at[0], p.n[0]), ...weight, "the base model, without training"] };
    const stop = svg("g", {
      class: "stop", tabindex: n ? -1 : 0, role: "img", "aria-label": [told.name, ...told.lines].join(". "),
      onkeydown: (event) => {
        const next = stops[n + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? NaN)];
        if (!next) return;
        event.preventDefault();
        stop.setAttribute("tabindex", -1);
        next.setAttribute("tabindex", 0);
        next.focus();
      },
    });
    if (p.region) stop.append(ellipseMark(ellipse(p.at, p.region, across, up), { class: "region" }));
    stop.append(svg("circle", { class: "target", cx: at[n][0], cy: at[n][1], r: 8 }), svg("circle", { class: p.hollow ? "dot hollow" : "dot", cx: at[n][0], cy: at[n][1], r: frontier.divergence ? 1.75 : 3 }));
    addMark({ px: at[n][0], py: at[n][1], told, parts: [stop], pick: () => {} }, stop);
    return stop;
  });
  group.append(...stops);
  return group;
}

// Marks lie on each other, so the pointer is with the nearest one, and fingers are wider than marks.
const REACH = 16;
const pointer = { marks: [], near: null };

function addMark(mark, focusable) {
  pointer.marks.push(mark);
  focusable.addEventListener("focus", () => comeNear(mark));
  focusable.addEventListener("blur", () => comeNear(null));
}

function nearest(event) {
  const frame = event.currentTarget.getBoundingClientRect();
  const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
  const far = ({ px, py }) => Math.hypot(px - x, py - y);
  const best = pointer.marks.reduce((a, b) => (far(b) < far(a) ? b : a));
  return far(best) <= REACH ? best : null;
}

function comeNear(mark) {
  if (mark === pointer.near) return;
  for (const part of pointer.near?.parts ?? []) part.classList.remove("near");
  pointer.near = mark;
  const tip = byId("tip");
  tip.hidden = mark === null;
  if (mark === null) return;
  const { px, py, told, parts } = mark;
  for (const part of parts) part.classList.add("near");
  tip.replaceChildren(foreign(told.name, { class: "name" }), ...(!told.id || told.id === told.name ? [] : [foreign(told.id, { class: "id" })]));
  tip.append(...told.lines.map((line) => el("span", {}, line)));
  const room = byId("plot").clientWidth - tip.offsetWidth;
  tip.style.left = `${Math.max(0, Math.min(room, px + 14))}px`;
  tip.style.top = `${Math.max(0, py + 16)}px`;
}

function followPointer(picture) {
  Object.assign(pointer, { marks: [], near: null });
  picture.addEventListener("mousemove", (event) => {
    const mark = nearest(event);
    picture.classList.toggle("picking", mark !== null);
    comeNear(mark);
  });
  picture.addEventListener("mouseleave", () => comeNear(null));
  picture.addEventListener("click", (event) => nearest(event)?.pick());
}

function drawCaption(plane) {
  byId("plot-finding").textContent = plane?.finding ?? "";
  const reference = foreign(checkpoints.find((c) => c.id === content.reference)?.name ?? content.reference);
  const marks = plane
    ? ["A point is the table's two means, each over the prompts that have a number. Ellipses are joint 95 % regions of their differences from those of ", reference, `. ${plane.points.some((p) => !p.may) ? "Pale points are off the Pareto front: outside its 95 % confidence set" : "All points may be on the Pareto front (95 % confidence set)"}. Dashes are the front of the means. `]
    : ["Bars are 95 % intervals of paired differences from ", reference, ", laid at its mean. "];
  if (plane?.frontiers.some((f) => f.divergence)) marks.push("Lines named optimum are what a divergence would reach if training were perfect, by weights on images of the base, drawn from the base's point; dotted and hollow where the effective sample size is too small. ");
  byId("plot-caption").replaceChildren(...marks, "Hover or focus tells the numbers; a click or Enter filters the page by the checkpoint.");
  const notes = [...(plane?.notes ?? []), ...selection(...axesChosen())];
  const absent = plane ? checkpoints.filter((_, i) => !plane.points.some((p) => p.i === i)).map((c) => c.name) : [];
  if (absent.length) notes.push(`Not drawn, for too many numbers are missing: ${absent.join("; ")}.`);
  byId("front-notes").replaceChildren(...notes.map((note) => el("li", { dir: "auto" }, note)));
}

// What a mean over the prompts that have a number hides.
function selection(x, y) {
  const partial = [x, y].filter((j) => checkpoints.some((c) => c.cells[j].n !== null && c.cells[j].n !== USUAL)).map((j) => scorers[j].title);
  if (!partial.length) return [];
  const accepted = partial.some((name) => name.startsWith("true_")) && scorers.some((s) => s.name === "scene_rate");
  return [`${partial.join(" and ")}: a prompt without a number is not in the mean. Where a worse checkpoint lacks more of them its mean flatters it, and a checkpoint that repairs hard prompts is measured on them too; the paired difference, over prompts that both have, says more.${accepted ? " Only accepted scenes enter: scene_rate stands beside it." : ""}`];
}

function drawNumbers(plane, x, y, shown) {
  const points = pointsOf(plane, x, y).filter((p) => shown.includes(p.i)).sort((a, b) => (b.support ?? 0) - (a.support ?? 0) || a.i - b.i);
  const titles = ["checkpoint", scorers[y].title, scorers[x].title, ...(plane ? ["support", "front"] : [])];
  const value = (p, axis, j) => el("td", { class: "number" }, number(p.at[axis], scorers[j].places), el("small", {}, behind(checkpoints[p.i].cells[j], scorers[j].places)));
  const rows = points.map((p) => el("tr", {}, el("th", { scope: "row" }, foreign(checkpoints[p.i].name)), value(p, 1, y), value(p, 0, x),
    ...(plane ? [el("td", { class: "number" }, share(p.support)), el("td", {}, p.may ? "may be" : "is not")] : [])));
  byId("numbers-table").replaceChildren(
    el("caption", {}, `Means; small, their 95 % intervals and the prompts behind them${plane ? ". Support: the share of resamples in which a checkpoint is on the front, which is no probability" : ""}`),
    el("thead", {}, el("tr", {}, ...titles.map((title, n) => el("th", { scope: "col", class: n > 0 && n < 4 ? "number" : null }, title)))), el("tbody", {}, ...rows));
}

function markShown(shown) {
  for (const drawn of byId("plot").querySelectorAll("[data-checkpoint]")) {
    const i = Number(drawn.dataset.checkpoint);
    drawn.classList.toggle("faded", !shown.includes(i));
    if (drawn.matches(".point")) drawn.setAttribute("aria-pressed", String(filter.chosen.has(i)));
  }
  const [x, y] = axesChosen();
  drawNumbers(planeOf(x, y), x, y, shown);
}

function startTradeOff() {
  const choices = (axes) =>
    axes.flatMap((axis) => scorers.map((s, j) => [j, s]).filter(([, s]) => s.axis === axis))
      .map(([j, s]) => [j, `${s.title} (${s.axis})`]);
  const [upwards, rightwards] = [choices(UPWARDS), choices(RIGHTWARDS)];
  const possible = upwards.length > 0 && rightwards.length > 0;
  byId("trade-off-none").hidden = possible;
  byId("trade-off-some").hidden = !possible;
  if (!possible) return;
  for (const [id, pairs, first] of [["axis-y", upwards, content.planes[0]?.y], ["axis-x", rightwards, content.planes[0]?.x]]) {
    options(byId(id), pairs);
    byId(id).value = first ?? (pairs.find(([j]) => scorers[j].primary) ?? pairs[0])[0];
  }
  const redraw = () => {
    const focused = document.activeElement.closest(".point")?.dataset.checkpoint;
    comeNear(null);
    drawPlot();
    markShown(shownCheckpoints());
    if (focused !== undefined) byId("plot").querySelector(`.point[data-checkpoint="${Number(focused)}"]`)?.focus();
  };
  const choose = () => {
    const [x, y] = axesChosen();
    const plane = planeOf(x, y);
    drawLayers(plane, redraw);
    drawLegend(plane);
    drawCaption(plane);
    redraw();
  };
  for (const id of ["axis-y", "axis-x"]) byId(id).addEventListener("change", choose);
  choose();
  let width = byId("plot").clientWidth;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    width = entry.contentRect.width;
    redraw();
  }).observe(byId("plot"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") comeNear(null);
  });
  onFilter(markShown);
}
