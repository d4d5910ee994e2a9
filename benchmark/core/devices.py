"""Which device to compute on, and how many threads are really free."""

import ctypes
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from benchmark.core.errors import UserError


def choose_device(asked: str = "auto") -> str:
    """The device to use: the one asked for if it is there, else the best there is.

    Args:
        asked: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises:
        UserError: if the device asked for is not there.
    """
    if asked == "cpu":
        return asked
    there = available_devices()
    if asked == "auto":
        return there[-1]
    if asked in there or (asked == "cuda" and "cuda:0" in there):
        return asked
    raise UserError(f"there is no device {asked!r} here", allowed=", ".join(["auto", *there]))


def available_devices() -> list[str]:
    """The devices torch can use, the best one last; of several GPUs the first is the best."""
    devices = ["cpu"]
    if not _may_have_gpu():
        return devices
    import torch

    devices += ["mps"] if torch.backends.mps.is_available() else []
    devices += [f"cuda:{i}" for i in reversed(range(torch.cuda.device_count()))]
    return devices


def _may_have_gpu() -> bool:
    """Whether torch has to be asked: importing it takes seconds, and without a driver it finds none."""
    if sys.platform != "linux" or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def peak_memory_gb(device: str) -> float | None:
    """The most memory that this process has held so far, in GB (10^9 bytes).

    Args:
        device: What it computes on; on ``cuda`` it is what torch has held there, else the process's resident
            memory.

    Returns:
        The peak; None where the system does not tell.
    """
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 1e9
    try:
        import resource
    except ImportError:  # Windows
        return None
    # Kilobytes, but bytes on a Mac.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9


def free_memory(device: str) -> int | None:
    """The bytes that are free on a device; None where the system does not tell.

    Args:
        device: As torch names it.
    """
    if device.startswith("cuda"):
        import torch

        # What torch holds for later is free to it as well.
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + held
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return None


def allowed_cores() -> int:
    """The cores this process may use: those of the machine, of its affinity, of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, int(quota) // int(period))
    return max(1, cores)


def free_threads() -> int:
    """The threads worth using: on a busy machine one thread beats two that wait for each other.

    ``OMP_NUM_THREADS`` is the user's word and wins, up to the cores there are.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said) > 0:
        return min(int(said), allowed_cores())
    busy = 0.0
    with suppress(OSError, AttributeError):
        # The load counts the whole machine, so it is taken from the machine's cores.
        busy = os.getloadavg()[0]
    idle = (os.cpu_count() or 1) - round(busy)
    return max(1, min(allowed_cores(), idle))


def require_compiler(device: str) -> None:
    """Refuses to compile for a CPU without what torch compiles with.

    Raises:
        UserError: if no C++ compiler is found; the variable `CXX` names another one than `g++`.
    """
    compiler = os.environ.get("CXX", "g++")
    if device == "cpu" and shutil.which(compiler) is None:
        raise UserError(
            f"compile needs a C++ compiler, and {compiler} is not there",
            do="install one, or leave compile out",
        )
