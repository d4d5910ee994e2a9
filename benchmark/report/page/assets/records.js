// What is missing, and what was run.

const PAGE = 100;

function startMissing() {
  const { missing, undefined: without } = content;
  const failed = missing.reduce((n, row) => n + row.scorers.length, 0);
  const lacking = without ? ` ${count(without, "further number does", "further numbers do")} not exist although nothing failed, such as the diversity of a prompt with one right image.` : "";
  byId("missing-state").textContent = (failed ? `${count(failed, "row has", "rows have")} no value.` : "No row is missing.") + lacking;
  byId("missing-rows").hidden = !missing.length;
  if (!missing.length) return;
  const body = el("tbody");
  const titles = ["checkpoint", "prompt", "k", "scorers", "status", "why"];
  byId("missing-rows").append(el("table", {},
    el("caption", {}, "One line for each cause, with the scorers it cost"),
    el("thead", {}, el("tr", {}, ...titles.map((title) => el("th", { scope: "col" }, title)))), body));
  const more = byId("missing-more");
  const next = () => {
    const from = body.rows.length;
    body.append(...missing.slice(from, from + PAGE).map(missingRow));
    const left = missing.length - body.rows.length;
    more.hidden = left <= 0;
    more.textContent = `Show ${Math.min(PAGE, left)} more of ${count(left, "line")}`;
  };
  more.addEventListener("click", next);
  next();
}

function missingRow(row) {
  const text = row.prompt === null ? (row.promptId ?? "the whole set") : prompts[row.prompt].text;
  return el("tr", {},
    el("th", { scope: "row" }, foreign(row.checkpoint === null ? "–" : checkpoints[row.checkpoint].name)),
    el("td", {}, foreign(short(text, 80))),
    el("td", { class: "number" }, row.k === null ? "–" : String(row.k)),
    el("td", {}, row.scorers.map(titleOf).join(", ")),
    el("td", {}, row.status),
    el("td", {}, foreign(short(row.note, 300))));
}

function startManifests() {
  const list = byId("manifest-list");
  if (!content.manifests.length) list.append(el("p", {}, "No manifest was at hand when this page was written."));
  list.append(...content.manifests.map(manifest));
  byId("signature-line").textContent = content.signature;
  startWorkers();
}

function startWorkers() {
  const place = byId("workers");
  place.hidden = !content.workers.length;
  if (place.hidden) return;
  const titles = ["worker", "machine", "units", "images", "images / s", "scored", "scored / s", "restarts"];
  const rows = content.workers.map((w) => {
    const numbers = [w.units, w.images, w.imagesPerSecond, w.scored, w.scoredPerSecond, w.restarts];
    return el("tr", {}, el("th", { scope: "row" }, w.name), el("td", {}, foreign(w.node)),
      ...numbers.map((number) => el("td", { class: "number" }, number === null ? "–" : String(number))));
  });
  place.append(el("table", {}, el("caption", {}, "What each worker did in the last command that had something to do"),
    el("thead", {}, el("tr", {}, ...titles.map((title) => el("th", { scope: "col" }, title)))), el("tbody", {}, ...rows)));
}

function manifest(m) {
  const facts = [
    ["status", m.status], ["command", m.command], ["started", m.started_at], ["ended", m.ended_at], ["attempts", m.attempts],
    ["device", m.device], ["git revision", m.git_revision], ["error", m.error],
  ];
  const shown = facts.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return el("details", { class: "manifest" },
    el("summary", {}, foreign(`${m.kind}: ${short(String(m.config.out ?? m.command), 120)}`)),
    el("dl", {}, ...shown.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, foreign(String(value)))])),
    part("Settings", m.config), part("Packages", m.packages), artefacts("Read", m.inputs), artefacts("Wrote", m.outputs));
}

function part(title, value) {
  return el("details", {}, el("summary", {}, title), el("pre", { tabindex: 0 }, JSON.stringify(value, null, 2)));
}

function artefacts(title, files) {
  if (!files.length) return "";
  const rows = files.map((file) => el("tr", {}, el("td", {}, foreign(file.path)), el("td", {}, el("code", {}, file.sha256))));
  return el("details", {}, el("summary", {}, title), el("div", { class: "wide", role: "region", "aria-label": title, tabindex: 0 },
    el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "path"), el("th", { scope: "col" }, "sha256"))), el("tbody", {}, ...rows))));
}
