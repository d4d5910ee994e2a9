// One picture large, beside what the reference made of the same noise.

const zoom = { c: 0, k: 0 };

const zoomButton = (c, k) => byId("compare").querySelector(`.zoom[data-at="${c} ${k}"]`);

function openZoom(c, k) {
  Object.assign(zoom, { c, k });
  drawZoom();
  byId("zoom").showModal();
}

// The checkpoints whose picture of this place is on show.
const zoomable = () => shownCheckpoints().filter((c) => zoomButton(c, zoom.k));

function turnZoom(by) {
  const there = zoomable();
  zoom.c = there[(there.indexOf(zoom.c) + by + there.length) % there.length];
  drawZoom();
}

function drawZoom() {
  const p = view.list[view.at];
  const reference = checkpoints.findIndex((c) => c.id === content.reference);
  const pair = zoom.c !== reference && zoomButton(reference, zoom.k) ? [reference, zoom.c] : [zoom.c];
  byId("zoom-title").replaceChildren(foreign(checkpoints[zoom.c].name), `, k = ${seeds[zoom.k]}`);
  byId("zoom-prompt").textContent = prompts[p].text;
  byId("zoom-pictures").replaceChildren(...pair.map((c) => {
    const image = zoomButton(c, zoom.k).querySelector("img");
    const scored = shownScorers().map((s) => [s, scoreOf(s.j, c, p, [zoom.k])]).filter(([, value]) => value !== null);
    return el("figure", {},
      el("img", { src: image.src, alt: image.alt, class: image.className }),
      el("figcaption", {}, foreign(checkpoints[c].name, { class: "name" }), ` ${scored.map(([s, value]) => `${s.title} ${number(value, s.places + 1)}`).join(", ")}`));
  }));
  const several = zoomable().length > 1;
  byId("zoom-previous").disabled = byId("zoom-next").disabled = !several;
}

function startZoom() {
  const dialog = byId("zoom");
  const { side, made } = content.pictures;
  byId("zoom-size").hidden = !side;
  byId("zoom-size").textContent = `This page holds pictures reduced to ${side} pixels a side; those in the evaluation's folder have ${made}.`;
  byId("zoom-previous").addEventListener("click", () => turnZoom(-1));
  byId("zoom-next").addEventListener("click", () => turnZoom(1));
  byId("zoom-close").addEventListener("click", () => dialog.close());
  // Beside the picture is outside.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || zoomable().length < 2) return;
    event.preventDefault();
    turnZoom(by);
  });
  // Back to the picture that was last seen.
  dialog.addEventListener("close", () => zoomButton(zoom.c, zoom.k)?.focus());
}
