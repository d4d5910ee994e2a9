"""Batches of one fixed size, the last one filled up: a score does not depend on its neighbours."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import torch
from torch import Tensor

from benchmark.core.devices import allowed_cores

T = TypeVar("T")
P = TypeVar("P")

SIZE: Final = 32
"""Items of a batch for small networks."""


def batch_size(device: str, side: int) -> int:
    """Images or texts of a batch: enough to fill the device, few enough for a large network on a processor.

    Args:
        device: Where it is computed.
        side: Of the network's input, in pixels.
    """
    if device.startswith("cuda"):
        return 64
    return SIZE if side <= 64 else 8


def in_batches(
    items: Sequence[T], compute: Callable[[Sequence[T]], Tensor], size: int = SIZE
) -> list[Tensor]:
    """One tensor for each item.

    Args:
        items: Looked at a batch at a time, so that a lazy sequence stays lazy.
        compute: From a batch to a tensor whose first dimension is the batch's.
        size: Items of a batch; on a GPU without room for them, half as many, and so on.
    """
    return prepared_in_batches(items, lambda item: item, compute, size)


def prepared_in_batches(
    items: Sequence[T], prepare: Callable[[T], P], compute: Callable[[Sequence[P]], Tensor], size: int = SIZE
) -> list[Tensor]:
    """The same for items that are prepared one by one, on threads, while the batch before is computed.

    Args:
        items: Looked at a batch at a time.
        prepare: From an item to what `compute` reads, such as pixels of the size that a network has.
        compute: From a batch of these to a tensor whose first dimension is the batch's.
        size: As of `in_batches`.
    """
    out: list[Tensor] = []
    with torch.inference_mode(), ThreadPoolExecutor(allowed_cores(), "prepare") as pool:
        for batch, count in _prepared(items, prepare, size, pool):
            out.extend(_careful(compute, batch)[:count])
    return out


def _prepared(
    items: Sequence[T], prepare: Callable[[T], P], size: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[P], int]]:
    """Full batches and how many of their items count, prepared one batch ahead."""

    @torch.inference_mode()
    def one(item: T) -> P:
        return prepare(item)

    # Items are fetched here, by one thread: a lazy sequence need not be safe for several.
    starts = range(0, len(items), size)
    coming = [pool.submit(one, item) for item in items[:size]]
    for start in starts:
        batch = [future.result() for future in coming]
        coming = [pool.submit(one, item) for item in items[start + size : start + 2 * size]]
        yield batch + [batch[-1]] * (size - len(batch)), len(batch)


def _careful(compute: Callable[[Sequence[P]], Tensor], batch: Sequence[P]) -> list[Tensor]:
    """A batch; one that a GPU has no room for, in halves."""
    try:
        return list(compute(batch).float().cpu().unbind(0))
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
        torch.cuda.empty_cache()
        half = len(batch) // 2
        return _careful(compute, batch[:half]) + _careful(compute, batch[half:])
