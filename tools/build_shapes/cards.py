"""A card for every stage: the command, the revision, the seed, the time it took and the held-out figures."""

import json
import subprocess
from typing import Any

from tools.build_shapes.fitting import Build, Fit


def write_card(build: Build, stage: str, done: Fit | None, figures: dict[str, Any]) -> None:
    """Writes `cards/<stage>.json` beside the weights."""
    card = {
        "stage": stage,
        "command": f"python -m tools.build_shapes {stage}",
        "revision": _revision(),
        "seed": build.seed,
        "scale": build.scale,
        "processes": build.processes,
        "steps": done.steps if done else None,
        "minutes": round(done.seconds / 60, 1) if done else None,
        "loss_first": done.log[0]["loss"] if done and done.log else None,
        "loss_last": done.log[-1]["loss"] if done and done.log else None,
        "held_out": figures,
    }
    path = build.weights / "cards" / f"{stage}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card), flush=True)


def _revision() -> str:
    """The commit the builder ran from, with `+` when the tree had changes; `unknown` outside a checkout."""
    try:
        out = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return out.stdout.strip()
