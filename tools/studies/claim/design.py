"""The design of the claim study: who is trained and looked at, and in which order.

Every number here decides the members: whoever changes one makes them anew.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmark.core.hashing import plain
from benchmark.core.records import Hyperparameter
from benchmark.evaluate.config import EvalConfig
from trainers.checkpoints import label
from trainers.config import TrainConfig

REFERENCE: Final = "reverse_kl"
CLAIMED: Final = "jensen_shannon"
DIVERGENCES: Final = (REFERENCE, CLAIMED, "forward_kl", "alpha(a=0.5)", "pearson_chi2")
SEEDS: Final = tuple(range(8))
STEPS: Final = 100
BATCH: Final = 64
HALFWAY: Final = STEPS // 2
BASE: Final = "shapes"

TRAINING: Final[Mapping[str, Any]] = {
    "data": "shapes-prefs",
    # A tenth of `auto`, at which three of the five learn nothing but noise: see docs/claim.md.
    "log_ratio_scale": 15.0,
    "lora_rank": 16,
    "lora_targets": "all",
    "steps": STEPS,
    "batch_size": BATCH,
    "lr": 5e-4,
    "lr_schedule": "constant",
    "warmup": 5,
    "save_every": HALFWAY,
    "held_out_pairs": 128,
    "held_out_draws": 2,
    # Said, and not left to the hardware, so that every machine trains the same thing.
    "precision": "bf16",
}

TRUTHS: Final = ("true_taste", "true_diversity", "oracle", "scene_rate", "true_taste_heldout", "true_reward")
LEARNED: Final = ("pickscore", "hps", "clip_diversity", "lpips")


@dataclass(frozen=True)
class Sample:
    """What every model is asked, and who judges it.

    Attributes:
        prompts: Prompt set.
        limit: Its first so many prompts.
        images: Of each prompt.
        scorers: Of the images.
        halfway: Images a prompt of the half-way checkpoint of each sweep's strongest run; 0: none.
        paths: Prompts whose `path_kl` is measured, the first so many, and paths of each.
    """

    prompts: str
    limit: int
    images: int
    scorers: tuple[str, ...]
    halfway: int = 0
    paths: tuple[int, int] = (0, 0)


VALIDATION: Final = Sample("shapes-validation", 64, 4, TRUTHS[:4])
TEST: Final = Sample("shapes-core", 96, 8, TRUTHS + LEARNED, halfway=4, paths=(24, 2))


@dataclass(frozen=True)
class Member:
    """One model: the base, or a training run.

    Attributes:
        objective: Its name; empty for the base model.
        divergence: Under which, if the objective takes one.
        beta: Slope-matched weight of the divergence, if the objective takes one.
        seed: Of the training.
        halfway: Whether its half-way checkpoint is looked at as well.
    """

    objective: str = ""
    divergence: str | None = None
    beta: float | None = None
    seed: int = 0
    halfway: bool = False

    @property
    def name(self) -> str:
        """Of its folder."""
        if not self.objective:
            return "base"
        numbers: dict[str, Hyperparameter] = {"seed": self.seed}
        if self.beta is not None:
            numbers["beta"] = self.beta
        return label(self.objective, self.divergence, numbers, STEPS)

    def training(self) -> dict[str, Any]:
        """Its own settings of `TrainConfig`."""
        own = {"objective": self.objective, "divergence": self.divergence, "beta": self.beta}
        known: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
        # SFT has no reference to be near to; what takes a divergence begins as all others do.
        known |= {"slope_matched": True} if self.divergence else {}
        known |= {"log_ratio_scale": None} if self.objective == "sft" else {}
        return {**known, "seed": self.seed}


@dataclass(frozen=True)
class Unit:
    """Members that one process trains together, so that they share batches and reference passes."""

    name: str
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Design:
    """A part of the study with its places.

    Attributes:
        sample: What is asked.
        units: In the order of the work.
        out: Runs, images and scores; not committed.
        results: A folder for each finished member.
        base: The base model.
        device: Where.
        training: Settings that overrule `TRAINING`.
        evaluation: Settings of `EvalConfig` that overrule the sample's.
    """

    sample: Sample
    units: tuple[Unit, ...]
    out: Path
    results: Path
    base: str = BASE
    device: str = "cpu"
    training: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def members(self) -> tuple[Member, ...]:
        """All of them, in the order of the work."""
        return tuple(member for unit in self.units for member in unit.members)

    def run(self, member: Member) -> TrainConfig:
        """A member's training.

        Raises:
            UserError: for an impossible setting.
        """
        given = {**TRAINING, **self.training, **member.training()}
        known = {name: value for name, value in given.items() if value is not None}
        place = {"base": self.base, "device": self.device, "out": self.out / "train" / member.name}
        return TrainConfig.parse({**known, **place})

    def eval_config(self, member: Member) -> EvalConfig:
        """How a member's images are made and scored, in a folder of its own.

        Raises:
            UserError: for an impossible setting.
        """
        asked = {
            "base": self.base,
            "prompts": self.sample.prompts,
            "limit": self.sample.limit,
            "images_per_prompt": self.sample.images,
            "scorers": self.sample.scorers,
            "primary": self.sample.scorers[:2],
            "precision": "bf16",
            "compile": True,
            "device": self.device,
        }
        return EvalConfig.parse({**asked, **self.evaluation, "out": self.out / "eval" / member.name})

    def settings(self, member: Member) -> dict[str, Any]:
        """All that decides a member's numbers, for its header: a member of other settings is another one."""
        evaluation = self.eval_config(member).model_dump(
            mode="json", exclude={"out", "checkpoint", "offline"}
        )
        training = self.run(member).identity() if member.objective else {}
        more = {"paths": self.sample.paths, "halfway": self.sample.halfway if member.halfway else 0}
        settings: dict[str, Any] = plain({"training": training, "evaluation": evaluation, **more})
        return settings


def sweep_units(
    betas: Mapping[str, tuple[float, ...]], seeds: tuple[int, ...], *, halfway: bool
) -> Iterator[Unit]:
    """For each seed a unit a divergence: all its betas, from weak to strong.

    Args:
        betas: By divergence.
        seeds: Of the training.
        halfway: Whether the strongest member of each is looked at half-way as well.
    """
    for seed in seeds:
        for divergence, own in betas.items():
            ordered = sorted(own, reverse=True)
            members = tuple(
                Member("f_dpo", divergence, beta, seed, halfway and beta == ordered[-1]) for beta in ordered
            )
            yield Unit(label("f_dpo", divergence, {"seed": seed}, STEPS), members)


def other_unit(betas: Mapping[str, tuple[float, ...]], seed: int) -> Unit:
    """Other objectives at one setting each: the second strongest beta of f-DPO under their divergence."""
    middle = {name: sorted(betas[name])[1] for name in (REFERENCE, CLAIMED)}
    members = (
        *(Member("rpo", name, beta, seed) for name, beta in middle.items()),
        Member("sft", None, None, seed),
        Member("kto", None, middle[REFERENCE], seed),
    )
    return Unit(f"others-seed{seed}", members)


def study_units(betas: Mapping[str, tuple[float, ...]], seeds: tuple[int, ...] = SEEDS) -> tuple[Unit, ...]:
    """The study's members seed by seed, so that wherever it stops all methods have the same seeds.

    Args:
        betas: By divergence.
        seeds: Of the training.
    """
    units = [Unit("base", (Member(),))]
    for seed in seeds:
        units += [*sweep_units(betas, (seed,), halfway=True), other_unit(betas, seed)]
    return tuple(units)
