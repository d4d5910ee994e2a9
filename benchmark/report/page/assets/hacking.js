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
const widest = Math.max(0.1, ...gaps.flatMap((gap) => gap.values.flatMap((v) => (v ?? []).slice(0, 3).map((end) => Math.abs(end ?? 0)))));

const against = (names) => (names.length > 1 ? `mean of ${names.join(", ")}` : names[0]);

function drawGaps(shown) {
  const rows = gapTable.sorted(shown.filter((i) => gaps.some((gap) => gap.values[i])))
    .map((i) => el("tr", {}, el("th", { scope: "row" }, foreign(checkpoints[i].name)), ...gaps.map((gap) => gapCell(gap.values[i]))));
  if (!rows.length) rows.push(el("tr", {}, el("td", { colspan: gaps.length + 1 }, "No checkpoint with a gap fits the filter.")));
  byId("gaps").tBodies[0].replaceChildren(...rows);
}

function gapCell(numbers) {
  if (!numbers) return el("td", { class: "number" }, "–");
  const [value, lo, hi, n] = numbers;
  const surely = lo !== null && lo > 0;
  const words = el("div", {}, el("span", { class: "mean" }, signed(value, GAP_PLACES)));
  if (surely) words.append(el("span", { class: "mark down", "aria-hidden": "true" }, "▲"), spoken(" above 0"));
  words.append(el("small", {}, [interval(lo, hi, GAP_PLACES), size(n)].filter(Boolean).join(", ")));
  return el("td", { class: "number" }, el("div", { class: "gap" }, whisker(value, lo, hi, surely), words));
}

function whisker(value, lo, hi, surely) {
  const at = (v) => 60 + (v / widest) * 56;
  const bar = svg("svg", { class: surely ? "whisker down" : "whisker", width: 120, height: 14, viewBox: "0 0 120 14", "aria-hidden": "true" },
    svg("line", { class: "zero", x1: 60, x2: 60, y1: 0, y2: 14 }));
  if (lo !== null && hi !== null) bar.append(svg("line", { x1: at(lo), x2: at(hi), y1: 7, y2: 7 }));
  return fill(bar, {}, svg("circle", { cx: at(value), cy: 7, r: 3 }));
}

function startHacking() {
  byId("hacking-none").hidden = gaps.length > 0;
  byId("hacking-some").hidden = !gaps.length;
  if (!gaps.length) return;
  const kinds = known(gaps.map((gap) => gap.kind));
  byId("hacking-what").append(
    "Each number is a gain over the base model less another gain, both in the base's within-prompt standard deviations. Above 0 means: ",
    ...kinds.flatMap((kind, n) => [el("strong", {}, KINDS[kind].title), ` – ${KINDS[kind].means}${n < kinds.length - 1 ? "; " : "."}`]),
    " With 95 % intervals over prompts, one comparison at a time; ▲ where the interval lies above 0.");
  const headings = gaps.map((gap, n) => {
    const heading = gapTable.heading(n, KINDS[gap.kind].title, { class: "number" });
    return fill(heading, {}, el("small", { class: "why" }, foreign(`${titleOf(gap.gained)} − ${against(gap.heldOut.map(titleOf))}`.trim())));
  });
  byId("gaps").tHead.append(el("tr", {}, gapTable.heading("name", "checkpoint"), ...headings));
  onFilter(drawGaps);
}
