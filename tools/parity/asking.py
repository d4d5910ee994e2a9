"""Both sides' answers: ours from files by our scorers, the original's from its own environment."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.store import read_json
from benchmark.workflows.workers import run_workers
from tools.parity.environments import Environment

_ORIGINALS = Path(__file__).resolve().parent / "originals"


@dataclass(frozen=True)
class Reply:
    """What an original answered.

    Attributes:
        values: One for each call; None for one that failed.
        errors: Why, by the number of the call.
        versions: Of its packages.
        load: Seconds until it was ready, and processor seconds.
        seconds: Of each call, by pass.
        processor: Processor seconds of the same.
        peak: Resident memory, in bytes.
    """

    values: Sequence[Any]
    errors: Mapping[int, str]
    versions: Mapping[str, str]
    load: Sequence[float]
    seconds: Sequence[Sequence[float]]
    processor: Sequence[Sequence[float]]
    peak: int

    def complete(self) -> Sequence[Any]:
        """The values, where every call must have one.

        Raises:
            UserError: if one failed.
        """
        for i, why in self.errors.items():
            raise UserError(f"question {i} of {len(self.values)} failed: {why}")
        return self.values


def ask(
    oracle: str,
    environment: Environment,
    folder: Path,
    calls: Sequence[Sequence[Any]],
    *,
    passes: int = 1,
    **given: Any,
) -> Reply:
    """Runs an original in a process of its own.

    Args:
        oracle: Name of a file in `originals/`.
        environment: Where its packages are.
        folder: It runs there, and finds there what it would otherwise fetch.
        calls: The arguments of each question.
        passes: How often all are asked; the answers are the last ones.
        given: What it loads.

    Raises:
        UserError: if the environment cannot be built, or the original ends with an error.
    """
    python = environment.python()
    request, reply = folder / f"{oracle}.request.json", folder / f"{oracle}.reply.json"
    texts = [[str(a) if isinstance(a, Path) else a for a in arguments] for arguments in calls]
    given = {k: str(v) if isinstance(v, Path) else v for k, v in given.items()}
    request.write_text(json.dumps({"given": given, "calls": texts, "passes": passes}), encoding="utf-8")
    command = [
        python,
        "-P",
        "-W",
        "ignore",
        _ORIGINALS / "runner.py",
        _ORIGINALS / f"{oracle}.py",
        request,
        reply,
    ]
    done = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True, cwd=folder, env=_quiet()
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        # Rows are committed, and folders of one machine tell nobody anything.
        raise UserError(f"{oracle} failed: {last[:300].replace(str(folder), '...')}")
    said = read_json(reply)
    said["errors"] = {int(i): why for i, why in said["errors"].items()}
    return Reply(**said)


def _quiet() -> dict[str, str]:
    """Our environment with no hub to ask, none of our modules on the path, and one thread, as our workers."""
    said = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**said, **offline, "OMP_NUM_THREADS": "1"}


@cache
def score(images: Path, scorer: str) -> Mapping[str, float]:
    """One scorer's values, by prompt: see `score_all`. Asked again, they are not computed again."""
    (values,) = score_all(images, scorer).values()
    return values


def score_all(images: Path, *texts: str) -> dict[str, dict[str, float]]:
    """Scores files as `fbench score IMAGES --scorers ...` does, in a process of its own.

    Args:
        images: As `fbench score` takes them.
        texts: As behind `--scorers`.

    Returns:
        By scorer, each row's value by prompt; of a set the row's prompt is empty.

    Raises:
        UserError: if a row has none.
    """
    (found,) = run_workers(_score, [(images, texts)])
    return found


def _score(job: tuple[Path, Sequence[str]]) -> dict[str, dict[str, float]]:
    from benchmark.evaluate.external_images import read_images
    from benchmark.scorers import make_scorers

    path, texts = job
    images = read_images(path)
    found: dict[str, dict[str, float]] = {}
    for scorer in make_scorers(texts, "published"):
        scorer.load("cpu")
        values = found.setdefault(scorer.name, {})
        for row in scorer.score(images):
            if row.value is None:
                raise UserError(f"{scorer.name} gave no number for {row.prompt_id}: {row.note}")
            values[row.prompt_id or ""] = row.value
    return found
