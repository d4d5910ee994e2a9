"""The committed training runs that a candidate is held against, and how they are made.

A baseline is a folder with a ``scores.parquet``: the base model and at least eight training runs of one
divergence, on the budget of `recipe`. It holds no weights and no images: the gate needs neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmark.core import store
from benchmark.core.errors import NotComparableError, UnknownNameError
from benchmark.core.records import Checkpoint, Hyperparameter
from benchmark.core.resources import baselines_folder
from benchmark.leaderboard import ScoreTable, read_score_table, write_score_table
from benchmark.workflows.regress.recipe import BASELINE_SEEDS, eval_config, run_config
from benchmark.workflows.workers import WORKERS, train_and_evaluate
from trainers.config import TrainConfig

FILE: Final = "scores.parquet"


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
    raise UnknownNameError("baseline", name, committed)


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
                do="make the baseline anew: python -m benchmark.workflows.regress",
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
        results: Gets a folder for each divergence.
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
            "Made by `python -m benchmark.workflows.regress`. Signature:",
            f"`{table.signature}`",
            "",
        ]
    )


def _loss(facts: Mapping[str, Hyperparameter]) -> str:
    loss = facts.get("held_out_loss")
    return f"{loss:.3f}" if isinstance(loss, float) else ""
