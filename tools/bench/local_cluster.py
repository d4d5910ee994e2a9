"""A Ray cluster of several machines on this one, and commands on it, for measurements."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmark.cluster.connection import import_ray
from benchmark.core.errors import UserError
from benchmark.models import default_sampling, model_facts

OBJECTS: Final = 80 * 2**20
"""Bytes of a machine's object store."""
SCORERS: Final = "true_taste,oracle,clip,true_diversity,lpips,kid"
"""Four of images or prompts that need a network, one of prompts that needs none, one of sets."""
_TRIES: Final = 3


@contextmanager
def local_cluster(machines: int) -> Iterator[Any]:
    """Machines of one core each; yields Ray's `Cluster`, whose `address` commands take.

    Raises:
        UserError: if Ray is not installed, or its processes do not come up.
    """
    import_ray()
    from ray.cluster_utils import Cluster

    # As the plain command: Ray has workers stand behind every other process of a machine.
    os.environ.setdefault("RAY_worker_niceness", "0")
    cluster = _started(machines, Cluster)
    try:
        yield cluster
    finally:
        with suppress(Exception):  # its head may have been killed
            cluster.shutdown()


def _started(machines: int, make: Any) -> Any:
    """A busy machine is slow to start Ray's processes, and Ray waits for thirty seconds and no longer."""
    for tried in range(_TRIES):
        cluster = make()
        try:
            for i in range(machines):
                first = {"include_dashboard": False} if i == 0 else {}
                cluster.add_node(num_cpus=1, object_store_memory=OBJECTS, **first)
            cluster.wait_for_nodes()
        except Exception as error:
            cluster.shutdown()
            if tried == _TRIES - 1:
                raise UserError(f"Ray does not start here ({error})") from error
        else:
            return cluster
    raise AssertionError


@dataclass(frozen=True)
class Run:
    """How a command ended.

    Attributes:
        code: Its exit code.
        seconds: Wall time, its imports included.
        said: Its stderr.
    """

    code: int
    seconds: float
    said: str


def start(words: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Starts `fbench` with one thread; its output goes into a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "fbench", *words], env=environment, stdout=output, stderr=output
        )


def run(words: Sequence[str], log: Path, *, code: int | None = 0) -> Run:
    """Runs `fbench` to its end.

    Args:
        words: Of the command.
        log: Where its output goes.
        code: That it must end with; None: any.

    Raises:
        UserError: if it ends with another one.
    """
    begin = time.monotonic()
    process = start(words, log)
    ended = process.wait()
    said = log.read_text(errors="replace")
    if code is not None and ended != code:
        raise UserError(
            f"fbench {words[0]} ended with {ended}: {said.strip().splitlines()[-1:]}", do=str(log)
        )
    return Run(ended, time.monotonic() - begin, said)


def images_per_second(folder: Path, workers: int) -> float:
    """Images made a second from the first to the last: start and scores do not count.

    What each worker had in work when the first image was there, a batch, was begun before and is left out.
    """
    batch = default_sampling(model_facts("shapes")).batch_size
    times = sorted(file.stat().st_mtime for file in folder.glob("images/*/*.png"))
    return (len(times) - workers * batch) / (times[-1] - times[0])
