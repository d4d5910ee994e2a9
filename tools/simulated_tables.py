"""A simulated evaluation with known effects: the small fake that stands for a real one."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmark.core.records import Checkpoint, Prompt, PromptSet, Sampler, ScorerColumn, ScoreRow
from benchmark.leaderboard.comparability import signature_line
from benchmark.leaderboard.score_table import ScoreTable, rows_to_frame
from benchmark.stats.arrays import FloatArray
from benchmark.stats.jackknife import leave_out_id, prompt_groups

VERSION = "v1@0123abcd"

COLUMNS = (
    ScorerColumn("pickscore", VERSION, "preference", "image", True, "about 20", True, ("dpo", "jsd")),
    ScorerColumn("hps", VERSION, "preference", "image", True, "x 100", True),
    ScorerColumn("clip", VERSION, "alignment", "image", True, "x 100"),
    ScorerColumn("true_diversity", VERSION, "diversity", "prompt", True, "1 = as varied as the world", True),
    ScorerColumn("fid", VERSION, "fidelity", "set", False, "lower is better"),
)

_BETA = {"beta": 1.0, "log_ratio_scale": 154.0}

CHECKPOINTS = (
    Checkpoint("base", "shapes"),
    Checkpoint("sft", "shapes", "sft", None, {"seed": 0}, 200),
    Checkpoint("dpo", "shapes", "f_dpo", "reverse_kl", _BETA, 200),
    Checkpoint("jsd", "shapes", "f_dpo", "jensen_shannon", _BETA, 200),
    Checkpoint("rpo", "shapes", "rpo", "reverse_kl", _BETA, 200),
)

EFFECTS: dict[str, tuple[float, ...]] = {
    "pickscore": (20.0, 20.05, 20.55, 20.5, 20.3),
    "hps": (24.0, 24.02, 24.4, 24.5, 24.2),
    "clip": (31.0, 31.0, 31.1, 31.15, 31.05),
    "true_diversity": (0.82, 0.81, 0.66, 0.74, 0.77),
    "fid": (14.0, 13.8, 16.5, 15.2, 15.0),
}
"""The true mean of each scorer for each checkpoint."""

_SPREAD = {"pickscore": 0.8, "hps": 1.0, "clip": 2.0, "true_diversity": 0.12, "fid": 2.0}


def simulated_table(
    *,
    columns: Sequence[ScorerColumn] = COLUMNS,
    checkpoints: Sequence[Checkpoint] = CHECKPOINTS,
    n_prompts: int = 96,
    images_per_prompt: int = 4,
    seed: int = 0,
) -> ScoreTable:
    """Scores as an evaluation would write them: prompts differ, checkpoints share the prompts.

    Args:
        columns: Scorers, from those that have `EFFECTS`.
        checkpoints: At most as many as there are effects.
        n_prompts: Prompts.
        images_per_prompt: K.
        seed: Seed of the noise.

    Returns:
        A complete table.
    """
    prompts = tuple(Prompt(f"p{i:03d}", f"prompt number {i}") for i in range(n_prompts))
    prompt_set = PromptSet("simulated", "1", prompts)
    generator = np.random.default_rng(seed)
    rows: list[ScoreRow] = []
    for column in columns:
        spread = _SPREAD[column.name]
        shape = (n_prompts, images_per_prompt)
        shared = generator.normal(size=(n_prompts, 1)) + 0.6 * generator.normal(size=shape)
        for checkpoint, mean in zip(checkpoints, EFFECTS[column.name], strict=False):
            own = 0.4 * generator.normal(size=(n_prompts, 1)) + 0.6 * generator.normal(size=shape)
            rows += _rows(column, checkpoint.id, prompts, mean + spread * (shared + own))
    return ScoreTable(
        rows=rows_to_frame(rows),
        suite=f"simulated@1: {n_prompts} prompts x {images_per_prompt} images",
        signature=signature_line(prompt_set, images_per_prompt, Sampler(), columns),
        checkpoints=tuple(checkpoints),
        columns=tuple(columns),
        n_prompts=n_prompts,
        images_per_prompt=images_per_prompt,
        source=f"simulation of seed {seed}",
    )


def _rows(
    column: ScorerColumn, checkpoint: str, prompts: Sequence[Prompt], values: FloatArray
) -> Iterator[ScoreRow]:
    def row(value: float, prompt: str | None = None, k: int | None = None) -> ScoreRow:
        return ScoreRow.measured(checkpoint, column.name, column.version, value, prompt, k)

    ids = [prompt.id for prompt in prompts]
    if column.unit == "image":
        yield from (row(v, ids[p], k) for (p, k), v in np.ndenumerate(values))
    elif column.unit == "prompt":
        yield from (row(v, id_) for id_, v in zip(ids, values.mean(axis=1), strict=True))
    else:
        yield row(float(values.mean()))
        for g, group in enumerate(prompt_groups(ids)):
            kept = ~np.isin(ids, group)
            yield row(float(values[kept].mean()), leave_out_id(g))
