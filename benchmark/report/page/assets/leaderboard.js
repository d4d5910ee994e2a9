// The leaderboard: sorted by any column, best first, numbers that are missing always last.

const MARKS = { 1: ["▲", "better than the reference"], "-1": ["▼", "worse than the reference"] };
const FACTS = [
  { key: "objective", text: "objective" },
  { key: "divergence", text: "divergence" },
  { key: "beta", text: "beta" },
];
// As the other tables say them.
const cost = (value) => rounded(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
const COSTS = [
  { key: "training", text: "train s", show: cost },
  { key: "evaluation", text: "eval s", show: cost },
  { key: "memory", text: "memory GB", show: cost },
].filter(({ key }) => checkpoints.some((c) => c.cost[key] !== null));
// What goes without saying beside a mean: a note below the table says it once.
const USUAL = Math.max(...checkpoints.flatMap((c) => c.cells.map((cell) => cell.n ?? 0)));
const board = sortable(byId("board"), {
  value(key, i) {
    if (typeof key === "number") return checkpoints[i].cells[key].mean;
    return key in checkpoints[i].cost ? checkpoints[i].cost[key] : checkpoints[i][key];
  },
  // A better number first, so a scorer falls or rises by its own direction.
  best: (key) => (typeof key === "number" && scorers[key].higher ? "descending" : "ascending"),
  draw: () => drawRows(),
});

const axisNames = () => known(scorers.map((scorer) => scorer.axis));

// Scorers of one axis side by side, as in the other exports.
function shownScorers() {
  const asked = byId("columns").value;
  const wanted = (s) => asked === "all" || (asked === "primary" ? s.primary : s.axis === asked);
  return axisNames().flatMap((axis) =>
    scorers.map((s, j) => ({ ...s, j })).filter((s) => s.axis === axis && wanted(s)),
  );
}

// Costs belong to the whole, or stand alone when they are asked for.
const shownCosts = () => (["all", "cost"].includes(byId("columns").value) ? COSTS : []);

function drawHeader() {
  const columns = shownScorers();
  const axes = el("tr", {}, el("td"), ...FACTS.map(() => el("td", { class: "fact" })));
  for (const axis of known(columns.map((s) => s.axis))) {
    axes.append(el("th", { scope: "colgroup", class: "axis", colspan: columns.filter((s) => s.axis === axis).length }, axis));
  }
  axes.append(el("td"));
  if (shownCosts().length) axes.append(el("th", { scope: "colgroup", class: "axis", colspan: shownCosts().length }, "cost"));
  const names = el("tr", {}, board.heading("name", "checkpoint"), ...FACTS.map((fact) => board.heading(fact.key, fact.text, { class: "fact" })));
  for (const s of columns) {
    const arrow = el("span", { "aria-hidden": "true" }, s.higher ? " ↑" : " ↓");
    const cell = board.heading(s.j, s.title, { class: "number" });
    hinted(cell.firstChild, about(s)).append(arrow, spoken(s.higher ? ", higher is better" : ", lower is better"));
    names.append(cell);
  }
  names.append(...[{ key: "missing", text: "missing" }, ...shownCosts()].map(({ key, text }) => board.heading(key, text, { class: "number" })));
  byId("board").tHead.replaceChildren(axes, names);
}

function drawRows() {
  const [columns, costs] = [shownScorers(), shownCosts()];
  const rows = board.sorted(shownCheckpoints()).map((i) => {
    const c = checkpoints[i];
    const name = el("th", { scope: "row" }, foreign(c.name));
    if (c.id !== c.name && byId("details").checked) name.append(foreign(c.id, { class: "id" }));
    if (!c.ranked) name.append(el("span", { class: "warning" }, "not ranked"));
    if (c.note) name.append(el("span", { class: "warning" }, c.note));
    const row = el("tr", {}, name, ...FACTS.map((fact) => el("td", { class: "fact" }, foreign(String(c[fact.key] ?? "–")))));
    row.append(...columns.map((s) => cellOf(i, s)), el("td", { class: "number" }, c.missing.toLocaleString("en")));
    row.append(...costs.map(({ key, show }) => el("td", { class: "number" }, c.cost[key] === null ? "–" : show(c.cost[key]))));
    return row;
  });
  if (!rows.length) rows.push(el("tr", {}, el("td", { colspan: columns.length + costs.length + FACTS.length + 2 }, "No checkpoint fits the filter.")));
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
  box.append(el("small", {}, [interval(cell.lo, cell.hi, s.places), cell.n === USUAL ? "" : size(cell.n)].filter(Boolean).join(", ")));
  if (byId("details").checked && cell.diff !== null) {
    box.append(el("small", {}, `${signed(cell.diff, s.places)} ${interval(cell.diffLo, cell.diffHi, s.places)}`));
    const rest = [size(cell.diffN), cell.p === null ? "" : `${probability(cell.p)} adjusted`, cell.win === null ? "" : `wins ${(100 * cell.win).toFixed(0)} %`];
    box.append(el("small", {}, rest.filter(Boolean).join(", ")));
    box.append(el("small", { class: "disagree" }, disagreement(cell)));
  }
  return box;
}

// An interval is for its own comparison alone, a p for all of its scorer: what the one finds the other may not.
function disagreement(cell) {
  if (cell.p === null || cell.diffLo === null || cell.diffHi === null) return "";
  const alone = cell.diffLo > 0 || cell.diffHi < 0;
  if (alone === (cell.verdict !== 0)) return "";
  return alone ? "beyond 0 alone, not after adjusting" : "adjusted p below 0.05, interval holds 0";
}

function startLeaderboard() {
  const kinds = [["all", "all"], ...(scorers.some((s) => s.primary) ? [["primary", "primary"]] : []), ...axisNames().map((a) => [a, a]), ...(COSTS.length ? [["cost", "cost"]] : [])];
  options(byId("columns"), kinds);
  byId("columns").addEventListener("change", () => {
    drawHeader();
    drawRows();
  });
  byId("details").addEventListener("change", drawRows);
  byId("columns").value = scorers.some((s) => s.primary) ? "primary" : "all";
  byId("leaderboard-caption").append(
    "Mean with its 95 % interval. Bold may be the best; the number in a box is the tie group. ▲ better, ▼ worse than ",
    foreign(content.reference),
    " by Holm-adjusted p < 0.05. ",
    scorers.some((s) => s.inDomain.length) ? "† the scorer knows the data this checkpoint was trained on. " : "",
    USUAL > 0 ? `n: prompts behind a mean, where not ${USUAL}. ` : "",
    "A click on a heading sorts.",
  );
  byId("notes").append(
    el("li", {}, "Differences have 95 % intervals, each for its own comparison alone. Their p is adjusted (Holm) over the checkpoints of a scorer, and so are ▲ and ▼; where the two disagree the cell says so."),
    ...content.notes.map((note) => el("li", { dir: "auto" }, note)),
    COSTS.length ? el("li", {}, "Costs are wall time and peak memory; – is not known.") : "",
  );
  drawHeader();
  onFilter(drawRows);
}
