// The hacking index and the truths beside it: what was gained on one scorer and not on others.

const KINDS = {
  hacking: { title: "hacking index", means: "the scorer that the checkpoint was trained towards gained more than the held-out scorers of its axis" },
  "proxy gap": { title: "proxy gap", means: "the learned preference gained more than the true reward it stands for" },
  "taste transfer": { title: "taste transfer", means: "the reward of the annotators it learned from gained more than that of others" },
  "content loss": { title: "content loss", means: "fewer of the asked-for facts are shown" },
};
const GAP_PLACES = 2;
const gaps = content.gaps;
const gapTable = sortable(byId("gaps"), {
  value: (key, i) => (typeof key === "number" ? (gaps[key].values[i]?.[0] ?? null) : checkpoints[i][key]),
  best: () => "ascending",
  draw: () => drawGaps(shownCheckpoints()),
});

// The width of the little pictures in standard deviations, the same for all of them.
const widest = Math.max(0.1, ...gaps.flatMap((gap) => gap.values.flatMap((v) => (v ?? []).map((end) => Math.abs(end ?? 0)))));

const against = (names) => (names.length > 1 ? `mean of ${names.join(", ")}` : names[0]);

function drawGaps(shown) {
  const rows = gapTable.sorted(shown.filter((i) => gaps.some((gap) => gap.values[i])))
    .map((i) => el("tr", {}, el("th", { scope: "row" }, foreign(checkpoints[i].name)), ...gaps.map((gap) => gapCell(gap.values[i]))));
  if (!rows.length) rows.push(el("tr", {}, el("td", { colspan: gaps.length + 1 }, "No checkpoint with a gap fits the filter.")));
  byId("gaps").tBodies[0].replaceChildren(...rows);
}

function gapCell(numbers) {
  if (!numbers) return el("td", { class: "number" }, "–");
  const [value, lo, hi] = numbers;
  const cell = el("td", { class: "number" }, el("span", { class: "mean" }, signed(value, GAP_PLACES)));
  const surely = lo !== null && lo > 0;
  if (surely) cell.append(el("span", { class: "mark down", "aria-hidden": "true" }, "▲"), spoken(" above 0"));
  cell.append(el("small", {}, interval(lo, hi, GAP_PLACES)));
  const at = (v) => 40 + (v / widest) * 38;
  const bar = svg("svg", { class: surely ? "whisker down" : "whisker", width: 80, height: 10, viewBox: "0 0 80 10", "aria-hidden": "true" },
    svg("line", { class: "zero", x1: 40, x2: 40, y1: 0, y2: 10 }));
  if (lo !== null && hi !== null) bar.append(svg("line", { x1: at(lo), x2: at(hi), y1: 5, y2: 5 }));
  bar.append(svg("circle", { cx: at(value), cy: 5, r: 3 }));
  return fill(cell, {}, bar);
}

function startHacking() {
  byId("hacking-none").hidden = gaps.length > 0;
  byId("hacking-some").hidden = !gaps.length;
  if (!gaps.length) return;
  const kinds = known(gaps.map((gap) => gap.kind));
  byId("hacking-what").append(
    "Each number is a gain over the base model less another gain, both in the base's within-prompt standard deviations. Above 0 means: ",
    ...kinds.flatMap((kind, n) => [el("strong", {}, KINDS[kind].title), ` – ${KINDS[kind].means}${n < kinds.length - 1 ? "; " : "."}`]));
  byId("hacking-caption").append("With 95 % intervals over prompts; ▲ the interval lies above 0. One comparison at a time: they are not adjusted for each other.");
  const headings = gaps.map((gap, n) => {
    const heading = gapTable.heading(n, KINDS[gap.kind].title, { class: "number" });
    return fill(heading, {}, el("small", { class: "why" }, foreign(`${gap.gained} − ${against(gap.heldOut)}`.trim())));
  });
  byId("gaps").tHead.append(el("tr", {}, gapTable.heading("name", "checkpoint"), ...headings));
  onFilter(drawGaps);
}
