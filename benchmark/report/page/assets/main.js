const cells = `${count(checkpoints.length, "checkpoint")}, ${count(prompts.length, "prompt")}, ${count(Math.max(1, seeds.length), "image")} each, ${count(scorers.length, "scorer")}`;
byId("summary").append(`${cells}; compared with `, foreign(content.reference), ".");
byId("finding").textContent = content.finding;
byId("finding").hidden = !content.finding;
// A narrow screen is for what was found.
byId("filter-box").open = innerWidth >= 768;
startHints();
startFilter();
startLeaderboard();
startTradeOff();
startHacking();
startTags();
startPictures();
startZoom();
startCurves();
startMissing();
startManifests();
filterChanged();
startState();
// How long it took from the first byte, for tests and for docs/report-page.md.
document.documentElement.dataset.ready = String(Math.round(performance.now()));
