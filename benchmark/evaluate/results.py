"""The results of an evaluation: ``scores.parquet``, leaderboard, exports, figures and the report page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.console import doing
from benchmark.core.errors import MissingRowsError, RefusedBySystemError, UserError
from benchmark.core.manifest import Manifest
from benchmark.core.records import (
    UNDEFINED,
    Checkpoint,
    Cost,
    ImageSet,
    Leaderboard,
    ScorerColumn,
    WorkerSpeed,
)
from benchmark.evaluate.costs import costs_of
from benchmark.evaluate.training_runs import curves_of, training_runs
from benchmark.generate import console_progress
from benchmark.leaderboard import (
    ScoreTable,
    build_leaderboard,
    read_score_table,
    signature_about,
    signature_line,
    write_score_table,
)
from benchmark.leaderboard.by_tag import prompt_tags
from benchmark.leaderboard.equal_level import equal_level, sweep_parameter
from benchmark.leaderboard.win_rate_table import win_rates_of
from benchmark.report import write_exports
from benchmark.report.page import PageSource, write_page
from benchmark.scorers import Scorer

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class EvalResult:
    """A finished evaluation.

    Attributes:
        folder: Where it is.
        leaderboard: None for a shard, which only makes images.
        image_sets: What was scored, in the order of the checkpoints.
        n_rows: Numbers that were asked for.
        n_missing: Those that a failed image or scorer left without a value.
        n_undefined: Those that complete images do not have, such as ``n < 5d``.
        seconds: Wall time by part: ``start``, ``generate``, ``score``, ``rank``.
    """

    folder: Path
    leaderboard: Leaderboard | None
    image_sets: tuple[ImageSet, ...]
    n_rows: int = 0
    n_missing: int = 0
    n_undefined: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def raise_if_missing(self) -> None:
        """Ends a command with the exit code for rows that are missing.

        Raises:
            MissingRowsError: if there are any.
        """
        if self.n_missing:
            raise MissingRowsError(self.n_missing, self.n_rows, self.folder / "scores.parquet")


def write_results(
    rows: "pd.DataFrame",
    image_sets: Sequence[ImageSet],
    columns: Sequence[ScorerColumn],
    out: Path,
    manifest: Manifest,
    *,
    reference: str | None = None,
    workers: Sequence[WorkerSpeed] = (),
) -> EvalResult:
    """Writes everything that a reader opens.

    Args:
        rows: The scores of all image sets, as of :func:`benchmark.leaderboard.rows_to_frame`.
        image_sets: One a checkpoint, in the order to show.
        columns: The scorers' facts.
        out: The evaluation's folder.
        manifest: Is told what was written.
        reference: Id of the checkpoint that differences are against; None: the base model.
        workers: The part of each worker, where several did the work.
    """
    costs = costs_of(image_sets, out)
    n_rows, gaps = len(rows), rows.loc[rows["status"] != "ok", "note"]
    path = write_score_table(score_table(rows, image_sets, columns, costs), out / "scores.parquet")
    # Built from the file, as `fbench leaderboard` does, so that both always agree; once is enough in memory.
    del rows
    table = read_score_table(path)
    leaderboard = build_leaderboard([table], reference=reference)
    with doing("drawing the figures"):
        figures = _figures(leaderboard, table, image_sets, out / "figures")
    runs = training_runs(manifest)
    curves = tuple(curves_of(folder, run) for folder, run in runs.items())
    source = PageSource(
        leaderboard, table, tuple(image_sets), (manifest, *runs.values()), curves, workers=tuple(workers)
    )
    with console_progress("pictures of the report page") as tell:
        page = write_page(source, out / "report.html", tell=tell)
    manifest.outputs.clear()
    for file in (path, *write_exports(leaderboard, out), *figures, page):
        manifest.add_output(file)
    failed = int((~gaps.str.startswith(UNDEFINED)).sum())
    return EvalResult(
        folder=out,
        leaderboard=leaderboard,
        image_sets=tuple(image_sets),
        n_rows=n_rows,
        n_missing=failed,
        n_undefined=len(gaps) - failed,
    )


def joined(frames: list["pd.DataFrame"]) -> "pd.DataFrame":
    """The scores of all image sets as one table; the list is emptied, because both together may be large."""
    import pandas as pd

    whole = pd.concat(frames, ignore_index=True)
    frames.clear()
    return whole


def columns_of(
    scorers: Sequence[Scorer], checkpoints: Sequence[Checkpoint], primary: Sequence[str]
) -> tuple[ScorerColumn, ...]:
    """The scorers' facts, with the checkpoints that each is in-domain for."""
    return tuple(
        scorer.column(
            tuple(c.id for c in checkpoints if c.hyperparameters.get("data") in scorer.in_domain_for),
            primary=scorer.name in primary,
        )
        for scorer in scorers
    )


def score_table(
    rows: "pd.DataFrame",
    image_sets: Sequence[ImageSet],
    columns: Sequence[ScorerColumn],
    costs: Mapping[str, Cost] | None = None,
) -> ScoreTable:
    """The long table with what a leaderboard must know."""
    first = image_sets[0]
    k = len(first.seeds)
    return ScoreTable(
        rows=rows,
        suite=first.prompt_set.suite(k, ragged=any(len(s) < len(s.prompt_set) * k for s in image_sets)),
        signature=signature_line(first.prompt_set, k, first.sampler, columns),
        checkpoints=tuple(images.checkpoint for images in image_sets),
        columns=tuple(columns),
        n_prompts=len(first.prompt_set),
        images_per_prompt=k,
        costs=costs or {},
        tags={prompt.id: prompt_tags(prompt) for prompt in first.prompt_set},
        prompts={prompt.id: prompt.content for prompt in first.prompt_set},
    )


def _figures(
    leaderboard: Leaderboard, table: ScoreTable, image_sets: Sequence[ImageSet], folder: Path
) -> list[Path]:
    """Draws what these scores have something to say of; what an earlier table had goes."""
    from benchmark.report.figures import iso_reward, picture_sheet, trade_off, win_rate_bars

    def draw_win_rates(file: Path) -> Path:
        rates = win_rates_of(table, reference=leaderboard.reference)
        signature = signature_about(table.signature, table.columns, {rate.scorer for rate in rates})
        return win_rate_bars(file, rates, table.checkpoints, signature=signature)

    def draw_iso_reward(file: Path) -> Path:
        if sweep_parameter(table) is None:
            raise UserError("nothing was swept")
        return iso_reward(file, equal_level(table))

    drawings: dict[str, Callable[[Path], Path]] = {
        # Scorers without a preference or a diversity among them have no trade-off to draw.
        "trade-off": partial(trade_off, leaderboard=leaderboard),
        # A single checkpoint, or one without scores of images, wins no pair.
        "win-rates": draw_win_rates,
        # Runs that differ in more than method, parameter and seed are no sweeps to compare.
        "iso-reward": draw_iso_reward,
        "sheet": partial(picture_sheet, image_sets=image_sets),
    }
    written = []
    for name, draw in drawings.items():
        file = folder / f"{name}.png"
        try:
            written.append(draw(file))
        except RefusedBySystemError:
            raise
        except UserError:
            file.unlink(missing_ok=True)
    return written
