"""What the study trains and evaluates: each method towards each style with several seeds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from benchmark.core import store
from benchmark.core.errors import ConfigError
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.results import EvalResult
from benchmark.prompt_sets import load_prompt_set
from benchmark.workflows.workers import Share, run_workers, train_and_prepare
from trainers.config import TrainConfig

STYLES: Final = ("van_gogh", "sketch", "winter")
PROMPTS: Final = "shapes-style"
LIMIT: Final = 30
IMAGES_PER_PROMPT: Final = 4
SCORERS: Final = ("true_style", "oracle", "scene_rate", "true_diversity", "style_fd", "style_cosine")
SHARES: Final = (("diffusion-dpo", "f-dpo"), ("sft", "rpo"))
"""Whose runs each worker trains; the first two share their batches and what the reference says of them."""


@dataclass(frozen=True)
class Study:
    """What is trained and evaluated.

    Attributes:
        seeds: Training seeds.
        out: Folder of runs, images and scores; not committed.
        styles: Towards which.
        prompts: Prompt set; those of its prompts that leave the style open are asked for it.
        steps: Steps of training after which policies are evaluated, multiples of the first; empty: wherever
            the presets save.
        settings: Settings of `TrainConfig` that overrule every preset's.
        evaluation: Settings of `EvalConfig`.
        device: Where.
    """

    seeds: tuple[int, ...]
    out: Path
    styles: tuple[str, ...] = STYLES
    prompts: str = PROMPTS
    steps: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"

    def run(self, method: str, style: str, seed: int) -> TrainConfig:
        """One run of a preset, in a folder of its own.

        Raises:
            UserError: for an unknown style or setting, or steps that are no multiples of the first.
        """
        if style not in STYLES:
            raise ConfigError(f"--styles has {style}", allowed=", ".join(STYLES))
        if any(step % self.steps[0] for step in self.steps):
            raise ConfigError(
                f"--steps is {', '.join(map(str, self.steps))}", allowed="multiples of the first"
            )
        length = {"steps": max(self.steps), "save_every": self.steps[0]} if self.steps else {}
        place = {
            "preset": f"style-{method}-{style.replace('_', '-')}",
            "seed": seed,
            "out": self.out / "train" / f"{method}-{style}-seed{seed}",
        }
        return TrainConfig.resolve(None, {"device": self.device, **length, **self.settings, **place})

    def runs(self, style: str, methods: Sequence[str]) -> tuple[TrainConfig, ...]:
        """Those of some methods towards a style, a seed after the other."""
        return tuple(self.run(method, style, seed) for method in methods for seed in self.seeds)

    def checkpoints(self, run: TrainConfig) -> list[str]:
        """Those of a run that are evaluated, as ``--checkpoint`` takes them."""
        steps = self.steps or range(run.saves, run.steps + 1, run.saves)
        return [f"{run.out}@{step}" for step in steps]

    def eval_config(self, style: str, checkpoints: Sequence[str]) -> EvalConfig:
        """The evaluation of a style's policies, each prompt asked for that style.

        Raises:
            ConfigError: if no prompt of the set leaves the style open.
        """
        size = {"limit": LIMIT, "images_per_prompt": IMAGES_PER_PROMPT, "scorers": SCORERS}
        own = {
            "checkpoint": tuple(checkpoints),
            "prompts": str(self._prompt_file(style)),
            "out": self.out / "eval" / style,
            "device": self.device,
        }
        return EvalConfig.parse({**size, **self.evaluation, **own})

    def _prompt_file(self, style: str) -> Path:
        """The prompts as a file, in which each is to be aligned to the style."""
        asked = [
            replace(prompt, style=style)
            for prompt in load_prompt_set(self.prompts)
            # A tag names each kind of fact that a prompt states.
            if "style" not in prompt.tags
        ]
        if not asked:
            raise ConfigError(f"all of {self.prompts} state a style", do="take prompts that leave it open")
        rows = [
            {"id": p.id, "text": p.text, "tags": list(p.tags), "style": p.style, "facts": p.facts}
            for p in asked
        ]
        file = self.out / f"{Path(self.prompts).stem}-{style}.jsonl"
        store.write_text(file, "".join(json.dumps(row) + "\n" for row in rows))
        return file


def train_and_evaluate(study: Study) -> dict[str, EvalResult]:
    """Trains and evaluates everything in two processes; what is there already is not done again.

    Args:
        study: What to do.

    Returns:
        For each style the evaluation of the base and all its checkpoints, in the order of `SHARES`.

    Raises:
        UserError: for anything a user can put right.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    for style in study.styles:
        study.runs(style, [method for share in SHARES for method in share])
        study.eval_config(style, ["base"])
    run_workers(_work, [(study, share) for share in range(len(SHARES))])
    from benchmark.evaluate.run import evaluate

    evaluations = {}
    for style in study.styles:
        runs = [run for methods in SHARES for run in study.runs(style, methods)]
        specs = ["base", *(spec for run in runs for spec in study.checkpoints(run))]
        evaluations[style] = evaluate(study.eval_config(style, specs))
    return evaluations


def _work(job: tuple[Study, int]) -> None:
    """Trains and evaluates one share of the methods; the last share, the quickest to train, has the base."""
    study, share = job
    for style in study.styles:
        runs = study.runs(style, SHARES[share])
        specs = [spec for run in runs for spec in study.checkpoints(run)]
        first = ["base"] if share == len(SHARES) - 1 else []
        train_and_prepare(Share(runs, study.eval_config(style, [*first, *specs])))
