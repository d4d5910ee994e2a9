const cells = `${count(checkpoints.length, "checkpoint")}, ${count(prompts.length, "prompt")}, ${count(Math.max(1, seeds.length), "image")} each, ${count(scorers.length, "scorer")}`;
byId("summary").append(`${cells}; compared with `, foreign(content.reference), ".");
startFilter();
startLeaderboard();
startTradeOff();
startHacking();
startTags();
startPictures();
startMissing();
startManifests();
filterChanged();
// How long it took from the first byte, for tests and for docs/report-page.md.
document.documentElement.dataset.ready = String(Math.round(performance.now()));
