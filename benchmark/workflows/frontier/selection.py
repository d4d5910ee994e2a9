"""Best of n: which images of a pool a scorer chooses."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from benchmark.core.hashing import sha256_json
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, ScoreRow


def best_of(
    pool: ImageSet,
    scores: Iterable[ScoreRow],
    n: int,
    images_per_prompt: int,
    checkpoint: Checkpoint,
    *,
    higher_is_better: bool = True,
) -> ImageSet:
    r"""Image k of each prompt is the best of group k, $\{k, k + K, \dots, k + (n-1)K\}$.

    Groups are disjoint, so that the K images of a prompt stay independent; those of a smaller n are part of
    those of a larger one, and the group of 1 is the base's own image k. Of equal scores the lower number in
    the pool wins. An image without a score cannot be chosen; a group without any is a missing image.

    Args:
        pool: At least $nK$ images a prompt, numbered from 0.
        scores: Of the pool, by one scorer of unit image.
        n: How many images each is the best of.
        images_per_prompt: K.
        checkpoint: Under whose name the chosen images go.
        higher_is_better: The scorer's direction.

    Returns:
        A set of K images a prompt, numbered 0 to K - 1, that points to the files of the pool.
    """
    sign = 1.0 if higher_is_better else -1.0
    known = {(row.prompt_id, row.seed): sign * row.value for row in scores if row.value is not None}
    there = {(record.prompt_id, record.seed): record for record in pool.ok}
    chosen = []
    for prompt in pool.prompt_set:
        for k in range(images_per_prompt):
            group = [(prompt.id, k + i * images_per_prompt) for i in range(n)]
            able = [cell for cell in group if cell in known and cell in there]
            if able:
                # `max` keeps the first of equals.
                best = there[max(able, key=known.__getitem__)]
                chosen.append(replace(best, seed=k))
            else:
                chosen.append(_nothing(prompt.id, k, n))
    seen = [(r.prompt_id, r.seed, r.sha256, r.status) for r in chosen]
    content = sha256_json([pool.id, checkpoint.id, n, seen])[:16]
    return ImageSet(
        content, checkpoint, pool.prompt_set, pool.sampler, tuple(range(images_per_prompt)), tuple(chosen)
    )


def _nothing(prompt_id: str, k: int, n: int) -> ImageRecord:
    note = f"none of its {n} images has a score to choose by"
    return ImageRecord(prompt_id, k, Path(f"{prompt_id}_{k}.png"), status="missing", note=note)
