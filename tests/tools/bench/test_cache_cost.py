"""The measurement of the cache, in miniature."""

from pathlib import Path

from benchmark.core.sealed import LENGTH
from tools.bench.cache_cost import measure


def test_sizes_are_those_of_half_precision(tiny_pipeline_folder: Path) -> None:
    found = measure(
        str(tiny_pipeline_folder), "shapes-style-sketch", pairs=6, batch_size=4, steps=1, device="cpu"
    )
    assert found.images == 12
    # 4 x 16 x 16 halves, four whole numbers, and the headers and seals of two files.
    assert found.image_bytes == 4 * 16 * 16 * 2 + 4 * 8 + 2 * (128 + LENGTH) / 12
    assert found.captions <= 7
    assert min(found.fill_seconds, found.cached_seconds, found.plain_seconds) > 0
