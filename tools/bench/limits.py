"""How much arithmetic a piece of work is, and how fast this machine multiplies matrices."""

import time
from collections.abc import Callable
from typing import Any, Final

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

_Shape = tuple[int, ...]


def _attention(query: _Shape, key: _Shape, value: _Shape, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(out: _Shape, query: _Shape, key: _Shape, value: _Shape, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(out, query, key, value))


_ON_A_CPU: Final = "_scaled_dot_product_flash_attention_for_cpu"
_NOT_COUNTED_BY_TORCH: Final[dict[Any, Any]] = {
    getattr(torch.ops.aten, _ON_A_CPU): _attention,
    getattr(torch.ops.aten, f"{_ON_A_CPU}_backward"): _attention_backward,
}


def flops_of(work: Callable[[], Any]) -> int:
    """The floating-point operations of what torch does meanwhile, in this process: a multiply-add is two.

    Matrix products, convolutions and attention count, forward and backward; additions, norms and
    activations, a small part of a network's arithmetic, do not.

    Args:
        work: What is done once.
    """
    with FlopCounterMode(display=False, custom_mapping=_NOT_COUNTED_BY_TORCH) as counter:
        work()
    return int(counter.get_total_flops())


def matrix_rate(dtype: torch.dtype, device: torch.device | str = "cpu", *, size: int = 0) -> float:
    """The rate at which this machine multiplies two large square matrices, in FLOP/s.

    No network runs faster, so it is the limit that a share is stated of. On a CPU it is that of the threads
    that torch uses, by their processor time, which other processes do not stretch; the best of some
    rounds.

    Args:
        dtype: Of the matrices.
        device: Where they are.
        size: Of their sides; 0 for one that is large enough for the device.
    """
    device = torch.device(device)
    n = size or (8192 if device.type == "cuda" else 2048)
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty(n, n, device=device, dtype=dtype)
    seconds = []
    for _ in range(6):
        start = _seconds(device)
        torch.mm(a, b, out=out)
        seconds.append(_seconds(device) - start)
    # The first one warms up.
    return 2.0 * n**3 / min(seconds[1:])


def _seconds(device: torch.device) -> float:
    """A clock that goes while matrices are multiplied."""
    if device.type == "cpu":
        return time.process_time() / torch.get_num_threads()
    torch.accelerator.synchronize(device)
    return time.perf_counter()
