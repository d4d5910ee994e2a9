// The leaderboard: sorted by any column, best first, numbers that are missing always last.

const MARKS = { 1: ["▲", "better than the reference"], "-1": ["▼", "worse than the reference"] };
const FACTS = [
  { key: "objective", text: "objective" },
  { key: "divergence", text: "divergence" },
  { key: "beta", text: "beta" },
];
const sorting = { column: null, reverse: false };

const axisNames = () => known(scorers.map((scorer) => scorer.axis));

// Scorers of one axis side by side, as in the other exports.
function shownScorers() {
  const asked = byId("columns").value;
  const wanted = (s) => asked === "all" || (asked === "primary" ? s.primary : s.axis === asked);
  return axisNames().flatMap((axis) =>
    scorers.map((s, j) => ({ ...s, j })).filter((s) => s.axis === axis && wanted(s)),
  );
}

function header(key, text, attributes = {}) {
  const sorted = sorting.column === key;
  const button = el("button", { type: "button", class: "sort", onclick: () => sortBy(key) }, text);
  return el("th", { scope: "col", "data-key": key, "aria-sort": sorted ? direction(key) : null, ...attributes }, button);
}

// A better number first, so a scorer falls or rises by its own direction.
function direction(key) {
  const best = typeof key === "number" && scorers[key].higher ? "descending" : "ascending";
  if (!sorting.reverse) return best;
  return best === "ascending" ? "descending" : "ascending";
}

// First click: best first; second: worst first; third: as evaluated.
function sortBy(key) {
  if (sorting.column !== key) Object.assign(sorting, { column: key, reverse: false });
  else if (!sorting.reverse) sorting.reverse = true;
  else sorting.column = null;
  for (const cell of byId("board").querySelectorAll("th[data-key]")) {
    const own = cell.dataset.key === String(sorting.column);
    if (own) cell.setAttribute("aria-sort", direction(sorting.column));
    else cell.removeAttribute("aria-sort");
  }
  drawRows();
}

function sortValue(i) {
  const key = sorting.column;
  if (typeof key === "number") return checkpoints[i].cells[key].mean;
  if (key === "missing") return checkpoints[i].missing;
  return checkpoints[i][key];
}

function sorted(shown) {
  if (sorting.column === null) return shown;
  const sign = direction(sorting.column) === "ascending" ? 1 : -1;
  const compare = (a, b) => (typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b)) : a - b);
  return [...shown].sort((i, j) => {
    const [a, b] = [sortValue(i), sortValue(j)];
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * compare(a, b);
  });
}

function drawHeader() {
  const columns = shownScorers();
  const axes = el("tr", {}, el("td"), ...FACTS.map(() => el("td", { class: "fact" })));
  for (const axis of known(columns.map((s) => s.axis))) {
    axes.append(el("th", { scope: "colgroup", class: "axis", colspan: columns.filter((s) => s.axis === axis).length }, axis));
  }
  axes.append(el("td"));
  const names = el("tr", {}, header("name", "checkpoint"), ...FACTS.map((fact) => header(fact.key, fact.text, { class: "fact" })));
  for (const s of columns) {
    const arrow = el("span", { "aria-hidden": "true" }, s.higher ? " ↑" : " ↓");
    const cell = header(s.j, s.name, { class: "number" });
    cell.firstChild.append(arrow, spoken(s.higher ? ", higher is better" : ", lower is better"));
    names.append(cell);
  }
  names.append(header("missing", "missing", { class: "number" }));
  byId("board").tHead.replaceChildren(axes, names);
}

function drawRows() {
  const columns = shownScorers();
  const rows = sorted(shownCheckpoints()).map((i) => {
    const c = checkpoints[i];
    const name = el("th", { scope: "row" }, foreign(c.name));
    if (c.id !== c.name) name.append(foreign(c.id, { class: "id" }));
    if (!c.ranked) name.append(el("span", { class: "warning" }, "not ranked"));
    if (c.note) name.append(el("span", { class: "warning" }, c.note));
    const row = el("tr", {}, name, ...FACTS.map((fact) => el("td", { class: "fact" }, foreign(String(c[fact.key] ?? "–")))));
    row.append(...columns.map((s) => cellOf(i, s)), el("td", { class: "number" }, c.missing.toLocaleString("en")));
    return row;
  });
  if (!rows.length) rows.push(el("tr", {}, el("td", { colspan: columns.length + FACTS.length + 2 }, "No checkpoint fits the filter.")));
  byId("board").tBodies[0].replaceChildren(...rows);
}

function cellOf(i, s) {
  const cell = checkpoints[i].cells[s.j];
  const box = el("td", { class: cell.group === 1 ? "number best" : "number" });
  if (cell.mean === null) return fill(box, {}, "–", el("small", { class: "why" }, short(cell.note, 60)));
  box.append(el("span", { class: "mean" }, number(cell.mean, s.places)));
  if (s.inDomain.includes(i)) box.append(el("span", { class: "mark", "aria-hidden": "true" }, "†"), spoken(" in-domain"));
  const mark = MARKS[cell.verdict];
  if (mark) box.append(el("span", { class: `mark ${cell.verdict > 0 ? "up" : "down"}`, "aria-hidden": "true" }, mark[0]), spoken(` ${mark[1]}`));
  if (cell.group) box.append(" ", el("span", { class: "group" }, spoken("group "), String(cell.group)));
  box.append(el("small", {}, interval(cell.lo, cell.hi, s.places)));
  if (byId("details").checked && cell.diff !== null) {
    box.append(el("small", {}, `${signed(cell.diff, s.places)} ${interval(cell.diffLo, cell.diffHi, s.places)}`));
    const rest = [cell.p === null ? "" : probability(cell.p), cell.win === null ? "" : `wins ${(100 * cell.win).toFixed(0)} %`];
    box.append(el("small", {}, rest.filter(Boolean).join(", ")));
  }
  return box;
}

function startLeaderboard() {
  const kinds = [["all", "all"], ...(scorers.some((s) => s.primary) ? [["primary", "primary"]] : []), ...axisNames().map((a) => [a, a])];
  options(byId("columns"), kinds);
  byId("columns").addEventListener("change", () => {
    drawHeader();
    drawRows();
  });
  byId("details").addEventListener("change", drawRows);
  byId("details-reference").textContent = checkpoints.find((c) => c.id === content.reference)?.name ?? content.reference;
  byId("leaderboard-caption").append(
    "Mean with its 95 % interval. A number in a box is the tie group: 1 and bold may be the best. ▲ better, ▼ worse than ",
    foreign(content.reference),
    " (Holm-adjusted p < 0.05). ",
    scorers.some((s) => s.inDomain.length) ? "† the scorer knows the data this checkpoint was trained on. " : "",
    "A click on a heading sorts.",
  );
  byId("notes").append(...content.notes.map((note) => el("li", { dir: "auto" }, note)));
  drawHeader();
  onFilter(drawRows);
}
