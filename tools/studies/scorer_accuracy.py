r"""How often do the learned scorers order two images of one prompt as the truth does?

`python -m tools.studies.scorer_accuracy EVAL... --out docs/scorer-accuracy.md` reads the `scores.parquet`
of finished evaluations and needs no model. Over all pairs $i < j$ of images that one checkpoint made for one
prompt and whose truths differ,

$$ \mathrm{accuracy} = \frac{\sum a_{ij}}{\#\,\mathrm{pairs}},\qquad
   a_{ij} = 1 \text{ if } (s_i - s_j)(r_i - r_j) > 0,\ \tfrac12 \text{ if } s_i = s_j,\ 0 \text{ else.} $$
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmark.core.console import finish, typed
from benchmark.core.errors import UserError
from benchmark.core.store import write_text
from benchmark.leaderboard import ScoreTable, join_tables, read_score_table
from benchmark.stats.arrays import LEVEL, RESAMPLES, FloatArray
from benchmark.stats.resampling import resample_counts

NAME: Final = "tools.studies.scorer_accuracy"
LEARNED: Final = ("clip", "hps", "pickscore", "imagereward", "style_cosine")
TRUTHS: Final = ("true_taste", "true_taste_heldout", "true_reward", "true_reward_heldout", "oracle")
ENOUGH: Final = 2000
"""Pairs below which a row is marked."""


@dataclass(frozen=True)
class PairAccuracy:
    """One scorer against one truth on one kind of images.

    Attributes:
        scorer: The learned scorer.
        truth: What it is compared with.
        trained: Whether on images of trained checkpoints, or on the base model's.
        accuracy: Share of pairs ordered alike; 0.5 is chance.
        lo: Lower end of its 95 % interval, prompts drawn with replacement.
        hi: Upper end.
        pairs: Pairs whose truths differ.
        prompts: Prompts with at least one such pair.
    """

    scorer: str
    truth: str
    trained: bool
    accuracy: float
    lo: float
    hi: float
    pairs: int
    prompts: int


def pair_accuracies(
    table: ScoreTable, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[PairAccuracy, ...]:
    """Every learned scorer against every truth, on base images and on those of trained checkpoints.

    Args:
        table: Scores of one or several checkpoints.
        resamples: Bootstrap resamples.
        seed: Of the draws.

    Raises:
        UserError: if the table has no learned scorer or no truth.
    """
    rows = table.rows[table.rows["scorer"].isin([*LEARNED, *TRUTHS]) & (table.rows["status"] == "ok")]
    wide = rows.pivot_table(index=["checkpoint", "prompt_id", "seed"], columns="scorer", values="value")
    scorers = [name for name in LEARNED if name in wide]
    truths = [name for name in TRUTHS if name in wide]
    if not scorers or not truths:
        raise UserError(
            f"{table.source or 'the table'} has no {'truth' if scorers else 'learned scorer'} in it",
            allowed=", ".join(LEARNED if scorers == [] else TRUTHS),
            do="evaluate with both kinds of scorers",
        )
    base = {checkpoint.id for checkpoint in table.checkpoints if checkpoint.is_base}
    of_base = wide.index.get_level_values("checkpoint").isin(base)
    found = []
    for scorer in scorers:
        for truth in truths:
            for trained, part in ((False, wide[of_base]), (True, wide[~of_base])):
                both = part[[scorer, truth]].dropna()
                measured = _accuracy(both, scorer, truth, resamples, seed)
                if measured is not None:
                    found.append(PairAccuracy(scorer, truth, trained, *measured))
    return tuple(found)


def _accuracy(
    both: pd.DataFrame, scorer: str, truth: str, resamples: int, seed: int
) -> tuple[float, float, float, int, int] | None:
    """Accuracy, interval, pairs and prompts; None without a pair."""
    if both.empty:
        return None
    # One line for each checkpoint and prompt, one column for each k.
    s = both[scorer].unstack("seed")
    r = both[truth].unstack("seed")
    agreed, counted = _agreement(s.to_numpy(np.float64), r.to_numpy(np.float64))
    prompt, _ = pd.factorize(s.index.get_level_values("prompt_id"), sort=True)
    sums = np.zeros((2, prompt.max() + 1))
    np.add.at(sums[0], prompt, agreed)
    np.add.at(sums[1], prompt, counted)
    agreed, counted = sums[:, sums[1] > 0]
    if not counted.size:
        return None
    lo, hi = _ratio_interval(agreed, counted, resamples, seed)
    return float(agreed.sum() / counted.sum()), lo, hi, int(counted.sum()), counted.size


def _agreement(s: FloatArray, r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each line of images, pairs ordered alike (ties half) and pairs whose truths differ."""
    first, second = np.triu_indices(s.shape[1], k=1)
    scored, true = s[:, first] - s[:, second], r[:, first] - r[:, second]
    # A gap in either makes the comparison false, so the pair does not count.
    counts = (np.abs(true) > 0) & ~np.isnan(scored)
    alike = (1 + np.sign(scored) * np.sign(true)) / 2
    return np.where(counts, alike, 0.0).sum(axis=1), counts.sum(axis=1).astype(np.float64)


def _ratio_interval(
    agreed: FloatArray, counted: FloatArray, resamples: int, seed: int
) -> tuple[float, float]:
    """Percentile interval of a ratio of sums over prompts, which are drawn with replacement.

    Not studentised, as means are: the accuracy's sampling distribution is near to symmetric, and a percentile
    interval stays within 0 and 1.
    """
    if counted.size < 2:
        return float("nan"), float("nan")
    drawn = np.concatenate(
        [(c @ agreed) / (c @ counted) for c in resample_counts(counted.size, resamples, seed)]
    )
    lo, hi = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(lo), float(hi)


def page(table: ScoreTable, found: Sequence[PairAccuracy], command: str) -> str:
    """The Markdown page: the table, and how it was made.

    Args:
        table: What it was computed from.
        found: Of `pair_accuracies`.
        command: As typed.
    """
    cells = {(a.scorer, a.truth, a.trained): a for a in found}
    lines = ["| scorer | truth | base: accuracy | pairs | trained: accuracy | pairs |"]
    lines += ["| :-- | :-- | --: | --: | --: | --: |"]
    for scorer, truth in dict.fromkeys((a.scorer, a.truth) for a in found):
        shown = [_cell(cells.get((scorer, truth, trained))) for trained in (False, True)]
        lines.append(f"| `{scorer}` | `{truth}` | {' | '.join(shown)} |")
    trained = [c.id for c in table.checkpoints if not c.is_base]
    few = [f"† fewer than {ENOUGH:,} pairs."] if any(a.pairs < ENOUGH for a in found) else []
    return "\n".join(
        [
            "# How far the scorers can be trusted",
            "",
            "In the embedded world the truth is known. This is how often each learned scorer orders two",
            "images of one prompt as the truth does, with 95 % intervals; 0.5 is chance. `true_taste` is how",
            "well the annotators whose choices policies are trained on like what a complete picture shows of",
            "what the prompt left open, `true_reward` is content times taste, `..._heldout` are the same of",
            "annotators of another taste, `oracle` is the share of the prompt's facts that an image shows.",
            "",
            *lines,
            "",
            *few,
            *([""] if few else []),
            "## How it was made",
            "",
            f"`{command}`",
            "",
            "All pairs of images that one checkpoint made for one prompt count, if their truths differ; a",
            "tie of the scorer counts half. The intervals draw prompts with replacement, with all their",
            f"pairs, in {RESAMPLES:,} resamples.",
            "",
            f"- Evaluated: {table.suite}.",
            f"- Trained checkpoints ({len(trained)}): {', '.join(f'`{id_}`' for id_ in trained) or 'none'}.",
            f"- Signature: `{table.signature}`",
            "",
        ]
    )


def _cell(a: PairAccuracy | None) -> str:
    if a is None:
        return "– | 0"
    interval = "" if np.isnan(a.lo) else f" [{a.lo:.3f}, {a.hi:.3f}]"
    return f"{a.accuracy:.3f}{interval} | {a.pairs:,}{'†' if a.pairs < ENOUGH else ''}"


def main() -> None:
    """Parses the command line, computes and writes the page."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {NAME}",
        description="Within-prompt pair accuracy of the learned scorers against the truth.",
    )
    parser.add_argument("evals", nargs="+", type=Path, metavar="EVAL", help="evaluation folders")
    parser.add_argument("--out", type=Path, default=Path("docs/scorer-accuracy.md"))
    args = parser.parse_args()
    table = join_tables([read_score_table(folder) for folder in args.evals])
    found = pair_accuracies(table)
    write_text(args.out, page(table, found, typed(NAME)))
    for a in found:
        kind = "trained" if a.trained else "base"
        print(
            f"{a.scorer:14} {a.truth:20} {kind:8} {a.accuracy:.3f} [{a.lo:.3f}, {a.hi:.3f}] {a.pairs:6} pairs"
        )
    print(f"wrote {args.out}")


if __name__ == "__main__":
    finish(main)
