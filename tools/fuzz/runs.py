"""Folders that runs leave: a damaged file must not change a number when the same command goes on."""

import json
import multiprocessing
import os
import shutil
import signal
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.core.hashing import sha256_file
from benchmark.core.store import read_scores
from tools.fuzz.judging import Silent, Target, Verdict, run
from tools.fuzz.mutations import damaged_bytes, damaged_lines
from tools.fuzz.tables import picture, preference_rows
from tools.random_folders import TINY_SD15, write_random_folder

_TEXT = (".json", ".jsonl", ".csv", ".md", ".tex")


class _Runs(Target):
    """A finished run, of which one file is damaged before the same command runs again.

    Args:
        folder: For everything.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._out, self._sound = folder / "out", folder / "sound"
        self._prepare()
        run(*self._command())
        self._numbers = self._found()
        self._leave()
        shutil.move(self._out, self._sound)
        self._files = sorted(p.relative_to(self._sound) for p in self._sound.rglob("*") if p.is_file())

    def damage(self, rng: Random) -> str:
        shutil.rmtree(self._out, ignore_errors=True)
        shutil.copytree(self._sound, self._out)
        # A folder has many images and one manifest: each kind of file has the same chance.
        kinds = sorted({_kind(path) for path in self._files})
        kind = rng.choice(kinds)
        path = rng.choice([path for path in self._files if _kind(path) == kind])
        data = (self._sound / path).read_bytes()
        mutation = (damaged_lines if path.suffix in _TEXT and data else damaged_bytes)(data, rng)
        (self._out / path).write_bytes(mutation.data)
        return f"{path.as_posix()}: {mutation.name}"

    def judge(self) -> Verdict:
        run(*self._command())
        try:
            found = self._found()
        except (OSError, ValueError) as error:
            raise Silent(f"what it left cannot be read: {error}") from error
        for name, value in self._numbers.items():
            if found.get(name) != value:
                raise Silent(f"{name} is {found.get(name)}, and was {value}")
        if len(found) != len(self._numbers):
            raise Silent(f"{len(found)} numbers, and were {len(self._numbers)}")
        return Verdict("same")

    @abstractmethod
    def _prepare(self) -> None:
        """Makes the inputs."""

    def _leave(self) -> None:
        """Makes of the finished run what is damaged; the finished run itself, unless it says otherwise."""

    @abstractmethod
    def _command(self) -> tuple[str, ...]:
        """What is run, and run again."""

    @abstractmethod
    def _found(self) -> Mapping[str, Any]:
        """The numbers of the run in the folder, by name."""


def _kind(path: Path) -> str:
    """Files of one folder and ending are of one kind."""
    return f"{path.parts[0] if len(path.parts) > 1 else path.name} {path.suffix}"


class Evaluations(_Runs):
    """Folders of `fbench eval` and of the caches below them."""

    name: ClassVar[str] = "evals"
    share: ClassVar[float] = 0.1

    def _prepare(self) -> None:
        write_random_folder(self._folder / "base", TINY_SD15)
        (self._folder / "p.txt").write_text("a red star\ntwo hearts\n")
        for i in range(3):
            (self._folder / "reference").mkdir(exist_ok=True)
            (self._folder / "reference" / f"{i}.png").write_bytes(picture(i, 64))

    def _command(self) -> tuple[str, ...]:
        return (
            "eval", "--base", str(self._folder / "base"), "--checkpoint", "base",
            "--prompts", str(self._folder / "p.txt"), "--images-per-prompt", "2", "--steps", "2",
            "--precision", "fp32", "--scorers", "entropy,clip(weights='embedded'),lpips(weights='embedded')",
            "--out", str(self._out),
        )  # fmt: skip

    def _found(self) -> Mapping[str, Any]:
        rows = {f"{r.scorer} {r.prompt_id} {r.seed}": (r.value, r.status) for r in read_scores(self._out)}
        images = {p.name: sha256_file(p) for p in (self._out / "images").rglob("*.png")}
        return {**rows, **images}


class Rescored(Evaluations):
    """The same without its scores, so that they come from the caches of features and values."""

    name: ClassVar[str] = "rescored"
    share: ClassVar[float] = 0.1

    def _leave(self) -> None:
        shutil.rmtree(self._out / ".scores")
        (self._out / "scores.parquet").unlink()


class Trainings(_Runs):
    """Folders of `fbench train`, whose finished run is asked for again."""

    name: ClassVar[str] = "trainings"
    share: ClassVar[float] = 0.1

    def _prepare(self) -> None:
        write_random_folder(self._folder / "base", TINY_SD15)
        pq.write_table(pa.Table.from_pylist(preference_rows()), self._folder / "pairs.parquet")

    def _command(self) -> tuple[str, ...]:
        return (
            "train", "--base", str(self._folder / "base"), "--data", str(self._folder / "pairs.parquet"),
            "--objective", "f_dpo", "--beta", "1", "--log-ratio-scale", "100", "--lora-rank", "2",
            "--steps", "4", "--batch-size", "2", "--save-every", "2", "--precision", "fp32",
            "--set", "held_out_pairs=2", "--set", "held_out_draws=2",
            "--set", f"cache={self._folder / 'cache'}", "--out", str(self._out),
        )  # fmt: skip

    def _found(self) -> Mapping[str, Any]:
        weights = {str(p.relative_to(self._out)): sha256_file(p) for p in self._out.rglob("*.safetensors")}
        lines = (self._out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return {**weights, **{f"line {i}": json.loads(line).get("loss") for i, line in enumerate(lines)}}


class Killed(Trainings):
    """A run that was killed before its last checkpoint stood in its place, and that goes on."""

    name: ClassVar[str] = "killed"
    share: ClassVar[float] = 0.1

    def _leave(self) -> None:
        shutil.rmtree(self._out)
        process = multiprocessing.get_context("fork").Process(
            target=_killed_at_the_last_step, args=self._command()
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"it ended with {process.exitcode}"


def _killed_at_the_last_step(*command: str) -> None:
    """Runs a training of four steps in this process, which does not survive the last one."""
    rename = Path.rename

    def kill(self: Path, target: Path) -> Path:
        if Path(target).name == "step-000004":
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    Path.rename = kill  # type: ignore[method-assign,assignment]
    run(*command)
