"""Batches of one fixed size, the last one filled up: a score does not depend on its neighbours."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

SIZE = 32


def in_batches(
    items: Sequence[T], compute: Callable[[Sequence[T]], Tensor], size: int = SIZE
) -> list[Tensor]:
    """One tensor for each item.

    Args:
        items: Looked at a batch at a time, so that a lazy sequence stays lazy.
        compute: From a batch to a tensor whose first dimension is the batch's.
        size: Items of a batch.
    """
    out: list[Tensor] = []
    with torch.inference_mode():
        for batch in _filled(items, size):
            out.extend(compute(batch).float().cpu().unbind(0))
    return out[: len(items)]


def _filled(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        batch = list(items[start : start + size])
        yield batch + [batch[-1]] * (size - len(batch))
