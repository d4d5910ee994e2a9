"""Which training runs are one method: alike in every setting but the training seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint
from benchmark.core.words import number_of
from benchmark.models import draws_embedded_world
from benchmark.stats.training_runs import SEEDS_FOR_A_CLAIM

SHAPES_SEEDS_FOR_A_CLAIM = 8
"""In the embedded world seeds are cheap, and effects are small beside what they do."""

_FIELDS = ("base_model", "objective", "divergence", "step")
_BEFORE: Mapping[str, object] = {
    **dict.fromkeys((
        "beta", "lr", "data", "slope_matched", "log_ratio_scale", "log_ratio_centre", "lora_rank",
        "lora_targets", "batch_size", "draws", "steps", "lr_schedule", "warmup", "weight_decay",
        "max_grad_norm", "prompt_dropout", "share_t", "embedding", "precision",
    )),
    "optimizer": "adamw", "estimator": "denoising", "ties": "drop", "crop": "centre", "flip": False,
    "ema": None, "unchecked": False,
}  # fmt: skip
"""The method's settings of records that do not name them; with what those were trained with that lack one.

Nothing is added here: newer records name their own, see :class:`Checkpoint`.
"""

_WORDS = {
    "f_dpo": "f-DPO", "sft": "SFT", "rpo": "RPO", "kto": "KTO", "ipo": "IPO", "dmpo": "DMPO", "dspo": "DSPO",
    "mapo": "MaPO", "reverse_kl": "reverse KL", "forward_kl": "forward KL",
    "jensen_shannon": "Jensen-Shannon", "jeffreys": "Jeffreys", "squared_hellinger": "squared Hellinger",
    "pearson_chi2": "Pearson chi2", "chi2_kl": "chi2 + KL",
}  # fmt: skip


@dataclass(frozen=True)
class Method:
    """A base model, or the training runs of one method.

    Attributes:
        name: Such as ``f-DPO, Jensen-Shannon``; a checkpoint's id where its seed is not known.
        runs: At least one.
        seeds: Training seed of each run; empty for a base model, or where none is known.
    """

    name: str
    runs: tuple[Checkpoint, ...]
    seeds: tuple[int, ...] = ()

    @property
    def is_base(self) -> bool:
        """Whether it is a base model, which has no training seed to vary."""
        return self.runs[0].is_base

    @property
    def title(self) -> str:
        """The name with the number of seeds."""
        count = len(self.seeds)
        return f"{self.name} ({number_of(count, 'seed')})" if count else self.name

    def is_called(self, text: str) -> bool:
        """Whether a text is its name or title, objective and divergence, divergence, or the id of a run."""
        run = self.runs[0]
        registered = " ".join(part for part in (run.objective, run.divergence) if part)
        names = (self.name, self.title, registered, run.divergence, *(run.id for run in self.runs))
        return bool(text) and text in names


def method_facts(runs: Sequence[Checkpoint]) -> list[dict[str, object]]:
    """For each run all in which the runs of one method agree, by name; the names are the same for all."""
    names = dict.fromkeys((*_BEFORE, *(name for run in runs for name in run.method_settings)))
    # What a record without a setting stands for may be the base model's own, such as its CLIP.
    usual: dict[str, dict[str, object]] = {}
    for run in runs:
        own = usual.setdefault(run.base_model, dict.fromkeys(names) | dict(_BEFORE))
        own |= {name: value for name, value in run.method_settings.items() if name not in _BEFORE}
    return [
        {name: getattr(run, name) for name in _FIELDS}
        | {name: run.hyperparameters.get(name, usual[run.base_model][name]) for name in names}
        | {"data_sha256": run.data_sha256}
        for run in runs
    ]


def training_seed(run: Checkpoint) -> int | None:
    """The training seed; None for a base model and for weights from elsewhere."""
    seed = run.hyperparameters.get("seed")
    return seed if isinstance(seed, int) and not run.is_base else None


def seeds_for_a_claim(base_model: str) -> int:
    """Training seeds that a claim about a method needs, shared by those that it compares."""
    return SHAPES_SEEDS_FOR_A_CLAIM if draws_embedded_world(base_model) else SEEDS_FOR_A_CLAIM


def methods_of(checkpoints: Sequence[Checkpoint]) -> tuple[Method, ...]:
    """The methods behind some checkpoints, in the order of their first runs.

    A base model, or a checkpoint without a training seed, stands alone under its id.

    Args:
        checkpoints: Those of a table.

    Raises:
        UserError: If two runs of one method have the same seed.
    """
    alike: dict[object, list[Checkpoint]] = {}
    for run, facts in zip(checkpoints, method_facts(checkpoints), strict=True):
        key = run.id if training_seed(run) is None else tuple(facts.items())
        alike.setdefault(key, []).append(run)
    groups = list(alike.values())
    return tuple(
        Method(name, tuple(runs), _seeds(runs)) for name, runs in zip(_names(groups), groups, strict=True)
    )


def find_method(asked: str, methods: Sequence[Method]) -> Method:
    """The method that a user means.

    Args:
        asked: Its name, with or without the number of seeds; objective and divergence, or the divergence
            alone, as in the registry; the id of one of its runs.
        methods: All there are.

    Raises:
        UnknownNameError: If there is none of this name.
        UserError: If there are several.
    """
    found = [method for method in methods if method.is_called(asked)]
    if not found:
        raise UnknownNameError("method of these evaluations", asked, [method.name for method in methods])
    if len(found) > 1:
        names = " or ".join(f"'{method.name}'" for method in found)
        raise UserError(f"{asked} is the name of {len(found)} methods", allowed=names)
    return found[0]


def _seeds(runs: Sequence[Checkpoint]) -> tuple[int, ...]:
    first: dict[int, str] = {}
    for run in runs:
        seed = training_seed(run)
        if seed is not None and first.setdefault(seed, run.id) != run.id:
            raise UserError(
                f"{first[seed]} and {run.id} are runs of one method with the same training seed",
                do="leave one of them out",
            )
    return tuple(first)


def _names(groups: Sequence[Sequence[Checkpoint]]) -> list[str]:
    """Objective and divergence, then as few settings as tell it from the others."""
    runs = [group[0] for group in groups]
    names = [run.id if training_seed(run) is None else _in_words(run) for run in runs]
    facts = method_facts(runs)
    for fact in facts[0] if facts else ():
        alike: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            alike.setdefault(name, []).append(i)
        for name, group in alike.items():
            if len({facts[i][fact] for i in group}) > 1:
                for i in group:
                    names[i] = f"{name}, {fact} {_value(fact, facts[i][fact])}"
    # A name becomes an id, and those are names of folders.
    return [name.replace("/", ":").replace("\\", ":") for name in names]


def _in_words(run: Checkpoint) -> str:
    return ", ".join(_WORDS.get(part, part) for part in (run.objective, run.divergence) if part)


def _value(fact: str, value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text[:8] if fact.endswith("_sha256") else text
