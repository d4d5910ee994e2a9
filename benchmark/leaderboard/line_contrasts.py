"""What the optima keep where they have reached the same reward: lines of different divergences compared."""

from collections.abc import Sequence

from benchmark.leaderboard.line_distance import RESAMPLES_OF_LINES
from benchmark.leaderboard.optimum_lines import OptimumLine, optimum_lines
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.leaderboard.trade_off_plane import own_values, sampled_scorer
from benchmark.stats.sweeps import Contrast, Sweep, contrasts_at_equal_level

_USUAL_REFERENCE = "reverse_kl"


def line_contrasts(
    table: ScoreTable, across: str, upward: str, *, resamples: int = RESAMPLES_OF_LINES
) -> tuple[str, tuple[Contrast, ...]]:
    """Differences of one scorer between the optima where another is equal, prompts clustered.

    At 25, 50 and 75 % of the range that all lines have reached without being hollow, as
    :func:`benchmark.stats.sweeps.contrasts_at_equal_level` has it for trained sweeps; the base is where all
    begin.

    Args:
        table: Of ``fbench frontier --closed-form``.
        across: The scorer that is compared.
        upward: The scorer that is held equal.
        resamples: Bootstrap resamples.

    Returns:
        The line that the others are compared with, that of reverse KL or else the first, and a contrast for
        each other line and level. Empty with fewer than two lines.
    """
    lines = [line for line in optimum_lines(table) if line.drawn_as == line.divergence]
    lines = [line for line in lines if not all(line.hollow)]
    if len(lines) < 2:
        return "", ()
    names = [line.divergence for line in lines]
    reference = _USUAL_REFERENCE if _USUAL_REFERENCE in names else names[0]
    sweeps = [line_sweep(table, line, across, upward) for line in lines]
    found = contrasts_at_equal_level(sweeps, reference, resamples=resamples)
    sign = 1.0 if sampled_scorer(table, upward).higher_is_better else -1.0
    # One pool and no training seeds: nothing is claimed about methods of training.
    return reference, tuple(
        Contrast(c.name, c.share, None if c.level is None else sign * c.level, c.interval, _note(c.note))
        for c in found
    )


def _note(note: str) -> str:
    return note if note.startswith("no overlap") else ""


def contrast_rows(reference: str, contrasts: Sequence[Contrast], across: str, upward: str) -> list[list[str]]:
    """A table with a line a divergence and a column a level, under a heading; empty without contrasts."""
    levels = {c.share: c.level for c in contrasts}
    if not levels:
        return []
    at = (
        f"at {upward} {level:.4g}" if level is not None else f"at {share:.0%}"
        for share, level in levels.items()
    )
    names = dict.fromkeys(c.name for c in contrasts)
    body = [[name, *(_cell(c) for c in contrasts if c.name == name)] for name in names]
    return [[f"{across} less that of {reference}", *at], *body]


def _cell(contrast: Contrast) -> str:
    i = contrast.interval
    return contrast.note or "-" if i is None else f"{i.value:+.4f} [{i.lo:+.4f}, {i.hi:+.4f}]"


def line_sweep(table: ScoreTable, line: OptimumLine, across: str, upward: str) -> Sweep:
    """A line as a sweep of one seed, from the plain pool to its last point that is not hollow.

    Args:
        table: Of ``fbench frontier --closed-form``.
        line: One of its lines.
        across: The scorer that is compared.
        upward: The scorer that is held equal; its levels rise towards better.
    """
    base = table.checkpoints[0].id
    points = [base, *(p.id for p, hollow in zip(line.points, line.hollow, strict=True) if not hollow)]
    rising = sampled_scorer(table, upward)
    level, outcome = (
        own_values(table, sampled_scorer(table, name))[points].to_numpy().T[:, None]
        for name in (upward, across)
    )
    return Sweep(line.divergence, level if rising.higher_is_better else -level, outcome, tuple(points))
