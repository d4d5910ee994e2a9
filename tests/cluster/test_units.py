"""How an evaluation's images are cut into units."""

import pytest

from benchmark.cluster.units import IMAGES, shards_of


@pytest.mark.parametrize("batch", [1, 4, 16, 50])
@pytest.mark.parametrize("k", [1, 3, 4, 8, 40])
@pytest.mark.parametrize("prompts", [1, 2, 47, 100])
def test_every_prompt_is_in_one_unit_and_none_is_small_but_the_last(prompts: int, k: int, batch: int) -> None:
    shards = shards_of(prompts, k, batch)
    parts = [[n for n in range(prompts) if n in shard] for shard in shards]
    assert sorted(n for part in parts for n in part) == list(range(prompts))
    assert len({shard.suffix for shard in shards}) == len(shards)
    least = max(IMAGES, batch)
    assert all(least <= len(part) * k < 2 * (least + k) for part in parts[:-1])
    assert parts[-1]


def test_units_fill_their_batches() -> None:
    # 400 images in batches of 16: as many batches in all as one process needs.
    shards = shards_of(100, 4, 16)
    sizes = [4 * sum(n in shard for n in range(100)) for shard in shards]
    assert sum(-(-size // 16) for size in sizes) == 25
