// The address of what is on show: prompt, filter, scorers and axes, after the #, so that it can be sent.

// Each part with its control; what is as it was at first is left out.
const FIELDS = {
  find: "filter-text", objective: "filter-objective", divergence: "filter-divergence", scorers: "columns",
  words: "prompt-text", tag: "prompt-tag", order: "prompt-order", y: "axis-y", x: "axis-x",
};
const AXES = new Set(["order", "y", "x"]);
const firsts = {};
const own = { at: "" };

// Scorers stand in the address by name: their places are another page's business.
const toName = (field, value) => (AXES.has(field) && value !== "" ? scorers[Number(value)].name : value);
const toValue = (field, name) => (AXES.has(field) && name !== "" ? String(scorers.findIndex((s) => s.name === name)) : name);

function address() {
  const told = new URLSearchParams();
  for (const [field, id] of Object.entries(FIELDS)) {
    if (byId(id).value !== firsts[field]) told.set(field, toName(field, byId(id).value));
  }
  for (const i of filter.chosen) told.append("only", checkpoints[i].id);
  const p = view.list[view.at];
  if (p !== undefined && (p !== firsts.prompt || told.size)) told.set("prompt", prompts[p].id);
  if (byId("seed").value !== firsts.k) told.set("k", seeds[Number(byId("seed").value)]);
  if (byId("all-seeds").checked) told.set("all", "1");
  return told.toString();
}

function tellAddress() {
  own.at = address();
  const hash = own.at ? `#${own.at}` : location.hash.includes("=") ? "#" : location.hash;
  if (hash !== location.hash) history.replaceState(null, "", hash);
}

function goToAddress() {
  const told = new URLSearchParams(location.hash.slice(1));
  for (const [field, id] of Object.entries(FIELDS)) {
    const control = byId(id);
    const value = told.has(field) ? toValue(field, told.get(field)) : firsts[field];
    if (control.value === value) continue;
    control.value = value;
    // What this page does not have is as if it had not been asked for.
    if (control.value !== value) control.value = firsts[field];
    control.dispatchEvent(new Event(control.type === "search" ? "input" : "change"));
  }
  const only = new Set(told.getAll("only"));
  filter.chosen = new Set(checkpoints.flatMap((c, i) => (only.has(c.id) ? [i] : [])));
  const k = seeds.indexOf(Number(told.get("k") ?? NaN));
  byId("seed").value = k < 0 ? firsts.k : k;
  byId("all-seeds").checked = told.has("all");
  const at = view.list.findIndex((p) => prompts[p].id === told.get("prompt"));
  view.at = Math.max(0, at);
  filterChanged();
}

async function copyAddress(event) {
  tellAddress();
  const said = event.currentTarget.nextElementSibling;
  try {
    await navigator.clipboard.writeText(location.href);
    said.textContent = "Link copied.";
  } catch {
    said.textContent = "The link stands in the address bar.";
  }
}

function download(name, text) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

function startState() {
  for (const [field, id] of Object.entries(FIELDS)) firsts[field] = byId(id).value;
  Object.assign(firsts, { prompt: view.list[view.at], k: byId("seed").value });
  for (const button of document.querySelectorAll(".copy-link")) button.addEventListener("click", copyAddress);
  byId("download").addEventListener("click", () =>
    download("leaderboard.csv", content.csvHeader + shownCheckpoints().map((i) => checkpoints[i].csv).join("")));
  if (location.hash.includes("=")) goToAddress();
  for (const kind of ["input", "change", "click", "keyup"]) document.addEventListener(kind, tellAddress);
  window.addEventListener("hashchange", () => {
    // A link to a part of the page has moved there; the address is that of the view again.
    if (location.hash.includes("=")) goToAddress();
    else if (own.at) tellAddress();
  });
}
