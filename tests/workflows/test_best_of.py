"""Which images best of n chooses."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmark.core.records import Checkpoint, ImageSet, ScoreRow
from benchmark.workflows.frontier.run import best_of

K, LARGEST = 3, 8
POINT = Checkpoint("base@best-of", "shapes")


@pytest.fixture
def pool(make_set: Callable[..., ImageSet]) -> ImageSet:
    return make_set(prompts=4, k=K * LARGEST)


def scores(pool: ImageSet, values: np.ndarray) -> list[ScoreRow]:
    cells = zip(pool, values, strict=True)
    return [ScoreRow.measured("base", "hps", "1", float(v), r.prompt_id, r.seed) for r, v in cells]


@pytest.fixture
def random(pool: ImageSet) -> list[ScoreRow]:
    return scores(pool, np.random.default_rng(0).normal(size=len(pool)))


def value_of(rows: list[ScoreRow], pool: ImageSet, images: ImageSet) -> np.ndarray:
    """What the chosen images scored, prompts x K."""
    by_file = {r.path: row.value for r, row in zip(pool, rows, strict=True)}
    return np.array([by_file[r.path] for r in images], float).reshape(-1, K)


def test_best_of_one_is_the_first_k_images(pool: ImageSet, random: list[ScoreRow]) -> None:
    chosen = best_of(pool, random, 1, K, POINT)
    assert chosen.records == tuple(record for record in pool if record.seed < K)
    assert chosen.seeds == tuple(range(K))
    assert chosen.checkpoint == POINT


@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_each_image_is_the_best_of_a_group_of_its_own(pool: ImageSet, random: list[ScoreRow], n: int) -> None:
    chosen = best_of(pool, random, n, K, POINT)
    assert len({record.path for record in chosen}) == len(chosen) == 4 * K
    number = {record.path: record.seed for record in pool}
    assert all(number[record.path] % K == record.seed for record in chosen)
    assert all(number[record.path] < n * K for record in chosen)
    by_prompt = np.array([row.value for row in random]).reshape(4, LARGEST, K)
    np.testing.assert_array_equal(value_of(random, pool, chosen), by_prompt[:, :n].max(axis=1))


def test_a_larger_n_never_scores_lower_image_by_image(pool: ImageSet, random: list[ScoreRow]) -> None:
    reached = [value_of(random, pool, best_of(pool, random, n, K, POINT)) for n in range(1, LARGEST + 1)]
    assert all((after >= before).all() for before, after in pairwise(reached))
    assert reached[-1].mean() > reached[0].mean()


def test_lower_is_better_for_some_scorers(pool: ImageSet, random: list[ScoreRow]) -> None:
    turned = scores(pool, -np.array([row.value for row in random]))
    low = best_of(pool, turned, 4, K, POINT, higher_is_better=False)
    assert low.records == best_of(pool, random, 4, K, POINT).records


def test_the_first_of_equals_is_chosen(pool: ImageSet) -> None:
    even = scores(pool, np.zeros(len(pool)))
    assert best_of(pool, even, 4, K, POINT).records == best_of(pool, even, 1, K, POINT).records


def test_the_mean_of_the_best_is_that_of_the_largest_of_n(make_set: Callable[..., ImageSet]) -> None:
    r"""For uniform scores $E \max_n = n / (n + 1)$."""
    pool = make_set(prompts=2, k=400)
    rows = scores(pool, np.random.default_rng(1).uniform(size=len(pool)))
    by_file = {r.path: row.value for r, row in zip(pool, rows, strict=True)}
    for n in (1, 2, 4):
        found = [by_file[record.path] for record in best_of(pool, rows, n, 100, POINT)]
        assert np.mean(np.array(found, float)) == pytest.approx(n / (n + 1), abs=4 * 0.29 / np.sqrt(200))


def test_what_has_no_score_cannot_be_chosen(pool: ImageSet, random: list[ScoreRow]) -> None:
    first = pool.records[0]
    # Image 0 of the first prompt has no file, image K no score: best of 2 has nothing left, best of 4 has.
    broken = replace(pool, records=(replace(first, status="error", note="no"), *pool.records[1:]))
    rows = [
        replace(row, value=None, status="error", note="no") if row.seed == K else row
        for row in random
        if row.prompt_id == first.prompt_id or row.seed is None
    ]
    rows += [row for row in random if row.prompt_id != first.prompt_id]
    two, four = (best_of(broken, rows, n, K, POINT) for n in (2, 4))
    gone = two.records[0]
    assert (gone.status, gone.seed, gone.prompt_id) == ("missing", 0, first.prompt_id)
    assert "none of its 2 images" in gone.note
    assert len(two.ok) == len(two) - 1
    assert four.records[0].path in {pool.records[i * K].path for i in (2, 3)}
    assert len(four.ok) == len(four)
