"""The budget of `fbench regress`: what candidate and baseline runs have in common.

Every number here is part of the committed baselines; whoever changes one makes them anew.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmark.core.hashing import sha256_json
from benchmark.evaluate.config import EvalConfig
from trainers.config import TrainConfig

SEEDS: Final = (0, 1, 2, 3)
"""Training seeds of a candidate: two for each of two processes."""
BASELINE_SEEDS: Final = tuple(range(8))
SCORERS: Final = ("true_reward", "oracle", "true_diversity", "scene_rate")
"""What the gate looks at: reward, content, diversity, and whether a picture is a scene at all."""

TRAINING: Final[Mapping[str, Any]] = {
    "preset": "shapes-f-dpo-reverse-kl",
    # Without it beta would decide, and not the divergence's form.
    "slope_matched": True,
    # Half the preset's steps, each twice as long: as far, in the time that a CI has.
    "steps": 50,
    "batch_size": 96,
    "lr": 4e-4,
    "warmup": 5,
    "save_every": 50,
    # Said, and not left to the hardware, so that every machine trains the same thing.
    "precision": "bf16",
    "device": "cpu",
}
EVALUATION: Final[Mapping[str, Any]] = {
    "base": "shapes",
    "prompts": "shapes-core",
    "limit": 96,
    "images_per_prompt": 4,
    "scorers": SCORERS,
    "primary": SCORERS,
    "precision": "bf16",
    "device": "cpu",
}


def folder_name(divergence: str) -> str:
    """A folder for what is made of a divergence; two divergences have two.

    Example:
        >>> folder_name("jensen-shannon"), folder_name("expr: u*log(u)")
        ('jensen_shannon', 'expru_log_u-8a0dafda')
    """
    name = divergence.replace("-", "_")
    if name.isidentifier():
        return name
    short = "".join(c if c.isalnum() or c in ".=" else "_" if c in "*(" else "" for c in divergence)[:40]
    return f"{short}-{sha256_json(divergence)[:8]}"


def run_config(
    divergence: str, seed: int, out: Path, *, unchecked: bool = False, offline: bool = False
) -> TrainConfig:
    """One training run.

    Args:
        divergence: As ``--divergence`` takes it.
        seed: Training seed.
        out: Folder of the run.
        unchecked: Take a divergence that breaks the laws.
        offline: Forbid every network access; nothing here needs one.

    Raises:
        UserError: for a divergence that is unknown or, unless unchecked, breaks a law.
    """
    own = {"divergence": divergence, "seed": seed, "out": out, "unchecked": unchecked, "offline": offline}
    return TrainConfig.resolve(None, {**TRAINING, **own})


def eval_config(out: Path, *, offline: bool = False) -> EvalConfig:
    """The evaluation, of the base model until its checkpoints are named."""
    return EvalConfig.parse({**EVALUATION, "out": out, "offline": offline})
