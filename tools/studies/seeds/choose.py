"""Settings of a preset chosen on validation prompts: beta x learning rate x steps, before any test prompt.

The steps cost no training of their own: every run is evaluated at its intermediate checkpoints, which with a
constant learning rate are what shorter runs end at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Final

from benchmark.core import store
from benchmark.core.errors import ConfigError
from benchmark.leaderboard import read_score_table
from benchmark.workflows.workers import train_and_evaluate
from tools.studies.seeds.runs import Study
from tools.studies.seeds.verdict import CHANCE_LOSS, SeedVerdict, Verdict, judge
from trainers.config import TrainConfig

PROMPTS: Final = "shapes-validation"
IMAGES_PER_PROMPT: Final = 4
SCORERS: Final = ("true_taste", "oracle", "true_diversity", "scene_rate", "true_taste_heldout")
"""The truth alone: the learned scorers have no say in the choice."""
_HEADER = "# Log\n\nExperiments, failed ones included, newest first.\n"


@dataclass(frozen=True)
class Candidate:
    """One point of the grid.

    Attributes:
        beta: Weight of the divergence; None where the objective has none.
        lr: Learning rate.
        step: Steps of training.
        found: Its paired differences to the base.
    """

    beta: float | None
    lr: float
    step: int
    found: SeedVerdict

    @property
    def keeps(self) -> bool:
        """Whether all rules but the gain hold: content, scenes, the held-out loss."""
        return self.found.keeps and self.found.loss_passed

    @property
    def gain(self) -> float:
        """Difference in `true_taste`."""
        (reward,) = [f.difference for f in self.found.findings if f.scorer == "true_taste"]
        return float("-inf") if reward is None else reward


@dataclass(frozen=True)
class Choice:
    """A grid, ordered.

    Attributes:
        candidates: Those that keep everything else first, by their gain.
        verdict: The same numbers, with the base's means and the signature.
    """

    candidates: tuple[Candidate, ...]
    verdict: Verdict


def choose(study: Study, betas: Sequence[float], rates: Sequence[float], steps: Sequence[int]) -> Choice:
    """Trains the grid and orders it: those that keep everything else first, by their gain.

    Args:
        study: Preset, one training seed, folder, settings; its evaluation must not name test prompts.
        betas: Weights of the divergence; empty for the preset's own.
        rates: Learning rates; empty for the preset's own.
        steps: Evaluated steps; the longest is trained.

    Raises:
        ConfigError: if the steps have no common distance that saves them all, or the prompts are tests.
    """
    study = _on_validation(study)
    runs = list(_grid(study, betas, rates, steps))
    evaluation = study.eval_config(runs).model_copy(update={"scorers": SCORERS, "primary": SCORERS[:1]})
    result = train_and_evaluate(
        runs, lambda run: [f"{run.out}@{step}" for step in steps], evaluation, workers=study.workers
    )
    assert result.leaderboard is not None
    table = read_score_table(study.out / "eval")
    ids = [checkpoint.id for checkpoint in table.checkpoints[1:]]
    verdict = judge(table, result.leaderboard, ids, study.presets[0])
    # The leaderboard keeps the order in which checkpoints were asked for.
    points = [(run.beta, run.lr, step) for run in runs for step in steps]
    found = [Candidate(*point, one) for point, one in zip(points, verdict.seeds, strict=True)]
    return Choice(tuple(sorted(found, key=lambda c: (not c.keeps, -c.gain))), verdict)


def log_entry(choice: Choice, command: str) -> str:
    """The table as an entry of `results/LOG.md`, without its heading.

    Args:
        choice: What to write.
        command: As typed.
    """
    verdict, best = choice.verdict, choice.candidates[0]
    head = ["beta", "lr", "steps", *(f"Δ {scorer}" for scorer in verdict.rules), "held-out loss", "keeps"]
    rows = [head, ["--:"] * len(head), *(_row(candidate) for candidate in choice.candidates)]
    means = ", ".join(f"{scorer} {mean:.3f}" for scorer, mean in verdict.base.items() if mean is not None)
    lines = [
        f"`{verdict.preset}` on {verdict.suite}: paired differences to the base (its means: {means}).",
        "`keeps`: the rules of the committed evaluation other than the gain hold, and the held-out loss is",
        f"below {CHANCE_LOSS:.4f}. One training seed each: settings are chosen here, nothing is claimed.",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        _outcome(best),
        "",
        f"`{command}`",
        "",
        f"Signature: `{verdict.signature}`",
        "",
    ]
    return "\n".join(lines)


def append_to_log(path: Path, title: str, entry: str) -> bool:
    """Puts a dated entry before the others, unless the log holds it already; returns whether it did."""
    log = path.read_text(encoding="utf-8") if path.is_file() else _HEADER
    if entry in log:
        return False
    today = datetime.now(UTC).date().isoformat()
    head, *older = log.rstrip().split("\n\n## ")
    entries = [f"{today} {title}\n\n{entry.rstrip()}", *older]
    store.write_text(path, "\n\n## ".join([head, *entries]) + "\n")
    return True


def _on_validation(study: Study) -> Study:
    settings = {"prompts": PROMPTS, "images_per_prompt": IMAGES_PER_PROMPT} | dict(study.evaluation)
    if settings["prompts"] == "shapes-core":
        raise ConfigError("--choose on shapes-core, which are test prompts", allowed=PROMPTS)
    return replace(study, evaluation=settings)


def _grid(
    study: Study, betas: Sequence[float], rates: Sequence[float], steps: Sequence[int]
) -> Iterator[TrainConfig]:
    [preset] = study.presets
    own = study.run(preset, "own", seed=study.seeds[0])
    every = min(steps)
    if any(step % every for step in steps):
        raise ConfigError(f"--steps is {', '.join(map(str, steps))}", allowed="multiples of the smallest")
    weights: list[float | None] = [*betas] or [own.beta]
    for beta, lr in product(weights, rates or [own.lr]):
        name = f"beta{beta:g}-lr{lr:g}" if beta is not None else f"lr{lr:g}"
        yield study.run(
            preset, name, seed=study.seeds[0], beta=beta, lr=lr, steps=max(steps), save_every=every
        )


def _row(candidate: Candidate) -> list[str]:
    beta = "–" if candidate.beta is None else f"{candidate.beta:g}"
    cells = [beta, f"{candidate.lr:g}", str(candidate.step)]
    for f in candidate.found.findings:
        half = "" if f.lo is None or f.hi is None else f" ±{(f.hi - f.lo) / 2:.3f}"
        cells.append("–" if f.difference is None else f"{f.difference:+.3f}{half}")
    loss = candidate.found.held_out_loss
    return [*cells, "–" if loss is None else f"{loss:.4f}", "yes" if candidate.keeps else "no"]


def _outcome(best: Candidate) -> str:
    beta = "" if best.beta is None else f"beta {best.beta:g}, "
    words = f"{beta}lr {best.lr:g}, {best.step} steps"
    if best.keeps:
        return f"Highest gain among those that keep the rest: {words}."
    return f"No candidate keeps the rest; the highest gain has {words}."
