"""How fast another process takes its steps, told from what it writes; nothing inside it is changed."""

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.errors import UserError

_GLANCE = 0.005
"""Seconds between two looks at the file; a step takes many times as long."""


@dataclass(frozen=True)
class Pace:
    """When a process had done how many steps.

    Attributes:
        seconds: Wall time since its start, after each step.
        cpu: Its processor time then; zeros where the system does not tell.
    """

    seconds: tuple[float, ...]
    cpu: tuple[float, ...]

    def a_step(self, first: int, last: int) -> float:
        """Mean wall time of the steps after `first`, up to `last`, counted from 1."""
        return (self.seconds[last - 1] - self.seconds[first - 1]) / (last - first)

    def cpu_of_a_step(self, first: int, last: int) -> float:
        """Likewise, in processor time: what other processes on the machine do matters less."""
        return (self.cpu[last - 1] - self.cpu[first - 1]) / (last - first)


def pace(
    command: Sequence[str], steps: int, pattern: str, log: Path, *, file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Pace:  # fmt: skip
    """Runs a command and notes when the number of its steps done has grown.

    Args:
        command: What to run.
        steps: How many it takes.
        pattern: A regular expression; its first group is a number of steps done.
        log: Where its output goes.
        file: Where the numbers are looked for; the log unless stated.
        environment: Variables beside those of this process.

    Raises:
        UserError: if it fails, or some step was not seen; with the last line of its output.
    """
    expression, start = re.compile(pattern), time.perf_counter()
    seconds: list[float] = []
    cpu: list[float] = []
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
        position, rest = 0, ""
        try:
            while True:
                ended = process.poll() is not None
                text, position = _new_text(file or log, position)
                rest += text
                done = [int(found) for found in expression.findall(rest)]
                # What may be the first half of a number stays.
                rest = rest[-200:] if len(rest) > 200 else rest
                while done and len(seconds) < min(max(done), steps):
                    seconds.append(time.perf_counter() - start)
                    cpu.append(_cpu_seconds(process.pid))
                if ended:
                    break
                time.sleep(_GLANCE)
        finally:
            process.kill()
            process.wait()
    if process.returncode or len(seconds) < steps:
        raise UserError(f"a run ended after {len(seconds)} of {steps} steps: {last_line(log)}")
    return Pace(tuple(seconds), tuple(cpu))


def last_line(log: Path) -> str:
    """What a command that failed said at last."""
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def _new_text(file: Path, position: int) -> tuple[str, int]:
    with suppress(FileNotFoundError), file.open("rb") as stream:
        stream.seek(position)
        new = stream.read()
        return new.decode(errors="replace"), position + len(new)
    return "", position


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads, on Linux."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
