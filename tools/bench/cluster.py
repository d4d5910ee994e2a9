"""`cluster_efficiency` and `cluster_overhead`: what a second worker gives, and what Ray costs the first."""

import statistics
import tempfile
from pathlib import Path
from typing import Final

from benchmark.core.devices import allowed_cores
from benchmark.core.errors import UserError
from tools.bench.local_cluster import SCORERS, images_per_second, local_cluster, run
from tools.bench.measuring import Measurement

_IMAGES: Final = 400
_ROUNDS: Final = 3
_WORK: Final = ("eval", "--checkpoint", "base", "--images-per-prompt", "4", "--limit", str(_IMAGES // 4))


def measure_efficiency(rounds: int = _ROUNDS) -> Measurement:
    """Images a second of two workers against one, each of one thread on a machine of one core.

    Raises:
        UserError: if there are not two cores, or no Ray.
    """
    if allowed_cores() < 2:
        raise UserError("two workers need two cores")
    speeds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name, local_cluster(2) as cluster:
        for turn in range(rounds):
            for workers, found in speeds.items():
                out = Path(name) / f"{workers}-{turn}"
                ray = ("--ray", cluster.address, "--workers", str(workers))
                run([*_WORK, "--scorers", "oracle", "--out", str(out), *ray], Path(name) / "log")
                found.append(images_per_second(out, workers))
    one, two = statistics.median(speeds[1]), statistics.median(speeds[2])
    return Measurement(
        name="cluster_efficiency",
        ours=two,
        peer=one,
        ratio=two / one,
        unit="images/s",
        peer_name="one worker",
        note=f"two workers of one thread, {_IMAGES} images of the embedded world, from first to last; "
        f"median of {rounds}",
    )


def measure_overhead(rounds: int = _ROUNDS) -> Measurement:
    """The plain command against `--ray local` with one worker, whole processes with all their imports.

    Raises:
        UserError: if there is no Ray.
    """
    seconds: dict[str, list[float]] = {"plain": [], "ray": []}
    with tempfile.TemporaryDirectory() as name:
        for turn in range(rounds):
            for kind, found in seconds.items():
                more = ("--ray", "local", "--workers", "1") if kind == "ray" else ()
                out = str(Path(name) / f"{kind}-{turn}")
                done = run([*_WORK, "--scorers", SCORERS, "--out", out, *more], Path(name) / "log")
                found.append(done.seconds)
    plain, ray = statistics.median(seconds["plain"]), statistics.median(seconds["ray"])
    return Measurement(
        name="cluster_overhead",
        ours=ray,
        peer=plain,
        ratio=plain / ray,
        unit="s",
        peer_name="the plain command",
        note=f"--ray local with one worker, {_IMAGES} images and {SCORERS.count(',') + 1} scorers, whole "
        f"processes; median of {rounds}",
    )
