// Which checkpoints are shown, for all parts of the page at once.

const filter = { text: "", objective: "", divergence: "", chosen: new Set() };
const watchers = [];
const NONE = "(none)";

// The reference stays: without it the others' numbers say little.
function isShown(i) {
  const c = checkpoints[i];
  if (c.id === content.reference) return true;
  if (filter.chosen.size && !filter.chosen.has(i)) return false;
  if (filter.objective && (c.objective ?? NONE) !== filter.objective) return false;
  if (filter.divergence && (c.divergence ?? NONE) !== filter.divergence) return false;
  return folded(`${c.id} ${c.name} ${c.base}`).includes(filter.text);
}

const shownCheckpoints = () => checkpoints.map((_, i) => i).filter(isShown);

function onFilter(watcher) {
  watchers.push(watcher);
}

function filterChanged() {
  const shown = shownCheckpoints();
  const alone = shown.every((i) => checkpoints[i].id === content.reference) && shown.length < checkpoints.length;
  byId("filter-state").textContent = alone
    ? "No checkpoint fits the filter; the reference is always shown."
    : `${shown.length} of ${count(checkpoints.length, "checkpoint")} shown${shown.length < checkpoints.length ? ", the reference always" : ""}.`;
  byId("filter-clear").hidden = shown.length === checkpoints.length;
  for (const box of byId("filter-list").querySelectorAll("input")) box.checked = filter.chosen.has(Number(box.value));
  for (const watcher of watchers) watcher(shown);
}

// Nobody chosen means that all are shown, so taking the last one back shows all again.
function toggleChosen(i) {
  if (!filter.chosen.delete(i)) filter.chosen.add(i);
  filterChanged();
}

function startFilter() {
  for (const what of ["objective", "divergence"]) {
    const select = byId(`filter-${what}`);
    options(select, [["", "any"], ...known(checkpoints.map((c) => c[what] ?? NONE)).map((name) => [name, short(name, 60)])]);
    select.addEventListener("change", () => {
      filter[what] = select.value;
      filterChanged();
    });
  }
  byId("filter-text").addEventListener("input", (event) => {
    filter.text = folded(event.target.value.trim());
    filterChanged();
  });
  byId("filter-list").append(
    ...checkpoints.map((c, i) =>
      el("label", {}, el("input", { type: "checkbox", value: i, onchange: () => toggleChosen(i) }), " ", foreign(c.name)),
    ),
  );
  byId("filter-clear").addEventListener("click", () => {
    byId("filter").reset();
    Object.assign(filter, { text: "", objective: "", divergence: "" });
    filter.chosen.clear();
    filterChanged();
    byId("filter-text").focus();
  });
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
}
