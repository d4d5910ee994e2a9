"""The card of a trained checkpoint in the Hub's format, made from its manifest and its scores."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import __version__
from benchmark.core.manifest import Manifest
from benchmark.core.records import Checkpoint, Leaderboard, LeaderboardCell
from benchmark.models import model_facts
from benchmark.models.facts import looks_like_hub_id

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCard

TASK = "text-to-image"
_PLACES = ("out", "cache", "device", "offline", "preset")
"""Settings that name this machine's places, or nothing that a reader could use."""


@dataclass(frozen=True)
class Trained:
    """A checkpoint that is to be published.

    Attributes:
        manifest: Of its run.
        checkpoint: Its record.
        layout: How its weights lie, such as ``lora``.
        repo: Where it will be: ``owner/name``.
        board: An evaluation that has it; None without scores.
    """

    manifest: Manifest
    checkpoint: Checkpoint
    layout: str
    repo: str
    board: Leaderboard | None = None


def model_card(trained: Trained) -> "ModelCard":
    """The card: metadata, how to use it, how it was trained, what it scores.

    Args:
        trained: What it is about.
    """
    from huggingface_hub import ModelCard, ModelCardData

    checkpoint, settings = trained.checkpoint, trained.manifest.config
    base = model_facts(str(settings["base"]))
    name = trained.repo.rpartition("/")[2]
    results = _eval_results(trained)
    data = ModelCardData(
        base_model=base.hub_id or None,
        base_model_relation=("adapter" if trained.layout == "lora" else "finetune") if base.hub_id else None,
        datasets=[str(settings["data"]).partition(":")[0]]
        if looks_like_hub_id(str(settings["data"]))
        else None,
        library_name="diffusers",
        pipeline_tag=TASK,
        tags=_tags(trained),
        model_name=name if results else None,
        eval_results=results or None,
    )
    sections = [
        f"---\n{data.to_yaml()}\n---",
        f"# {name}",
        _summary(checkpoint, base.hub_id or str(settings["base"])),
        *_use(trained, base.hub_id),
        "## Training",
        _training(trained),
        *_scores(trained.board, checkpoint),
        f"Made by fbench {__version__}; the checkpoint's id is `{checkpoint.id}`.",
    ]
    return ModelCard("\n\n".join(sections) + "\n")


def _tags(trained: Trained) -> list[str]:
    words = ["fbench", "preference-alignment", trained.checkpoint.objective or ""]
    divergence = (trained.checkpoint.divergence or "").partition("(")[0].partition(":")[0]
    return [word for word in dict.fromkeys([*words, divergence, trained.layout]) if word]


def _summary(checkpoint: Checkpoint, base: str) -> str:
    under = f" under the divergence `{checkpoint.divergence}`" if checkpoint.divergence else ""
    return (
        f"`{base}`, fine-tuned on preferences for {checkpoint.step} steps with the objective "
        f"`{checkpoint.objective}`{under}."
    )


def _use(trained: Trained, hub_id: str) -> list[str]:
    """How to draw pictures with it, and how to evaluate it."""
    base = str(trained.manifest.config["base"])
    command = shlex.join(
        ["fbench", "eval", "--base", base, "--checkpoint", "base", "--checkpoint", trained.repo]
    )
    blocks = [f"```sh\n{command}\n```"]
    if trained.layout == "lora" and hub_id:
        code = (
            "from diffusers import DiffusionPipeline\n\n"
            f'pipeline = DiffusionPipeline.from_pretrained("{hub_id}")\n'
            f'pipeline.load_lora_weights("{trained.repo}")'
        )
        blocks.insert(0, f"```python\n{code}\n```")
    return ["## Use", *blocks]


def _training(trained: Trained) -> str:
    """The settings that were resolved, as ``fbench train --config`` takes them."""
    inputs = {item.role: item for item in trained.manifest.inputs if item.role}
    read = [
        f"| {role} | `{Path(inputs[role].path).name}` | `{inputs[role].sha256[:16]}` |"
        for role in ("base", "data", "pairs", "clip")
        if role in inputs
    ]
    settings = {
        key: _without_folder(value)
        for key, value in trained.manifest.config.items()
        if value is not None and key not in _PLACES
    }
    return "\n".join(
        [
            "| read | name | sha256 |",
            "|---|---|---|",
            *read,
            "",
            "Settings, for `fbench train --config settings.json`:",
            "",
            "```json",
            json.dumps(settings, indent=2, ensure_ascii=False),
            "```",
        ]
    )


def _without_folder(value: Any) -> Any:
    """A path without the folders of the machine it was typed on."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _scores(board: Leaderboard | None, checkpoint: Checkpoint) -> list[str]:
    """What it scores beside what it is compared with."""
    if board is None:
        return []
    rows = {row.checkpoint.id: row.cells for row in board.rows}
    own, reference = rows[checkpoint.id], rows.get(board.reference)
    header = ["scorer", "better", "this", board.reference or "reference", "difference"]
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    for i, column in enumerate(board.columns):
        cell, other = own[i], reference[i] if reference else None
        words = [
            column.label,
            "higher" if column.higher_is_better else "lower",
            _number(cell.mean, cell.lo, cell.hi),
            "–" if other is None else _number(other.mean, other.lo, other.hi),
            _number(cell.difference, cell.difference_lo, cell.difference_hi),
        ]
        lines.append(f"| {' | '.join(words)} |")
    return [
        "## Scores",
        f"On {board.suite}; means with 95 % intervals.",
        "\n".join(lines),
        f"Signature, by which numbers are comparable: `{board.signature}`",
    ]


def _number(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} [{low:.4g}, {high:.4g}]"


def _eval_results(trained: Trained) -> "list[EvalResult]":
    from huggingface_hub import EvalResult

    board = trained.board
    if board is None:
        return []
    (row,) = (row for row in board.rows if row.checkpoint.id == trained.checkpoint.id)
    known: Sequence[tuple[str, str, LeaderboardCell]] = [
        (column.name, column.label, cell) for column, cell in zip(board.columns, row.cells, strict=True)
    ]
    return [
        EvalResult(
            task_type=TASK,
            dataset_type=board.suite.partition("@")[0],
            dataset_name=board.suite,
            metric_type=name,
            metric_name=label,
            metric_value=round(cell.mean, 6),
        )
        for name, label, cell in known
        if cell.mean is not None
    ]
