"""Both sides' answers: ours from files by our scorers, the original's from its own environment."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.store import read_json
from benchmark.studies.parity.environments import Environment
from benchmark.studies.processes import run_workers

_ORACLES = Path(__file__).resolve().parent / "oracles"


@dataclass(frozen=True)
class Reply:
    """What an original answered.

    Attributes:
        values: One for each call; None for one that failed.
        errors: Why, by the number of the call.
        versions: Of its packages.
        load: Seconds until it was ready.
        seconds: Of each call, by pass.
        peak: Resident memory, in bytes.
    """

    values: Sequence[Any]
    errors: Mapping[int, str]
    versions: Mapping[str, str]
    load: float
    seconds: Sequence[Sequence[float]]
    peak: int


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
        oracle: Name of a file in `oracles/`.
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
        _ORACLES / "runner.py",
        _ORACLES / f"{oracle}.py",
        request,
        reply,
    ]
    done = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True, cwd=folder, env=_quiet()
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{oracle} failed: {last[:300]}")
    said = read_json(reply)
    said["errors"] = {int(i): why for i, why in said["errors"].items()}
    return Reply(**said)


def _quiet() -> dict[str, str]:
    """Our environment, with no hub to ask and none of our modules on the path."""
    said = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**said, **offline, "TF_CPP_MIN_LOG_LEVEL": "3"}


def score(images: Path, scorer: str) -> dict[str, float]:
    """Scores files as `fbench score IMAGES --scorers SCORER` does, in a process of its own.

    Returns:
        Each row's value, by prompt.

    Raises:
        UserError: if a row has none.
    """
    (values,) = run_workers(_score, [(images, scorer)])
    return values


def _score(job: tuple[Path, str]) -> dict[str, float]:
    from benchmark.evaluate.outside import read_images
    from benchmark.scorers import make_scorers

    images, text = job
    (scorer,) = make_scorers([text], "published")
    scorer.load("cpu")
    values = {}
    for row in scorer.score(read_images(images)):
        if row.value is None:
            raise UserError(f"{text} gave no number for {row.prompt_id}: {row.note}")
        values[row.prompt_id or ""] = row.value
    return values
