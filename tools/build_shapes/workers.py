"""Runs a function in several single-threaded processes that form one torch.distributed group."""

import os
import tempfile
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from tools.build_shapes.fitting import Build


def together(function: Callable[[Build], None], build: Build) -> None:
    """Calls `function(build)` in `build.processes` processes of one thread; with one, here."""
    if build.processes == 1:
        torch.set_num_threads(1)
        function(build)
        return
    with tempfile.TemporaryDirectory() as folder:
        spawn(_worker, args=(function, build, f"file://{folder}/rendezvous"), nprocs=build.processes)


def _worker(rank: int, function: Callable[[Build], None], build: Build, meeting: str) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=build.processes)
    function(build)
    dist.destroy_process_group()


def is_first() -> bool:
    """Whether this process writes the files: the only one, or the first of its group."""
    return not dist.is_initialized() or dist.get_rank() == 0
