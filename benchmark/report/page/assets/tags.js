// The numbers by what a prompt is about: all tags of one scorer, or all scorers of one tag.

const { tags: tagNames, cells: tagCells } = content.byTag;

function startTags() {
  byId("tags-none").hidden = tagNames.length > 0;
  byId("tags-some").hidden = !tagNames.length;
  if (!tagNames.length) return;
  const group = (label, kind, pairs) => el("optgroup", { label }, ...pairs.map(([at, name]) => el("option", { value: `${kind} ${at}`, dir: "auto" }, short(name, 60))));
  const measured = scorers.map((s, j) => [j, s.title]).filter(([j]) => tagCells[j]);
  const primary = measured.filter(([j]) => scorers[j].primary);
  byId("tag-choice").append(group("one scorer, all tags", "scorer", measured), group("one tag, all scorers", "tag", tagNames.map((name, t) => [t, name])));
  byId("tag-choice").value = `scorer ${(primary[0] ?? measured[0])[0]}`;
  byId("tag-choice").addEventListener("change", () => drawTags(shownCheckpoints()));
  byId("tags-caption").append(
    "Mean, and below it the paired difference from ", foreign(checkpoints.find((c) => c.id === content.reference)?.name ?? content.reference),
    " with its 95 % interval; ▲ better, ▼ worse where that lies beside 0. Many comparisons on few prompts, not adjusted: they say where to look, and are no tests.");
  onFilter(drawTags);
}

function drawTags(shown) {
  const [kind, at] = byId("tag-choice").value.split(" ");
  const lines = kind === "scorer"
    ? tagNames.map((name, t) => ({ heading: tagged(name), j: Number(at), t }))
    : scorers.map((s, j) => ({ heading: hinted(foreign(`${s.title} ${s.higher ? "↑" : "↓"}`), about(s)), j, t: Number(at) })).filter(({ j }) => tagCells[j]);
  const rows = lines.map(({ heading, j, t }) => {
    const cells = tagCells[j][t];
    const most = Math.max(...cells.map((cell) => cell?.[0] ?? 0));
    return el("tr", {}, el("th", { scope: "row" }, heading, el("small", {}, count(most, "prompt"))), ...shown.map((i) => tagCell(cells[i], scorers[j])));
  });
  const table = byId("tag-table");
  table.tHead.replaceChildren(el("tr", {}, el("th", { scope: "col" }, kind === "scorer" ? "tag" : "scorer"), ...shown.map((i) => el("th", { scope: "col", class: "number" }, foreign(checkpoints[i].name)))));
  table.tBodies[0].replaceChildren(...rows);
}

function tagCell(cell, s) {
  if (!cell || cell[1] === null) return el("td", { class: "number" }, "–");
  const [, mean, diff, lo, hi] = cell;
  const box = el("td", { class: "number" }, el("span", { class: "mean" }, number(mean, s.places)));
  if (diff === null) return box;
  const side = lo === null || hi === null ? 0 : lo > 0 ? 1 : hi < 0 ? -1 : 0;
  const mark = side && MARKS[s.higher ? side : -side];
  if (mark) box.append(el("span", { class: `mark ${mark[0] === "▲" ? "up" : "down"}`, "aria-hidden": "true" }, mark[0]), spoken(` ${mark[1]}`));
  return fill(box, {}, el("small", {}, `${signed(diff, s.places)} ${interval(lo, hi, s.places)}`));
}
