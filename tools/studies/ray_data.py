"""What Ray Data's actor pool does when one of its two actors is killed, under several settings.

    python -m tools.studies.ray_data docs/decisions/actors.md

tries each in a process of its own on a cluster of machines of one core, one more than there are actors unless
it says otherwise, and writes what came of them into the page.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmark.core.console import finish
from tools.bench.local_cluster import local_cluster
from tools.docs.marks import write_texts

_LIMIT: Final = 120.0
_UNITS: Final = 8
_CASES: Final[dict[str, dict[str, Any]]] = {
    "nothing dies": {"spared": True},
    "nothing dies, and the two actors have all cores": {"spared": True, "machines": 2},
    "as it comes": {},
    "no actor is begun again": {"actors": {"max_restarts": 0, "max_task_retries": 0}},
    "the same, and lost blocks allowed": {
        "actors": {"max_restarts": 0, "max_task_retries": 0}, "context": {"max_errored_blocks": -1},
    },
    "errors of actors tried again": {"context": {"actor_task_retry_on_errors": True}},
}  # fmt: skip


class Unit:
    """Two seconds of work; the first actor that begins dies once, in its first unit.

    Args:
        mark: The file that says that one has died.
        seconds: What an actor's start takes.
    """

    def __init__(self, mark: str, seconds: float = 1.0) -> None:
        self._mark = Path(mark)
        time.sleep(seconds)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Does the units of a batch."""
        try:
            self._mark.touch(exist_ok=False)
        except FileExistsError:
            time.sleep(2)
            return batch
        os.kill(os.getpid(), signal.SIGKILL)
        return batch


def try_case(name: str, address: str, mark: str) -> int:
    """In a process of its own: the units that came through."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    case = _CASES[name]
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    for key, value in case.get("context", {}).items():
        setattr(DataContext.get_current(), key, value)
    if case.get("spared"):
        Path(mark).touch()
    units = ray.data.range(_UNITS, override_num_blocks=_UNITS).map_batches(
        Unit,
        fn_constructor_args=(mark,),
        compute=ActorPoolStrategy(size=2),
        num_cpus=1,
        batch_size=1,
        **case.get("actors", {}),
    )
    return len(units.take_all())


def came_of(name: str, place: Path) -> str:
    """How a case ended, in words."""
    with local_cluster(_CASES[name].get("machines", 3)) as cluster:
        words = [sys.executable, "-m", "tools.studies.ray_data", "--case", name, cluster.address, str(place)]
        begin = time.monotonic()
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, error = process.communicate(timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return f"not ended after {_LIMIT:.0f} s"
    taken = time.monotonic() - begin
    if process.returncode:
        lines = [line for line in error.splitlines() if "Error" in line]
        said = lines[-1].strip()[:120] if lines else "an error"
        return f"error after {taken:.0f} s: `{said}`"
    return f"{json.loads(out.splitlines()[-1])} of {_UNITS} units in {taken:.0f} s"


def main() -> None:
    """Parses the command line."""
    if sys.argv[1] == "--case":
        print(json.dumps(try_case(*sys.argv[2:5])))
        return
    page = Path(sys.argv[1])
    lines = [
        "| setting of Ray Data | what came of eight units on two actors, one of them killed |",
        "|:--|:--|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for i, name in enumerate(_CASES):
            lines.append(f"| {name} | {came_of(name, Path(folder) / str(i))} |")
            print(lines[-1], flush=True)
    write_texts(page, {"figures": "\n".join(lines)})


if __name__ == "__main__":
    finish(main)
