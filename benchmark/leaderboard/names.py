"""Short names of checkpoints, where an id of forty letters has no room."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.core.records import EXTERNAL, Checkpoint
from benchmark.leaderboard.same_method import method_facts, training_seed


@dataclass(frozen=True)
class SeedGroup:
    """Checkpoints that are alike but for their training seed.

    Attributes:
        name: Short, and its own among the groups.
        ids: Of its checkpoints, in order.
    """

    name: str
    ids: tuple[str, ...]


def seed_groups(checkpoints: Sequence[Checkpoint]) -> tuple[SeedGroup, ...]:
    """The groups, in the order of their first checkpoints.

    A base model, and a checkpoint whose seed is not known, stands alone.

    Example:
        >>> kl = [Checkpoint(f"x{s}", "sd15", "f_dpo", "reverse_kl", {"seed": s}) for s in (0, 1)]
        >>> [(group.name, group.ids) for group in seed_groups([Checkpoint("base", "sd15"), *kl])]
        [('base', ('base',)), ('f_dpo reverse_kl', ('x0', 'x1'))]
    """
    alike: dict[object, list[Checkpoint]] = {}
    for c, facts in zip(checkpoints, method_facts(checkpoints), strict=True):
        alike.setdefault(c.id if training_seed(c) is None else tuple(facts.items()), []).append(c)
    groups = list(alike.values())
    # What stands for several runs has none of their seeds in its name.
    names = display_names([runs[0] if len(runs) == 1 else _without_seed(runs[0]) for runs in groups])
    return tuple(SeedGroup(names[runs[0].id], tuple(c.id for c in runs)) for runs in groups)


def _without_seed(checkpoint: Checkpoint) -> Checkpoint:
    settings = {name: value for name, value in checkpoint.hyperparameters.items() if name != "seed"}
    return replace(checkpoint, hyperparameters=settings)


def method_order(checkpoints: Sequence[Checkpoint], reference: str) -> tuple[str, ...]:
    """The methods of all but the reference, each once."""
    return tuple(dict.fromkeys(method_name(c) for c in checkpoints if c.id != reference))


def display_names(checkpoints: Sequence[Checkpoint]) -> dict[str, str]:
    """The shortest unambiguous name of each checkpoint: its method, then what tells it from others.

    Args:
        checkpoints: Those that stand in one figure.

    Returns:
        A name by checkpoint id; the id itself where nothing shorter is unique.

    Example:
        >>> a = Checkpoint("x1", "sd15", "f_dpo", "reverse_kl", {"beta": 1.0})
        >>> b = Checkpoint("x2", "sd15", "f_dpo", "reverse_kl", {"beta": 2.0})
        >>> display_names([Checkpoint("base", "sd15"), a, b])
        {'base': 'base', 'x1': 'f_dpo reverse_kl, beta 1', 'x2': 'f_dpo reverse_kl, beta 2'}
    """
    names = {c.id: method_name(c) for c in checkpoints}
    for detail in ("beta", "step", "seed"):
        alike: dict[str, list[Checkpoint]] = {}
        for c in checkpoints:
            alike.setdefault(names[c.id], []).append(c)
        for group in alike.values():
            values = [_value(c, detail) for c in group]
            if len(set(values)) > 1:
                known = [(c.id, value) for c, value in zip(group, values, strict=True) if value]
                names |= {id_: f"{names[id_]}, {detail} {value}" for id_, value in known}
    unique = Counter(names.values())
    return {id_: name if unique[name] == 1 else id_ for id_, name in names.items()}


def method_name(checkpoint: Checkpoint) -> str:
    """Objective and divergence; the id of a base model, or of a row that stands for a method's runs.

    What was trained or drawn elsewhere says neither, and keeps its id.

    Example:
        >>> method_name(Checkpoint("x", "sd15", "f_dpo", "reverse_kl", {"beta": 1.0}))
        'f_dpo reverse_kl'
        >>> method_name(Checkpoint("mine", "sd15", "external"))
        'mine'
    """
    if checkpoint.objective in (None, EXTERNAL) or "seeds" in checkpoint.hyperparameters:
        return checkpoint.id
    return objective_and_divergence(checkpoint)


def objective_and_divergence(checkpoint: Checkpoint) -> str:
    """As in the registry, with a space between; empty for a base model."""
    return " ".join(part for part in (checkpoint.objective, checkpoint.divergence) if part)


def without_knee(divergence: str) -> str:
    """A divergence's name without its knee, which is the loss's: the divergence is the same.

    Example:
        >>> without_knee("alpha(a=0.5, knee=10.0)"), without_knee("expr(knee=6.0): -log(u)")
        ('alpha(a=0.5)', 'expr: -log(u)')
        >>> without_knee("mixture(first='reverse_kl', second='forward_kl(knee=4.0)', weight=0.3)")
        "mixture(first='reverse_kl', second='forward_kl', weight=0.3)"
    """
    return re.sub(r"\(knee=[^,()]*\)|\bknee=[^,()]*, |, knee=[^,()]*", "", divergence)


def _value(checkpoint: Checkpoint, detail: str) -> str:
    """In words; empty where the checkpoint does not state it."""
    value = checkpoint.step if detail == "step" else checkpoint.hyperparameters.get(detail)
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
