"""``fbench eval``: check, load, generate, score, rank."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from benchmark.core.console import notice
from benchmark.core.errors import MissingRowsError, UserError
from benchmark.core.locks import held
from benchmark.core.manifest import track
from benchmark.core.records import Checkpoint, ImageSet
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.plan import EvalPlan, plan
from benchmark.evaluate.results import EvalResult, columns_of, joined, write_results
from benchmark.evaluate.work import Clock, Work, WorkHere
from benchmark.leaderboard import read_score_table, rows_to_frame

Workplace: TypeAlias = Callable[[EvalPlan], AbstractContextManager[Work]]
"""Where an evaluation's work is done, from its plan."""


def _here(agenda: EvalPlan) -> AbstractContextManager[Work]:
    return nullcontext(WorkHere(agenda))


def evaluate(config: EvalConfig, *, command: str | None = None, workplace: Workplace = _here) -> EvalResult:
    """Evaluates checkpoints of one base model; what is there already is not done again.

    Args:
        config: The settings.
        command: As typed, for the manifest; None for this process's own.
        workplace: Where models are loaded, and images made and scored; this process unless said otherwise.

    Returns:
        The leaderboard and where everything is. Rows without a value are counted, not raised: see
        :meth:`EvalResult.raise_if_missing`.

    Raises:
        UserError: for anything that is wrong with the inputs, before the first image is made.
        InUseError: if another command is writing to the folder, but for other shards of this evaluation.
    """
    agenda = plan(config, elsewhere=workplace is not _here)
    with ExitStack() as stack:
        shard = agenda.shard.suffix
        everything = config.model_dump(mode="json")
        stack.enter_context(
            held(config.out, shared_settings(config) if shard else everything, shared=bool(shard))
        )
        if shard:
            # Shards are at work side by side, but none of them twice.
            stack.enter_context(held(config.out, everything, name=f".lock{shard}"))
        with workplace(agenda) as work:
            return _evaluate(agenda, work, command)


def shared_settings(config: EvalConfig) -> dict[str, object]:
    """The settings that commands of one folder share: all but whose images they make."""
    return {k: v for k, v in config.model_dump(mode="json").items() if k not in {"checkpoint", "shard"}}


def _evaluate(agenda: EvalPlan, work: Work, command: str | None) -> EvalResult:
    config, ranking = agenda.config, Clock()
    checkpoints = work.start()
    if agenda.scorers:
        _tell_who_leaves(config.out, checkpoints)
    result = None
    # Missing rows are the result's to tell; the manifest notes them as well.
    with (
        suppress(MissingRowsError),
        track(config.out, "eval", config, device=work.device, command=command) as manifest,
    ):
        for checkpoint in checkpoints:
            manifest.add_input(checkpoint.id, checkpoint.revision or "")
        manifest.add_input(agenda.prompt_set.name, agenda.prompt_set.sha256)
        image_sets, frames = list[ImageSet](), list[pd.DataFrame]()
        for one in work.scored(checkpoints):
            image_sets.append(one.images)
            # A table takes a tenth of the memory of its rows.
            frames.append(rows_to_frame(one.rows))
        if not agenda.scorers:
            return EvalResult(config.out, None, tuple(image_sets), seconds=work.seconds)
        with ranking("rank"):
            columns = columns_of(agenda.scorers, checkpoints, config.primary_names)
            result = write_results(
                joined(frames),
                image_sets,
                columns,
                config.out,
                manifest,
                reference=config.reference,
                workers=work.speeds(),
            )
        result = replace(result, seconds={**work.seconds, **ranking.seconds})
        result.raise_if_missing()
    assert result is not None
    return result


def _tell_who_leaves(out: Path, checkpoints: Sequence[Checkpoint]) -> None:
    """Says whom an earlier table had and the new one lacks."""
    evaluated = {checkpoint.id for checkpoint in checkpoints}
    # A table that cannot be read any more is written anew.
    with suppress(UserError):
        gone = [one.id for one in read_score_table(out).checkpoints if one.id not in evaluated]
        if gone:
            notice(
                f"the table in {out} had {', '.join(gone)} as well, and the new one is of those named now; "
                "images and scores stay, and naming them again brings them back"
            )


def prepare(config: EvalConfig) -> Mapping[str, float]:
    """Generates and scores, and leaves the table to a later `evaluate` into the same folder.

    What one of several worker processes does for its share of the checkpoints: images and scores are kept by
    content, so that workers never meet.

    Returns:
        Wall time by part.

    Raises:
        InUseError: if another command is writing to the folder, but for other workers of this evaluation.
    """
    with held(config.out, shared_settings(config), shared=True):
        return _prepare(config)


def _prepare(config: EvalConfig) -> Mapping[str, float]:
    work = WorkHere(plan(config))
    for _ in work.scored(work.start()):
        pass
    return work.seconds
