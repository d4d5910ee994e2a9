"""``fbench score``: images that were made elsewhere."""

from contextlib import suppress
from dataclasses import dataclass

from benchmark.core.devices import choose_device
from benchmark.core.errors import MissingRowsError
from benchmark.core.manifest import track
from benchmark.core.records import ImageSet
from benchmark.evaluate.config import ScoreConfig
from benchmark.evaluate.costs import Tally
from benchmark.evaluate.outside import read_images
from benchmark.evaluate.plan import check_names
from benchmark.evaluate.ranking import columns_of, rank
from benchmark.evaluate.result import EvalResult
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.generate import console_progress
from benchmark.scorers import Scorer, make_scorers
from benchmark.scorers._ready import require_weights


@dataclass(frozen=True)
class ScorePlan:
    """Checked settings, with what they name.

    Attributes:
        config: The settings.
        images: What is scored.
        scorers: By what; not loaded.
    """

    config: ScoreConfig
    images: ImageSet
    scorers: tuple[Scorer, ...]

    def lines(self) -> list[str]:
        """The plan in words, for ``--dry-run``."""
        names = [f"{scorer.name} ({scorer.unit}, {scorer.scorer_version})" for scorer in self.scorers]
        return [
            f"images       {len(self.images)} of {len(self.images.prompt_set)} prompts in {self.config.path}",
            f"scorers      {', '.join(names)}",
            f"out          {self.config.out}",
        ]


def plan_score(config: ScoreConfig) -> ScorePlan:
    """Checks everything that can be wrong before anything is loaded; pictures are not opened.

    Raises:
        UserError: for anything that is wrong with the inputs, an unknown scorer, weights that are not there.
    """
    images = read_images(config.path, config.layout, config.prompts)
    scorers = make_scorers(config.scorer_texts, config.weights, config.scorer_precision)
    require_weights(scorers)
    check_names(scorers, config.primary)
    return ScorePlan(config, images, tuple(scorers))


def score_folder(config: ScoreConfig, *, command: str | None = None) -> EvalResult:
    """Scores images made elsewhere; scores that are there already are not computed again.

    Args:
        config: The settings.
        command: As typed, for the manifest; None for this process's own.

    Returns:
        As of :func:`benchmark.evaluate.evaluate`, with one checkpoint named after the file or folder.

    Raises:
        UserError: for anything that is wrong with the inputs; a single image that cannot be read is a row.
    """
    agenda = plan_score(config)
    images, scorers = agenda.images, agenda.scorers
    device = choose_device(config.device)
    cache, loaded = ScoreCache(config.out), Loaded(device)
    loaded.load(scorer for scorer in scorers if cache.read(images, scorer) is None)
    result = None
    with (
        suppress(MissingRowsError),
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
