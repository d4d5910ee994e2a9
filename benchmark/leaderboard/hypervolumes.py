"""Hypervolumes of methods in a trade-off plane: only as differences, and only with their reference point."""

from collections.abc import Sequence

import numpy as np

from benchmark.core.records import Checkpoint, ScorerColumn
from benchmark.stats.arrays import FloatArray
from benchmark.stats.hypervolume import GROUPS, REFERENCE_SDS, hypervolume_difference


def hypervolume_notes(
    checkpoints: Sequence[Checkpoint],
    x: FloatArray,
    corner: FloatArray,
    facts: Sequence[ScorerColumn],
    reference: str,
) -> tuple[str, ...]:
    """How much more of the plane each method covers than the method of the reference checkpoint.

    A method is an objective with its divergence, and covers what any of its checkpoints covers: those of a
    sweep are one front. A base model, or a checkpoint that does not say how it was trained, is its own.

    Args:
        checkpoints: Those of the plane.
        x: One row a prompt, without gaps, shape (prompts, checkpoints, 2); larger is better on both axes.
        corner: Reference point, shape (2,), likewise.
        facts: The two scorers.
        reference: Id of a checkpoint of the method that the others are compared with.

    Returns:
        One sentence with all methods; none where there is nothing to compare.
    """
    methods: dict[str, list[int]] = {}
    for i, checkpoint in enumerate(checkpoints):
        methods.setdefault(method_of(checkpoint), []).append(i)
    own = next(method_of(c) for c in checkpoints if c.id == reference)
    against = methods.pop(own)
    found = []
    for name, members in methods.items():
        lead = hypervolume_difference(x[:, members], x[:, against], corner)
        if not np.isnan(lead.lo):
            found.append(f"{_sized(name, members)} {lead.value:+.3g} [{lead.lo:.3g}, {lead.hi:.3g}]")
    if not found:
        return ()
    signs = np.array([1.0 if column.higher_is_better else -1.0 for column in facts])
    point = ", ".join(f"{c.name} {v:.4g}" for c, v in zip(facts, signs * corner, strict=True))
    sentence = (
        f"Hypervolume over {point} (the base less {REFERENCE_SDS:g} within-prompt SD), less that of "
        f"{_sized(own, against)}, bias-corrected, 95 % by jackknife over {GROUPS} groups of prompts: "
        f"{'; '.join(found)}."
    )
    return (sentence,)


def method_of(checkpoint: Checkpoint) -> str:
    """Objective and divergence; the id where there is no divergence and no setting tells runs apart.

    Example:
        >>> method_of(Checkpoint("x", "sd15", "f_dpo", "reverse_kl", {"beta": 1.0}))
        'f_dpo reverse_kl'
        >>> method_of(Checkpoint("mine", "sd15", "external"))
        'mine'
    """
    if checkpoint.objective is None or not checkpoint.hyperparameters:
        return checkpoint.id
    return " ".join(part for part in (checkpoint.objective, checkpoint.divergence) if part)


def _sized(name: str, members: Sequence[int]) -> str:
    return name if len(members) == 1 else f"{name} ({len(members)} checkpoints)"
