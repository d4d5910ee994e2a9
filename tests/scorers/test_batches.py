"""What is kept on disk comes back as it was; batches have one size and the order of their items."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.networks.inference import in_batches, prepared_in_batches
from benchmark.scorers.engine.cache import Cache


def test_arrays_and_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    found = {"a" * 64: g.normal(size=(3, 2)), "b" * 64: g.normal(size=5).astype("float32"), "c" * 64: 0.1}
    kept = Cache(tmp_path / "k")
    kept.add("key", found)
    assert not list(tmp_path.rglob("*.npy"))
    kept.write()
    again = Cache(tmp_path / "k")
    for about, value in found.items():
        back = again.find("key", about)
        np.testing.assert_array_equal(back, value)
        assert back.dtype == np.asarray(value).dtype
    assert again.find("key", "d" * 64) is None
    assert again.find("other", "a" * 64) is None
    next(tmp_path.rglob("*.npy")).write_bytes(b"not numpy's")
    assert Cache(tmp_path / "k").find("key", "d" * 64) is None


def test_a_long_run_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.scorers.engine.cache.EVERY_SECONDS", 0.0)
    kept = Cache(tmp_path)
    kept.add("key", {"a": 1.0})
    assert Cache(tmp_path).find("key", "a") == 1.0


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9])
def test_batches_have_one_size_and_the_order_of_the_items(n: int) -> None:
    sizes = []

    def compute(batch: Sequence[torch.Tensor]) -> torch.Tensor:
        sizes.append(len(batch))
        return torch.stack(list(batch)) * 2

    out = prepared_in_batches(range(n), lambda i: torch.tensor([float(i)]), compute, 4)
    assert [float(x) for x in out] == [2.0 * i for i in range(n)]
    assert set(sizes) <= {4}


def test_a_batch_too_large_for_the_device_is_halved() -> None:
    def compute(batch: Sequence[float]) -> torch.Tensor:
        if len(batch) > 2:
            raise torch.OutOfMemoryError("too much")
        return torch.tensor(batch)

    assert [float(x) for x in in_batches([1.0, 2.0, 3.0], compute, 8)] == [1.0, 2.0, 3.0]


def test_what_fails_while_it_is_prepared_fails_here() -> None:
    with pytest.raises(ZeroDivisionError):
        prepared_in_batches([1, 0], lambda i: torch.tensor([1 / i]), lambda b: torch.stack(list(b)), 2)
