"""The settings of ``fbench eval`` and ``fbench score``."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from benchmark.core.config import Config
from benchmark.core.records import Sampler
from benchmark.evaluate.layouts import Layout
from benchmark.scorers import split_scorers

SHAPES_SCORERS = (
    "true_reward", "oracle", "true_diversity", "scene_rate", "true_reward_heldout", "clip", "hps",
    "pickscore", "imagereward", "attribute_diversity", "clip_diversity", "lpips", "style_cosine", "style_fd",
    "fid", "kid",
)  # fmt: skip
"""Those of the suite first; the others of `fbench list scorers` are for the asking."""
SHAPES_PRIMARY = SHAPES_SCORERS[:4]
PUBLISHED_SCORERS = ("clip", "hps", "pickscore", "imagereward", "clip_diversity")

PATH_KL = "path_kl"


class _Scored(Config):
    """What both commands need.

    Attributes:
        scorers: ``name`` or ``name(option=value)`` each; text is split at its commas. Empty: all there are.
        primary: Declared before looking; the others are marked exploratory.
        out: The folder of the result.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        scorer_precision: What scorers' networks compute in unless told otherwise; bf16 is several times
            faster where the hardware has it, and part of the scorers' versions.
    """

    scorers: tuple[str, ...] = ()
    primary: tuple[str, ...] = ()
    out: Path
    device: str = "auto"
    scorer_precision: Literal["fp32", "bf16"] = "fp32"

    @field_validator("scorers", "primary", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(split_scorers(value)) if isinstance(value, str) else value


class EvalConfig(_Scored):
    """``fbench eval``.

    Attributes:
        base: The base model: a registered name, a folder, a hub id.
        checkpoint: ``base``, run folders, diffusers folders, LoRA files, hub ids.
        prompts: A registered prompt set, a file, or a folder with a published set.
        prompt_column: Of a file of prompts: the column of the texts; None: the usual names.
        images_per_prompt: K.
        seed: The evaluation's.
        sampler: Name; None: the base model's default, as for the next four.
        steps: Denoising steps.
        guidance: Scale of classifier-free guidance.
        eta: Noise added back per step.
        batch_size: Images per forward pass.
        noise: ``per_image`` or ``shared``.
        limit: Only the first so many prompts.
        shard: ``i/n``: makes this part of the images and scores nothing.
        distance: Measure how far each checkpoint's sampling paths are from the base model's, as the scorer
            ``path_kl``.
        reference: Id of the checkpoint that differences are against; None: the base model.
        precision: ``auto``, ``fp32``, ``bf16`` or, on a CUDA GPU, ``fp16``.
        offline: Forbid every network access.
    """

    base: str = "shapes"
    checkpoint: tuple[str, ...] = Field(("base",), min_length=1)
    prompts: str = "shapes-core"
    prompt_column: str | None = None
    images_per_prompt: int = Field(4, ge=1)
    seed: int = 0
    sampler: str | None = None
    steps: int | None = Field(None, ge=1)
    guidance: float | None = Field(None, ge=0)
    eta: float | None = Field(None, ge=0)
    batch_size: int | None = Field(None, ge=1)
    noise: Literal["per_image", "shared"] = "per_image"
    limit: int | None = Field(None, ge=1)
    shard: str | None = None
    distance: bool = False
    reference: str | None = None
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    offline: bool = False

    @property
    def weights(self) -> str:
        """Which weights scorers use unless told otherwise."""
        return "embedded" if self.base == "shapes" else "published"

    @property
    def scorer_texts(self) -> tuple[str, ...]:
        """The scorers asked for, or those that the base model has."""
        asked = self.scorers or (SHAPES_SCORERS if self.base == "shapes" else PUBLISHED_SCORERS)
        return (*asked, PATH_KL) if self.distance and PATH_KL not in asked else asked

    @property
    def primary_names(self) -> tuple[str, ...]:
        """The scorers declared before looking."""
        return self.primary or (SHAPES_PRIMARY if self.base == "shapes" else ())

    def sampling(self, default: Sampler) -> Sampler:
        """The base model's sampling with what was asked for in its place."""
        return Sampler(
            name=self.sampler or default.name,
            steps=self.steps or default.steps,
            guidance=default.guidance if self.guidance is None else self.guidance,
            eta=default.eta if self.eta is None else self.eta,
            seed=self.seed,
            batch_size=self.batch_size or default.batch_size,
            noise=self.noise,
            precision=default.precision,
        )


class ScoreConfig(_Scored):
    """``fbench score``.

    Attributes:
        path: Listings of ``{prompt, image_path[, id, prompt_id, seed]}``, or folders of images with their
            texts, one a model; one alone need not be a list.
        name: What each is called; empty: as its file or folder.
        layout: What they are; None: what each looks like.
        prompts: For the layout ``hps``: the folder of ``<style>.json``, or a file of ``{style: texts}``.
        weights: Which weights scorers use unless told otherwise.
    """

    path: tuple[Path, ...] = Field(min_length=1)
    name: tuple[str, ...] = ()
    layout: Layout | None = None
    prompts: Path | None = None
    weights: Literal["embedded", "published"] = "published"

    @field_validator("path", "name", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        # Manifests of before there could be several have one.
        return (value,) if isinstance(value, str | Path) else value

    @property
    def scorer_texts(self) -> tuple[str, ...]:
        """The scorers asked for, or those for any image."""
        return self.scorers or PUBLISHED_SCORERS
