"""Which policies a study trains, and the evaluation whose files are committed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final

from benchmark.core import store
from benchmark.core.errors import ConfigError
from benchmark.core.manifest import FILE_NAME
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.results import EvalResult
from benchmark.leaderboard import read_score_table
from benchmark.workflows.workers import WORKERS, train_and_evaluate
from tools.studies.seeds.report import verdict_markdown
from tools.studies.seeds.verdict import Verdict, judge
from trainers.config import TrainConfig

PROMPTS: Final = "shapes-core"
IMAGES_PER_PROMPT: Final = 8
LOOKS: Final = 4
"""Checkpoints of a run; each costs a look at the held-out pairs."""
_KEPT = ("leaderboard.*", "scores.parquet", "figures/*", FILE_NAME)


@dataclass(frozen=True)
class Study:
    """What is trained and evaluated.

    Attributes:
        presets: The recipes that are judged.
        seeds: Training seeds.
        out: Folder of runs, images and scores; not committed.
        betas: Every preset is trained at each; empty: at its own.
        also: Further (preset, seed), evaluated beside it and not judged.
        settings: Settings of `TrainConfig` that overrule every preset's.
        evaluation: Settings of `EvalConfig`.
        workers: Processes of one thread.
    """

    presets: tuple[str, ...]
    seeds: tuple[int, ...]
    out: Path
    betas: tuple[float, ...] = ()
    also: tuple[tuple[str, int], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    workers: int = WORKERS

    def arms(self) -> list[tuple[str, float | None]]:
        """Every preset at every beta; None: at its own."""
        return list(product(self.presets, self.betas or (None,)))

    def runs(self) -> list[TrainConfig]:
        """Every arm with the first seed, then with the next, then the others.

        Runs of one seed are neighbours, so that they share their batches.

        Raises:
            UserError: for an unknown preset or setting, or a run that is asked for twice.
        """
        mine = [(preset, beta, seed) for seed in self.seeds for preset, beta in self.arms()]
        asked = [*mine, *((preset, None, seed) for preset, seed in self.also)]
        if not mine:
            raise ConfigError("no preset or no seed is given", do="name at least one of each")
        names = [_name(*one) for one in asked]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"{name} is asked for twice", do="name each run once")
        own = [{} if beta is None else {"beta": beta} for _, beta, _ in asked]
        return [
            self.run(preset, name, seed=seed, **more)
            for (preset, _, seed), name, more in zip(asked, names, own, strict=True)
        ]

    def run(self, preset: str, name: str, **settings: Any) -> TrainConfig:
        """A run of a preset in a folder of its own.

        Args:
            preset: The recipe.
            name: Of the folder.
            settings: Overrule the preset's and the study's.
        """
        given = {"device": "cpu", **self.settings, **settings}
        place = {"preset": preset, "out": self.out / "train" / name}
        config = TrainConfig.resolve(None, {**given, **place})
        if "save_every" not in given:
            config = config.model_copy(update={"save_every": max(1, config.steps // LOOKS)})
        return config

    def eval_config(self, runs: Sequence[TrainConfig]) -> EvalConfig:
        """The evaluation of those runs, without its checkpoints."""
        first = runs[0]
        same = {"base": first.base, "device": first.device, "offline": first.offline}
        size = {"prompts": PROMPTS, "images_per_prompt": IMAGES_PER_PROMPT}
        return EvalConfig.parse({**same, **size, **self.evaluation, "out": self.out / "eval"})


def run_study(study: Study, results: Path) -> list[Verdict]:
    """Trains, evaluates, judges, and writes what is committed; what is there already is not done again.

    Args:
        study: What to do.
        results: Folder for the leaderboard, scores, figures, manifest and verdicts; no images.

    Returns:
        A verdict an arm.

    Raises:
        UserError: for anything a user can put right.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    runs = study.runs()
    evaluation = train_and_evaluate(
        runs, lambda run: [str(run.out)], study.eval_config(runs), workers=study.workers
    )
    table, arms = read_score_table(study.out / "eval"), study.arms()
    assert evaluation.leaderboard is not None
    verdicts = []
    for i, (preset, _) in enumerate(arms):
        # The base model comes first, then the runs in their order.
        mine = slice(i, len(arms) * len(study.seeds), len(arms))
        ids = [checkpoint.id for checkpoint in table.checkpoints[1:][mine]]
        verdicts.append(judge(table, evaluation.leaderboard, ids, preset, runs[i].beta))
    _commit(evaluation, results)
    store.write_text(results / "verdict.md", verdict_markdown(verdicts))
    store.write_json(results / "verdict.json", verdicts)
    return verdicts


def _commit(evaluation: EvalResult, results: Path) -> None:
    """Copies the small files of an evaluation."""
    for pattern in _KEPT:
        for file in sorted(evaluation.folder.glob(pattern)):
            store.write_bytes(results / file.relative_to(evaluation.folder), file.read_bytes())


def parse_also(text: str) -> tuple[str, int]:
    """A preset with a seed, as on the command line.

    Example:
        >>> parse_also("shapes-sft:0")
        ('shapes-sft', 0)

    Raises:
        ConfigError: if it is anything else.
    """
    preset, _, seed = text.rpartition(":")
    if not preset or not seed.isdecimal():
        raise ConfigError(f"--also is {text!r}", allowed="PRESET:SEED, such as shapes-sft:0")
    return preset, int(seed)


def _name(preset: str, beta: float | None, seed: int) -> str:
    """Of a run's folder."""
    at = "" if beta is None else f"-beta{beta:g}"
    return f"{preset.replace('_', '-').removeprefix('shapes-')}{at}-seed{seed}"
