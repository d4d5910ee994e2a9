// Tables whose headings sort: best first, then worst first, then as evaluated; what is missing always last.

// value(key, i) of checkpoint i; best(key): the direction that puts the best first; draw() the rows anew.
function sortable(table, { value, best, draw }) {
  const state = { key: null, reverse: false };

  function direction(key) {
    if (!state.reverse) return best(key);
    return best(key) === "ascending" ? "descending" : "ascending";
  }

  function heading(key, text, attributes = {}) {
    const button = el("button", { type: "button", class: "sort", onclick: () => sortBy(key) }, text);
    return el("th", { scope: "col", "data-key": key, "aria-sort": state.key === key ? direction(key) : null, ...attributes }, button);
  }

  function sortBy(key) {
    if (state.key !== key) Object.assign(state, { key, reverse: false });
    else if (!state.reverse) state.reverse = true;
    else state.key = null;
    // The button that was pressed stays, and with it the keyboard's place.
    for (const cell of table.querySelectorAll("th[data-key]")) {
      if (cell.dataset.key === String(state.key)) cell.setAttribute("aria-sort", direction(state.key));
      else cell.removeAttribute("aria-sort");
    }
    draw();
  }

  function sorted(shown) {
    if (state.key === null) return shown;
    const sign = direction(state.key) === "ascending" ? 1 : -1;
    const compare = (a, b) => (typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b)) : a - b);
    return [...shown].sort((i, j) => {
      const [a, b] = [value(state.key, i), value(state.key, j)];
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * compare(a, b);
    });
  }

  return { heading, sorted };
}
