"""Counts the files that a reader crosses in the walks of docs/architecture.md: ``python -m tools.walks``.

A walk is a real command on the embedded world. A tracer notes each file of `benchmark` and `trainers` in
which a function runs between where the walk begins and where it ends; `benchmark.core` (records, hashes,
files on disk) is the ground that all stand on and is not counted.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from benchmark.core.errors import EXIT_USER

ROOT: Final = Path(__file__).resolve().parents[1]
GROUND: Final = ("benchmark/core/", "benchmark/cli/silence.py", "benchmark/cli/streams.py")
"""Records and errors, and the lines that say on a slow machine that a command is at work."""
FOUND: Final = "files.json"


@dataclass(frozen=True)
class Walk:
    """A way through the code.

    Attributes:
        title: What happens on it.
        begins: FILE:FUNCTION of the calls during which files are noted.
        words: The command; FOLDER stands for a temporary one.
        before: Commands that prepare it, not traced.
    """

    title: str
    begins: tuple[str, ...]
    words: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()


_TRAIN = (
    "train", "--base", "shapes", "--data", "shapes-prefs", "--objective", "f_dpo", "--divergence",
    "jensen_shannon", "--beta", "0.3", "--log-ratio-scale", "500", "--precision", "fp32", "--steps", "2",
    "--batch-size", "8", "--save-every", "2", "--set", "data_limit=200", "--set", "held_out_pairs=0",
    "--set", "cache=FOLDER/cache",
)  # fmt: skip
_EVALUATE = (
    "eval", "--checkpoint", "base", "--checkpoint", "FOLDER/run", "--prompts", "shapes-core", "--limit", "4",
    "--images-per-prompt", "2", "--scorers", "clip,oracle", "--out", "FOLDER/eval",
)  # fmt: skip

WALKS: Final = {
    "step": Walk(
        "one training step: draw, noise, predict twice, log-ratios, objective, divergence, update, log",
        (
            "trainers/batches.py:draw_batch",
            "trainers/loop.py:reference_errors",
            "trainers/loop.py:train_step",
            "trainers/logs.py:write",
        ),
        (*_TRAIN, "--out", "FOLDER/run"),
    ),
    "clip": Walk(
        "the CLIP score of an image",
        ("benchmark/evaluate/scoring.py:_rows",),
        ("score", "FOLDER/images", "--scorers", "clip", "--weights", "embedded", "--out", "FOLDER/score"),
    ),
    "gate": Walk(
        "how the gate decides, from two score tables to an exit code",
        ("benchmark/gate/evaluations.py:gate_evaluations", "benchmark/cli/verdict.py:tell_verdict"),
        (
            "gate", "FOLDER/eval", "--baseline", "base", "--candidate", "f_dpo-jensen_shannon", "--scorers",
            "clip", "--margin", "clip=50",
        ),
        ((*_TRAIN, "--out", "FOLDER/run"), _EVALUATE),
    ),
    "cell": Walk(
        "a score, from its scorer to a cell of the leaderboard",
        (
            "benchmark/evaluate/scoring.py:write",
            "benchmark/leaderboard/score_table.py:write_score_table",
            "benchmark/leaderboard/build.py:build_leaderboard",
        ),
        _EVALUATE,
        ((*_TRAIN, "--out", "FOLDER/run"),),
    ),
}  # fmt: skip


class Tracer:
    """Notes files while one of some functions is on the stack.

    Args:
        begins: FILE:FUNCTION of those functions.

    Attributes:
        files: What was noted, in the order of first calls, with the functions.
    """

    def __init__(self, begins: Sequence[str]) -> None:
        self._begins = set(begins)
        self._inside = 0
        self.files: dict[str, list[str]] = {}

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """As `sys.setprofile` calls it."""
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith((_BENCHMARK, _TRAINERS)):
            return
        file = Path(code.co_filename).relative_to(ROOT).as_posix()
        begins = f"{file}:{code.co_name}" in self._begins
        if event == "call":
            self._inside += begins
            # Class bodies and comprehensions are no functions that one steps into.
            if self._inside and not file.startswith(GROUND) and re.match(r"_*[a-z]", code.co_name):
                names = self.files.setdefault(file, [])
                if code.co_name not in names:
                    names.append(code.co_name)
        else:
            self._inside -= begins


_BENCHMARK, _TRAINERS = (f"{ROOT / name}/" for name in ("benchmark", "trainers"))


def files_of(name: str) -> dict[str, list[str]]:
    """The files of a walk with the functions that ran, in the order of first calls."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tools.walks", name, "--folder", folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the walk {name} failed:\n{done.stderr}")
        # Not on stdout, which is the command's own to its end.
        found: dict[str, list[str]] = json.loads((Path(folder) / FOUND).read_text(encoding="utf-8"))
    return found


def _walk(walk: Walk, folder: Path) -> dict[str, list[str]]:
    """Takes a walk in this process."""
    import fbench

    images = folder / "images"
    images.mkdir()
    picture = next((ROOT / "benchmark" / "shapes" / "data" / "conformance").rglob("*.png"))
    shutil.copy(picture, images / "0.png")
    (images / "0.txt").write_text("a red star", encoding="utf-8")
    tracer = Tracer(walk.begins)
    for words in (*walk.before, walk.words):
        if words is walk.words:
            sys.setprofile(tracer)
            threading.setprofile(tracer)
        sys.argv = ["fbench", *(word.replace("FOLDER", str(folder)) for word in words)]
        try:
            fbench.main()
        except SystemExit as end:
            # The gate's verdicts are codes as well; a walk may lead to any of them.
            if end.code == EXIT_USER or (end.code and words is not walk.words):
                raise
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    return tracer.files


def main() -> None:
    """Takes one walk or all of them."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.walks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("name", nargs="?", choices=sorted(WALKS), help="one alone")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder is not None:
        found = _walk(WALKS[args.name], args.folder)
        (args.folder / FOUND).write_text(json.dumps(found), encoding="utf-8")
        return
    for name in [args.name] if args.name else WALKS:
        found = files_of(name)
        print(f"{WALKS[name].title}: {len(found)} files")
        for file, names in found.items():
            print(f"  {file}: {', '.join(names)}")


if __name__ == "__main__":
    main()
