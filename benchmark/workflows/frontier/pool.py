"""The pool of the base's images: their scores, and how far the images of each pair are apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from benchmark.core.hashing import sha256_json
from benchmark.core.records import ImageSet, ScoreRow
from benchmark.generate import Progress
from benchmark.scorers import Scorer
from benchmark.scorers.base import OfPairs, attempt, said
from benchmark.scorers.engine.cache import Cache
from benchmark.scorers.engine.images import Shown, forget, parts, source_of
from benchmark.scorers.engine.isolation import isolated
from benchmark.stats.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Pool:
    """What is known of the base's images.

    Attributes:
        images: n a prompt.
        rows: The scores of all scorers of unit image.
        pairs: For each scorer that is a mean over pairs its distances, (prompts, n, n).
        errors: Why such a scorer failed, by its name and the prompt's id.
    """

    images: ImageSet
    rows: Sequence[ScoreRow]
    pairs: Mapping[str, FloatArray]
    errors: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def values(self, scorer: str) -> FloatArray:
        """The numbers of a scorer of unit image, (prompts, n), ``NaN`` where there is none."""
        prompts = {prompt.id: i for i, prompt in enumerate(self.images.prompt_set)}
        seeds = {seed: k for k, seed in enumerate(self.images.seeds)}
        found = np.full((len(prompts), len(seeds)), np.nan)
        for row in self.rows:
            if row.scorer == scorer and row.value is not None and row.seed is not None:
                found[prompts[str(row.prompt_id)], seeds[row.seed]] = row.value
        return found


def pool_of(
    images: ImageSet, rows: Sequence[ScoreRow], scorers: Sequence[Scorer], kept: Cache, tell: Progress
) -> Pool:
    """A pool with the distances of its pairs, which are kept by content: a killed run goes on.

    Args:
        images: n a prompt.
        rows: Scores of the image scorers.
        scorers: Loaded; those that are means over pairs are asked.
        kept: The evaluation's cache.
        tell: Told of images after each part.
    """
    asked = [scorer for scorer in scorers if isinstance(scorer, OfPairs)]
    prompts = {prompt.id: i for i, prompt in enumerate(images.prompt_set)}
    n = len(images.seeds)
    pairs = {s.name: np.full((len(prompts), n, n), np.nan) for s in asked if isinstance(s, Scorer)}
    errors: dict[tuple[str, str], str] = {}
    place = {record: images.seeds.index(record.seed) for record in images}
    source_of(images, kept)
    done = 0
    try:
        for part in parts(images) if asked else ():
            for prompt in part.asked:
                mine = part.of([prompt])
                at = [place[record] for record in mine.records]
                for scorer in asked:
                    assert isinstance(scorer, Scorer)
                    try:
                        found = _distances(scorer, mine, kept)
                    except Exception as error:  # noqa: BLE001  # whatever a scorer raises becomes rows
                        errors[scorer.name, prompt.id] = said(error)
                    else:
                        pairs[scorer.name][prompts[prompt.id]][np.ix_(at, at)] = found
            done += len(part) + len(part.faults)
            tell(done, len(images))
    finally:
        kept.write()
        forget(images)
    return Pool(images, rows, pairs, errors)


_NO_PAIR: Final = -1.0
"""In place of ``NaN``, which is kept nowhere; distances are not negative."""


def _distances(scorer: Scorer, shown: Shown, kept: Cache) -> FloatArray:
    contents = [shown.source.content(row, with_prompt=True) for row in shown.rows]
    content = sha256_json(contents) if contents and all(contents) else ""
    key = f"pairs:{scorer.identity}"
    known = kept.find(key, content) if content else None
    if known is None:
        assert isinstance(scorer, OfPairs)
        with isolated(scorer):
            found = np.asarray(attempt(partial(scorer.pair_distances, shown)), dtype=np.float64)
        if found.shape != (len(shown), len(shown)) or (found < 0).any():
            raise ValueError(f"pair_distances gave {found.shape} for {len(shown)} images, or one below 0")
        known = np.where(np.isnan(found), _NO_PAIR, found)
        if content:
            kept.add(key, {content: known})
    back: FloatArray = np.where(known == _NO_PAIR, np.nan, known)
    return back
