"""From tables of scores to what the study finds: curves, the claim at equal content, what style costs."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from benchmark.leaderboard import ScoreTable
from benchmark.leaderboard.equal_level import sweeps_of
from benchmark.leaderboard.names import objective_and_divergence
from benchmark.leaderboard.score_arrays import cells_of, set_values_of
from benchmark.stats.arrays import RESAMPLES
from benchmark.stats.cells import own_means, paired_differences, prompt_means
from benchmark.stats.intervals import Interval
from benchmark.stats.sweeps import NO_OVERLAP, Contrast, Sweep, contrasts_at_equal_level
from benchmark.stats.training_runs import mean_over_runs, set_mean_over_runs
from tools.studies.styles.records import Change, Claim, Findings, Point, Reading, Word

METHODS: Final = {
    "sft": "SFT",
    "f_dpo reverse_kl": "Diffusion-DPO",
    "f_dpo jensen_shannon": "f-DPO",
    "rpo reverse_kl": "RPO",
}
"""What tables call the methods, and what people do; f-DPO is the one under Jensen-Shannon."""
CLAIMED: Final = "rpo reverse_kl"
"""Said to align style better than the others."""
ALL: Final = "mean of the styles"


def findings(
    command: str, tables: Mapping[str, ScoreTable], seeds: Sequence[int], *, resamples: int = RESAMPLES
) -> Findings:
    """Computes everything.

    Args:
        command: As typed.
        tables: By style, the scores of the base and of every checkpoint.
        seeds: Training seeds.
        resamples: Of the bootstrap behind the claim.

    Raises:
        UserError: if a table lacks a scorer, or its methods have no training seed in common.
    """
    sweeps = {style: sweeps_of(table, "oracle", "true_style", "step") for style, table in tables.items()}
    compared = dict(sweeps)
    if len(sweeps) > 1:
        compared[ALL] = mean_sweeps(list(sweeps.values()))
    return Findings(
        command,
        {style: table.suite for style, table in tables.items()},
        {style: table.signature for style, table in tables.items()},
        tuple(seeds),
        tuple(point for style, own in sweeps.items() for point in _points(style, own)),
        tuple(
            claim
            for style, own in compared.items()
            for reading in READINGS
            for claim in claims(style, reading, own, resamples=resamples)
        ),
        tuple(change for style, table in tables.items() for change in changes(style, table)),
    )


def mean_sweeps(sweeps: Sequence[Sequence[Sweep]]) -> tuple[Sweep, ...]:
    """Each method over several styles, prompt by prompt and seed by seed."""
    return tuple(
        replace(
            same[0],
            level=np.mean([sweep.level for sweep in same], axis=0),
            outcome=np.mean([sweep.outcome for sweep in same], axis=0),
        )
        for same in zip(*sweeps, strict=True)
    )


def content_lost(sweeps: Sequence[Sweep]) -> tuple[Sweep, ...]:
    """The sweeps over the content that is lost since the base, which is each one's first point."""
    return tuple(replace(sweep, level=sweep.level[:1] - sweep.level) for sweep in sweeps)


def style_reached(sweeps: Sequence[Sweep]) -> tuple[Sweep, ...]:
    """Content over the style share: the same question from the other side, along the steadier axis."""
    return tuple(replace(sweep, level=sweep.outcome, outcome=sweep.level) for sweep in sweeps)


READINGS: Final[Mapping[Reading, Callable[[Sequence[Sweep]], tuple[Sweep, ...]]]] = {
    "style at equal content": content_lost,
    "content at equal style": style_reached,
}
"""How sweeps of style share over content are turned for each reading."""


def claims(
    style: str, reading: Reading, sweeps: Sequence[Sweep], *, resamples: int = RESAMPLES
) -> Iterator[Claim]:
    """RPO against each other method, in the range that the two of them have reached.

    Args:
        style: Towards which.
        reading: What is compared at which equal level.
        sweeps: Of all methods, style share over content.
        resamples: Bootstrap resamples.
    """
    by_name = {sweep.name: sweep for sweep in READINGS[reading](sweeps)}
    for name, other in by_name.items():
        if name == CLAIMED:
            continue
        for found in contrasts_at_equal_level([other, by_name[CLAIMED]], name, resamples=resamples):
            ends = (None, None, None) if found.interval is None else _ends(found.interval)
            level = None if found.level is None else _number(found.level)
            yield Claim(style, METHODS[name], reading, found.share, level, *ends, in_a_word(found))


def in_a_word(contrast: Contrast) -> Word:
    """What a contrast of RPO with another method says of the claim that RPO is better."""
    if contrast.note == NO_OVERLAP or contrast.interval is None:
        return "no overlap"
    if contrast.interval.lo > 0:
        return "supported"
    return "refuted" if contrast.interval.hi < 0 else "undecided"


def changes(style: str, table: ScoreTable) -> Iterator[Change]:
    """What each method's last checkpoints gained and lost, scorer by scorer.

    Args:
        style: Towards which.
        table: Its scores.
    """
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    base = next(i for i, checkpoint in enumerate(table.checkpoints) if checkpoint.is_base)
    for name, label in METHODS.items():
        own = [c for c in table.checkpoints if objective_and_divergence(c) == name]
        step = max(c.step for c in own)
        last = [ids.index(c.id) for c in own if c.step == step]
        for column in table.columns:
            rows = table.rows[table.rows["scorer"] == column.name]
            if column.unit == "set":
                values = set_values_of(rows, ids)
                means, gone = values.value, values.leave_out
                found = set_mean_over_runs(means[last] - means[base], gone[:, last] - gone[:, [base]])
            else:
                cells = cells_of(rows, ids)
                means = own_means(prompt_means(cells).T)
                found = mean_over_runs(paired_differences(cells[last], cells[base]))
            ends = _ends(found.interval())
            yield Change(
                style, label, step, column.name, _number(means[base]), _number(means[last].mean()), *ends
            )


def _points(style: str, sweeps: Sequence[Sweep]) -> Iterator[Point]:
    base = sweeps[0].level[0].mean(), sweeps[0].outcome[0].mean()
    yield Point(style, "", 0, float(base[0]), float(base[1]), ())
    for sweep in sweeps:
        for k, called in enumerate(sweep.points[1:], 1):
            seeds = zip(sweep.level[k], sweep.outcome[k], strict=True)
            by_seed = tuple((float(x.mean()), float(y.mean())) for x, y in seeds)
            x, y = np.mean(by_seed, axis=0)
            yield Point(
                style,
                METHODS[sweep.name],
                int(called.removeprefix("step ")),
                float(x),
                float(y),
                tuple(by_seed),
            )


def _ends(interval: Interval) -> tuple[float | None, float | None, float | None]:
    return _number(interval.value), _number(interval.lo), _number(interval.hi)


def _number(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
