"""The budget of `fbench regress`, and the committed training runs that a candidate is held against.

A baseline is a folder with a ``scores.parquet``: the base model and at least eight training runs of one
divergence, on the budget. It holds no weights and no images: the gate needs neither. Every number of the
budget is part of the committed baselines; whoever changes one makes them anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmark.core import store
from benchmark.core.errors import NotComparableError, UnknownNameError
from benchmark.core.hashing import sha256_json
from benchmark.core.records import Checkpoint, Hyperparameter
from benchmark.core.resources import baselines_folder
from benchmark.evaluate.config import EvalConfig
from benchmark.leaderboard import ScoreTable, read_score_table, write_score_table
from benchmark.workflows.workers import WORKERS, train_and_evaluate
from trainers.config import TrainConfig

FILE: Final = "scores.parquet"
MAKE_ANEW: Final = "make the baseline anew: fbench regress --divergence D --make-baseline DIR"
SEEDS: Final = (0, 1, 2, 3)
"""Training seeds of a candidate: two for each of two processes."""
BASELINE_SEEDS: Final = tuple(range(8))
SCORERS: Final = ("true_taste", "oracle", "true_diversity", "scene_rate")
"""What the gate looks at: taste, content, diversity, and whether a picture is a scene at all."""

TRAINING: Final[Mapping[str, Any]] = {
    "preset": "shapes-f-dpo-reverse-kl",
    # Without it beta would decide, and not the divergence's form.
    "slope_matched": True,
    # Half the preset's steps at nearly twice the rate: as far, in the time that a CI has.
    "steps": 50,
    "batch_size": 64,
    "lr": 8e-4,
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


def find_baseline(name: str) -> Path:
    """The folder of a baseline: a committed one by name, or one's own by path.

    Raises:
        UnknownNameError: if there is neither; names the committed ones.
    """
    committed = {folder.parent.name: folder.parent for folder in sorted(baselines_folder().glob(f"*/{FILE}"))}
    own = Path(name)
    if name.replace("-", "_") in committed:
        return committed[name.replace("-", "_")]
    if (own / FILE).is_file():
        return own
    do = f"name one of these, or a folder with {FILE}: fbench regress --divergence D --make-baseline DIR"
    raise UnknownNameError("baseline", name, committed, do=do)


def trained(table: ScoreTable) -> list[Checkpoint]:
    """The training runs of a table."""
    return [checkpoint for checkpoint in table.checkpoints if not checkpoint.is_base]


def refuse_other_budget(baseline: ScoreTable, candidate: TrainConfig) -> None:
    """Sees that a candidate's run differs from the baseline's in its divergence and seed alone.

    Raises:
        NotComparableError: naming the first difference.
    """
    theirs = trained(baseline)[0].hyperparameters
    for name, ours in candidate.model_dump().items():
        # What is resolved while training is kept beside what was asked for.
        asked = theirs.get(f"{name}_setting", theirs.get(name))
        if name not in theirs or name in ("seed", "unchecked") or ours is None:
            continue
        if str(ours) != str(asked):
            raise NotComparableError(
                f"the baseline was trained with {name} {asked}, the candidate with {ours}",
                do=MAKE_ANEW,
            )


def make_baselines(
    divergences: Sequence[str],
    out: Path,
    results: Path,
    *,
    seeds: Sequence[int] = BASELINE_SEEDS,
    workers: int = WORKERS,
) -> tuple[Path, ...]:
    """Trains and evaluates baselines; what is there already is not done again.

    Args:
        divergences: Each is trained with every seed; those of a seed share their batches.
        out: Runs, images and scores; not committed.
        results: Gets a folder for each divergence, named as the divergence is.
        seeds: Training seeds.
        workers: Processes.

    Returns:
        The folders.
    """
    runs = [
        run_config(divergence, seed, out / "train" / f"{divergence}-seed{seed}")
        for seed in seeds
        for divergence in divergences
    ]
    train_and_evaluate(runs, lambda run: [str(run.out)], eval_config(out / "eval"), workers=workers)
    whole = read_score_table(out / "eval")
    # The base model comes first, then the runs in their order.
    base, *evaluated = whole.checkpoints
    folders = []
    for i, divergence in enumerate(divergences):
        chosen = [base, *evaluated[i :: len(divergences)]]
        rows = whole.rows[whole.rows["checkpoint"].isin([c.id for c in chosen])].reset_index(drop=True)
        table = replace(whole, rows=rows, checkpoints=tuple(chosen))
        folders.append(results / divergence)
        write_score_table(table, folders[-1] / FILE)
        store.write_text(folders[-1] / "README.md", _page(divergence, table))
    return tuple(folders)


def _page(divergence: str, table: ScoreTable) -> str:
    names = [column.name for column in table.columns]
    means = table.rows.groupby(["checkpoint", "scorer"])["value"].mean().to_dict()
    lines = [["run", *names, "held-out loss"], [":--", *("--:" for _ in names), "--:"]]
    for checkpoint in table.checkpoints:
        facts = checkpoint.hyperparameters
        who, loss = ("base", "") if checkpoint.is_base else (f"seed {facts['seed']}", _loss(facts))
        lines.append([who, *(f"{means[checkpoint.id, name]:.3f}" for name in names), loss])
    runs = len(trained(table))
    return "\n".join(
        [
            f"# Baseline of the gate: `{divergence}`",
            "",
            f"{runs} training runs on the budget of `fbench regress`; means over {table.suite}.",
            "",
            *(f"| {' | '.join(cells)} |" for cells in lines),
            "",
            "Made by `fbench regress --make-baseline`. Signature:",
            f"`{table.signature}`",
            "",
        ]
    )


def _loss(facts: Mapping[str, Hyperparameter]) -> str:
    loss = facts.get("held_out_loss")
    return f"{loss:.3f}" if isinstance(loss, float) else ""
