"""``fbench score``: images that were made elsewhere."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import pandas as pd

from benchmark.core.devices import choose_device
from benchmark.core.errors import MissingRowsError, UserError, pasted
from benchmark.core.locks import held
from benchmark.core.manifest import earlier_attempt, track
from benchmark.core.records import ImageSet
from benchmark.core.words import number_of
from benchmark.evaluate.config import ScoreConfig
from benchmark.evaluate.costs import Tally
from benchmark.evaluate.external_images import read_side_by_side
from benchmark.evaluate.plan import check_names
from benchmark.evaluate.results import EvalResult, columns_of, joined, write_results
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.generate import console_progress
from benchmark.leaderboard import read_score_table, rows_to_frame
from benchmark.scorers import Scorer, make_scorers
from benchmark.scorers.requirements import require_weights


@dataclass(frozen=True)
class ScorePlan:
    """Checked settings, with what they name.

    Attributes:
        config: The settings.
        image_sets: What is scored, one a path.
        scorers: By what; not loaded.
    """

    config: ScoreConfig
    image_sets: tuple[ImageSet, ...]
    scorers: tuple[Scorer, ...]

    def lines(self) -> list[str]:
        """The plan in words, for ``--dry-run``."""
        names = [f"{scorer.name} ({scorer.unit}, {scorer.scorer_version})" for scorer in self.scorers]
        sets = zip(self.image_sets, self.config.path, strict=True)
        return [
            *(
                f"images       {len(images)} of {number_of(len(images.prompt_set), 'prompt')} in {path}, "
                f"called {images.checkpoint.id}{_lacking(images)}"
                for images, path in sets
            ),
            f"scorers      {', '.join(names)}",
            f"out          {self.config.out}",
        ]


def _lacking(images: ImageSet) -> str:
    missing = sum(record.status == "missing" for record in images)
    return f"; {missing} of them are not there" if missing else ""


def plan_score(config: ScoreConfig) -> ScorePlan:
    """Checks everything that can be wrong before anything is loaded; pictures are not opened.

    Raises:
        UserError: for anything that is wrong with the inputs, an unknown scorer, weights that are not there.
    """
    image_sets = read_side_by_side(config)
    _refuse_to_replace(config, image_sets)
    scorers = make_scorers(config.scorer_texts, config.weights, config.scorer_precision)
    require_weights(scorers)
    check_names(scorers, config.primary)
    return ScorePlan(config, tuple(image_sets), tuple(scorers))


def score_folder(config: ScoreConfig, *, command: str | None = None) -> EvalResult:
    """Scores images made elsewhere; scores that are there already are not computed again.

    Args:
        config: The settings.
        command: As typed, for the manifest; None for this process's own.

    Returns:
        As of :func:`benchmark.evaluate.evaluate`, with one checkpoint a path.

    Raises:
        UserError: for anything that is wrong with the inputs; a single image that cannot be read is a row.
        InUseError: if another command is writing to the folder.
    """
    # Looked at under the lock: another command may have left another model's table there just now.
    with held(config.out, config.model_dump(mode="json")):
        return _score(plan_score(config), command)


def _score(agenda: ScorePlan, command: str | None) -> EvalResult:
    config, image_sets, scorers = agenda.config, agenda.image_sets, agenda.scorers
    device = choose_device(config.device)
    cache, loaded = ScoreCache(config.out), Loaded(device)
    loaded.load(s for s in scorers if any(cache.read(images, s) is None for images in image_sets))
    result = None
    with (
        suppress(MissingRowsError),
        track(config.out, "score", config, device=device, command=command) as manifest,
    ):
        frames = list[pd.DataFrame]()
        for path, images in zip(config.path, image_sets, strict=True):
            manifest.add_input(path, images.prompt_set.sha256)
            with (
                console_progress(f"scoring {images.checkpoint.id}") as tell,
                Tally(config.out).counting(images.id, tell) as heard,
            ):
                frames.append(rows_to_frame(score_all(images, scorers, loaded, cache, heard)))
        columns = columns_of(scorers, [images.checkpoint for images in image_sets], config.primary)
        result = write_results(joined(frames), image_sets, columns, config.out, manifest)
        result.raise_if_missing()
    assert result is not None
    return result


def _refuse_to_replace(config: ScoreConfig, image_sets: Sequence[ImageSet]) -> None:
    """Refuses to write over another model's table.

    The same path may have got more images, and the same images may lie at another path; who is neither is
    another model.
    """
    earlier = earlier_attempt(config.out, "score")
    if earlier is None:
        return
    try:
        table = read_score_table(config.out)
    except UserError:
        # It ended before it had one, or what it had cannot be read any more.
        return
    scored = ScoreConfig.parse(earlier.config, source=str(config.out))
    places = {path.resolve() for path in config.path}
    contents = {images.checkpoint.revision for images in image_sets}
    for path, checkpoint in zip(scored.path, table.checkpoints, strict=False):
        if path.resolve() not in places and checkpoint.revision not in contents:
            both = pasted("fbench", "score", *dict.fromkeys([*scored.path, *config.path]))
            raise UserError(
                f"--out {config.out} holds the scores of {checkpoint.id}, which these would replace",
                do=f"score them side by side, {both}, or name another --out",
            )
