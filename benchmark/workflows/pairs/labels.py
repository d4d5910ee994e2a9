"""Who is preferred: by scorers, by a file of scores, or by a file of preferences."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.records import ImageSet, ScoreRow
from benchmark.core.strict import Numbered, table_rows
from benchmark.scorers import Scorer

Key = tuple[str, int]
_SUFFIXES = (".jsonl", ".csv", ".tsv")
"""A prompt's id and k."""


@dataclass(frozen=True)
class Choice:
    """A labelled pair of images of one prompt.

    Attributes:
        prompt_id: The prompt.
        better: k of the preferred image; of a tie, of one of the two.
        worse: k of the other.
        tie: Whether neither is preferred.
        scores: Of better and worse; None where a person chose without numbers.
    """

    prompt_id: str
    better: int
    worse: int
    tie: bool = False
    scores: tuple[float, float] | None = None


def choose(
    images: ImageSet, scores: Mapping[Key, float], pairs_per_prompt: int, margin: float
) -> list[Choice]:
    """Pairs by score; images without a score are in none.

    Args:
        images: The images.
        scores: Of image k of a prompt; greater is better.
        pairs_per_prompt: At most so many; see `ranked_pairs` for the order.
        margin: Scores that differ by no more are a tie.
    """
    out = []
    for prompt in images.prompt_set:
        ks = [k for k in images.seeds if (prompt.id, k) in scores]
        values = [scores[prompt.id, k] for k in ks]
        for a, b in ranked_pairs(values)[:pairs_per_prompt]:
            tie = values[a] - values[b] <= margin
            out.append(Choice(prompt.id, ks[a], ks[b], tie, (values[a], values[b])))
    return out


def ranked_pairs(scores: ArrayLike) -> list[tuple[int, int]]:
    """All pairs of K images, the better one first, in the order they should be used.

    Best against worst, second best against second worst and so on come first: no image is used twice
    and the differences are large. Then those further apart in rank.

    Args:
        scores: K numbers; greater is better. Equal ones keep their order.

    Example:
        >>> ranked_pairs([0.1, 0.9, 0.5])
        [(1, 0), (1, 2), (2, 0)]
    """
    order: list[int] = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable").tolist()
    k = len(order)
    folded = [(i, k - 1 - i) for i in range(k // 2)]
    others = [(i, i + gap) for gap in range(k - 1, 0, -1) for i in range(k - gap)]
    return [(order[i], order[j]) for i, j in dict.fromkeys([*folded, *others])]


def mean_ranks(scores: Sequence[Sequence[float]]) -> list[float]:
    """The mean over scorers of each image's rank, from 1 for the worst; equal scores share their ranks.

    Ranks, because scorers have no common unit.

    Args:
        scores: For each scorer K numbers; greater is better.

    Example:
        >>> mean_ranks([[0.2, 0.1, 0.3], [20.0, 20.0, 10.0]])
        [2.25, 1.75, 2.0]
    """
    table = np.asarray(scores, dtype=np.float64)
    below = (table[:, None, :] < table[:, :, None]).sum(2)
    equal = (table[:, None, :] == table[:, :, None]).sum(2)
    found: list[float] = (below + (equal + 1) / 2).mean(0).tolist()
    return found


def scores_of(scorers: Sequence[Scorer], rows: Iterable[ScoreRow]) -> dict[Key, float]:
    """One number an image: a single scorer's score, or the mean rank by several; greater is better.

    Images that one of the scorers could not score have none.

    Args:
        scorers: Scorers of images.
        rows: What they said.
    """
    sign = {scorer.name: 1.0 if scorer.higher_is_better else -1.0 for scorer in scorers}
    found: dict[Key, dict[str, float]] = {}
    for row in rows:
        if row.value is not None and row.prompt_id is not None and row.seed is not None:
            found.setdefault((row.prompt_id, row.seed), {})[row.scorer] = sign[row.scorer] * row.value
    whole = {key: values for key, values in found.items() if len(values) == len(sign)}
    if len(sign) == 1:
        return {key: next(iter(values.values())) for key, values in whole.items()}
    by_prompt: dict[str, list[Key]] = {}
    for key in whole:
        by_prompt.setdefault(key[0], []).append(key)
    return {
        key: rank
        for keys in by_prompt.values()
        for key, rank in zip(keys, mean_ranks([[whole[k][s] for k in keys] for s in sign]), strict=True)
    }


def read_labels(path: Path, images: ImageSet, pairs_per_prompt: int, margin: float) -> list[Choice]:
    """Pairs by a file: scores `{prompt_id, seed, score}`, or `{prompt_id, preferred, rejected[, tie]}`.

    `seed`, `preferred` and `rejected` are k's, as in the images' names; JSONL, or CSV with these columns.

    Raises:
        UserError: if the file is not there, a row is of neither kind, or names an image that is not there.
    """
    rows = read_table(path)
    known = {(record.prompt_id, record.seed) for record in images.ok}
    scores: dict[Key, float] = {}
    choices: dict[str, list[Choice]] = {}
    for number, row in rows:
        try:
            prompt_id = str(row["prompt_id"])
            if "score" in row:
                key = (prompt_id, int(row["seed"]))
                if key in scores:
                    raise ValueError(f"image {key[1]} of prompt {prompt_id!r} has a score already")
                scores[key] = _finite(row["score"])
                asked = {key}
            else:
                better, worse = int(row["preferred"]), int(row["rejected"])
                tie = str(row.get("tie") or "0").lower() in ("1", "true", "yes")
                choices.setdefault(prompt_id, []).append(Choice(prompt_id, better, worse, tie))
                asked = {(prompt_id, better), (prompt_id, worse)}
                if len(asked) < 2:
                    raise ValueError("preferred and rejected are one image")
        except KeyError as error:
            why = f"line {number} has no {error.args[0]}; it has {', '.join(map(str, row))}"
            raise UnreadableFileError(path, "labels", why) from error
        except (TypeError, ValueError) as error:
            raise UnreadableFileError(path, "labels", f"line {number}: {error}") from error
        if not asked <= known:
            prompt, k = min(asked - known)
            raise UserError(
                f"line {number} of {path} is about image {k} of prompt {prompt!r}, which is not there",
                do="images.jsonl lists those that are",
            )
    if scores and choices:
        raise UnreadableFileError(path, "labels", "it holds both scores and preferences")
    if scores:
        return choose(images, scores, pairs_per_prompt, margin)
    return [choice for found in choices.values() for choice in found[:pairs_per_prompt]]


def refuse_missing_labels(path: Path) -> None:
    """Sees that there is a file of labels.

    Raises:
        MissingFileError: if there is none.
    """
    if not path.is_file():
        raise MissingFileError(
            path,
            "file of labels",
            allowed=f"a file that ends in {', '.join(_SUFFIXES)}",
            do="name one that is there, or leave --labels out to make the images first",
        )


def read_table(path: Path) -> list[Numbered]:
    """The rows of a JSONL, CSV or TSV file with their line numbers, from 1.

    Raises:
        UserError: if it is not there, of another kind, or a row is not what its header says.
    """
    refuse_missing_labels(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise UserError(f"cannot tell the format of {path}", allowed=", ".join(_SUFFIXES))
    try:
        return table_rows(path.read_text(encoding="utf-8-sig"), path.suffix.lower())
    except (OSError, ValueError) as error:
        raise UnreadableFileError(path, "labels", error) from error


def _finite(value: object) -> float:
    number = float(str(value))
    if not math.isfinite(number):
        raise ValueError(f"the score is {number}")
    return number
