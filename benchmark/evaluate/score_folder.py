"""``fbench score``: images that were made elsewhere."""

from contextlib import suppress

from benchmark.core.devices import choose_device
from benchmark.core.errors import MissingRowsError
from benchmark.core.locks import held
from benchmark.core.manifest import track
from benchmark.evaluate.config import ScoreConfig
from benchmark.evaluate.costs import Tally
from benchmark.evaluate.outside import read_images
from benchmark.evaluate.ranking import columns_of, rank
from benchmark.evaluate.result import EvalResult
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.generate import console_progress
from benchmark.scorers import make_scorers


def score_folder(config: ScoreConfig, *, command: str | None = None) -> EvalResult:
    """Scores images made elsewhere; scores that are there already are not computed again.

    Args:
        config: The settings.
        command: As typed, for the manifest; None for this process's own.

    Returns:
        As of :func:`benchmark.evaluate.evaluate`, with one checkpoint named after the file or folder.

    Raises:
        UserError: for anything that is wrong with the inputs; a single image that cannot be read is a row.
        InUseError: if another command is writing to the folder.
    """
    images = read_images(config.path, config.layout, config.prompts)
    scorers = make_scorers(config.scorer_texts, config.weights, config.scorer_precision)
    for scorer in scorers:
        _ = scorer.weights_hash
    device = choose_device(config.device)
    cache, loaded = ScoreCache(config.out), Loaded(device)
    loaded.load(scorer for scorer in scorers if cache.read(images, scorer) is None)
    result = None
    with (
        suppress(MissingRowsError),
        held(config.out, config.model_dump(mode="json")),
        track(config.out, "score", config, device=device, command=command) as manifest,
    ):
        manifest.add_input(config.path, images.prompt_set.sha256)
        with (
            console_progress(f"scoring {images.checkpoint.id}") as tell,
            Tally(config.out).counting(images.id, tell) as heard,
        ):
            rows = score_all(images, scorers, loaded, cache, heard)
        columns = columns_of(scorers, [images.checkpoint], config.primary)
        result = rank(rows, [images], columns, config.out, manifest)
        result.raise_if_missing()
    assert result is not None
    return result
