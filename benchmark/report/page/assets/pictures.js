// Pictures of one prompt side by side, with their scores; only those on show are in the document.

const view = { list: [], at: 0 };
const faults = new Map(content.pictures.faults.map(([c, p, k, note]) => [`${c} ${p} ${k}`, note]));

// [k][checkpoint] of base64, or null where none of this prompt are in the page.
function picturesOf(p) {
  const block = byId(`pictures-${p}`);
  return block ? JSON.parse(block.textContent) : null;
}

function scoreOf(j, c, p, ks) {
  const value = scores[j]?.[c]?.[p] ?? null;
  if (!Array.isArray(value)) return value;
  const there = ks.map((k) => value[k] ?? null).filter((v) => v !== null);
  return there.length ? there.reduce((a, b) => a + b, 0) / there.length : null;
}

const shownSeeds = () => (byId("all-seeds").checked ? seeds.map((_, k) => k) : [Number(byId("seed").value)]);

// How far the checkpoints lie apart on a prompt, over all k.
function apart(j, p) {
  const ks = seeds.map((_, k) => k);
  const values = checkpoints.map((_, c) => scoreOf(j, c, p, ks)).filter((v) => v !== null);
  return values.length > 1 ? Math.max(...values) - Math.min(...values) : -1;
}

function search() {
  const current = view.list[view.at];
  const words = folded(byId("prompt-text").value.trim());
  const tag = byId("prompt-tag").value;
  view.list = prompts.map((_, p) => p).filter((p) =>
    (!byId("drawn").checked || byId(`pictures-${p}`)) && (!tag || prompts[p].tags.includes(tag)) && (!words || folded(`${prompts[p].id} ${prompts[p].text}`).includes(words)));
  const order = byId("prompt-order").value;
  if (order !== "") {
    const distance = new Map(view.list.map((p) => [p, apart(Number(order), p)]));
    view.list.sort((p, q) => distance.get(q) - distance.get(p));
  }
  view.at = Math.max(0, order === "" ? view.list.indexOf(current) : 0);
  options(byId("prompt-choice"), view.list.map((p, at) => [at, short(prompts[p].text, 80)]));
  drawPrompt();
}

function step(by) {
  if (!view.list.length) return;
  view.at = (view.at + by + view.list.length) % view.list.length;
  drawPrompt();
}

function drawPrompt() {
  const p = view.list[view.at];
  const none = p === undefined;
  byId("previous").disabled = byId("next").disabled = byId("prompt-choice").disabled = none;
  byId("prompt-state").textContent = none ? "No prompt fits." : `Prompt ${view.at + 1} of ${view.list.length.toLocaleString("en")}`;
  byId("seed-value").textContent = seeds.length ? String(seeds[Number(byId("seed").value)]) : "";
  byId("seed").disabled = byId("all-seeds").checked;
  const held = document.activeElement.closest("#compare .zoom")?.dataset.at;
  byId("prompt-shown").replaceChildren();
  byId("compare").replaceChildren();
  if (none) return;
  byId("prompt-choice").value = view.at;
  byId("prompt-shown").append(
    el("p", { class: "text", dir: "auto", tabindex: prompts[p].text.length > 400 ? 0 : null }, prompts[p].text),
    el("p", { class: "id" }, foreign(prompts[p].id), ...prompts[p].tags.map((tag) => tagged(tag, { class: "tag" }))),
  );
  byId("compare").append(comparison(p, shownCheckpoints(), shownSeeds()));
  // Who is at a picture stays there when the prompt turns.
  if (held !== undefined) (byId("compare").querySelector(`.zoom[data-at="${held}"]`) ?? byId("compare")).focus();
}

function comparison(p, shown, ks) {
  const drawn = picturesOf(p);
  const names = el("tr", {}, el("td"), ...shown.map((c) => el("th", { scope: "col" }, foreign(checkpoints[c].name))));
  const pictures = el("tr", {}, el("th", { scope: "row" }, ks.length > 1 ? "all k" : "picture"));
  for (const c of shown) {
    const kind = ks.length > 1 ? "pictures many" : "pictures";
    pictures.append(el("td", {}, el("div", { class: kind }, ...ks.map((k) => picture(drawn, p, c, k)))));
  }
  const best = shown.map(() => 0);
  let lacking = false;
  const rows = shownScorers().flatMap((s) => {
    const { j } = s;
    if (!scores[j]) return [];
    const values = shown.map((c) => scoreOf(j, c, p, ks));
    const there = values.filter((v) => v !== null);
    lacking ||= there.length < values.length;
    const top = s.higher ? Math.max(...there) : Math.min(...there);
    const cells = values.map((value, n) => {
      const won = value === top && there.length > 1 && there.some((v) => v !== top);
      best[n] += won;
      const cell = el("td", { class: won ? "number won" : "number" }, number(value, s.places + 1));
      return won ? fill(cell, {}, el("span", { class: "mark", "aria-hidden": "true" }, "★"), spoken(" won")) : cell;
    });
    const unit = s.unit === "prompt" ? "all k" : ks.length > 1 ? "mean" : "";
    return [el("tr", {}, el("th", { scope: "row" }, hinted(el("span", {}, ...breakable(s.title)), about(s)), el("span", { "aria-hidden": "true" }, s.higher ? "\u00a0↑" : "\u00a0↓"), el("small", {}, unit)), ...cells)];
  });
  const table = el("table", { class: "compare" }, el("caption", {}, `★ won on this scorer, among the checkpoints shown; ${lacking ? "– no value: the scorer does not rate this prompt, or could not rate the picture; " : ""}the scorers are those of the leaderboard above`), el("thead", {}, names, pictures), el("tbody", {}, ...rows));
  if (rows.length && shown.length > 1) {
    table.append(el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, "scorers won"), ...best.map((n) => el("td", { class: "number" }, String(n))))));
  }
  return table;
}

function picture(drawn, p, c, k) {
  const row = drawn?.[k] ?? null;
  const encoded = row?.[c] ?? null;
  const fault = faults.get(`${c} ${p} ${k}`);
  if (encoded) {
    const alt = `${checkpoints[c].name}, k = ${seeds[k]}: ${short(prompts[p].text, 100)}`;
    const image = el("img", { src: `data:image/webp;base64,${encoded}`, alt, class: content.pictures.small ? "small" : "" });
    return el("button", { type: "button", class: "zoom", "data-at": `${c} ${k}`, onclick: () => openZoom(c, k) }, image);
  }
  if (fault) return el("span", { class: "gone" }, foreign(short(fault, 90)));
  if (row || !content.pictures.total) return el("span", { class: "gone" }, "no picture");
  return el("span", { class: "gone" }, "left out of this page");
}

function startPictures() {
  const note = [content.pictures.note, ...content.pageNotes].filter(Boolean).join(" ");
  byId("pictures-note").hidden = !note;
  byId("pictures-note").textContent = note;
  const tags = known(prompts.flatMap((prompt) => prompt.tags)).sort();
  options(byId("prompt-tag"), [["", "any"], ...tags.map((tag) => [tag, tag])]);
  const measured = scorers.map((s, j) => [j, s]).filter(([j]) => scores[j]);
  options(byId("prompt-order"), [["", "as in the set"], ...measured.map(([j, s]) => [j, `${s.title} most apart`])]);
  fill(byId("seed"), { max: Math.max(0, seeds.length - 1) });
  byId("seed-label").hidden = byId("all-label").hidden = seeds.length < 2;
  byId("drawn-label").hidden = content.pictures.kept === 0 || !content.pictures.note;
  for (const id of ["prompt-tag", "prompt-order", "drawn"]) byId(id).addEventListener("change", search);
  byId("prompt-text").addEventListener("input", search);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("prompt-choice").addEventListener("change", (event) => {
    view.at = Number(event.target.value);
    drawPrompt();
  });
  byId("seed").addEventListener("input", drawPrompt);
  byId("all-seeds").addEventListener("change", drawPrompt);
  // Where the arrows mean nothing else, they turn the pages.
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const scrolls = event.target.closest(".wide, .text") && !event.target.closest(".zoom");
    const busy = scrolls || event.target.closest("input, select, summary, pre, dialog, .point, .stop") || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (!by || busy) return;
    event.preventDefault();
    step(by);
  });
  byId("columns").addEventListener("change", drawPrompt);
  search();
  onFilter(drawPrompt);
}
