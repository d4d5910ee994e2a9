"""The settings of ``fbench eval`` and ``fbench score``."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, field_validator

from benchmark.core.config import Config
from benchmark.core.records import Sampler
from benchmark.core.settings import DEVICE, OFFLINE, PRECISION, Setting
from benchmark.evaluate.layouts import Layout
from benchmark.models import draws_embedded_world

SHAPES_SCORERS = (
    "true_taste", "oracle", "true_diversity", "scene_rate", "true_taste_heldout", "true_reward",
    "true_reward_heldout", "clip", "hps", "pickscore", "imagereward", "attribute_diversity", "clip_diversity",
    "lpips", "style_cosine", "style_fd", "fid", "kid",
)  # fmt: skip
"""Those of the suite first; the others of `fbench list scorers` are for the asking."""
SHAPES_PRIMARY = SHAPES_SCORERS[:4]
PUBLISHED_SCORERS = ("clip", "hps", "pickscore", "imagereward", "clip_diversity")

PATH_KL = "path_kl"


WHAT, IMAGES, RUN = "What is compared", "How the images are made", "The run"


def _split(value: object) -> object:
    """Scorers of one text, which are parted by commas; a comma within brackets parts nothing."""
    from benchmark.scorers import split_scorers

    return tuple(split_scorers(value)) if isinstance(value, str) else value


Scorers = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""``name`` or ``name(option=value)`` each."""
ScorerPrecision = Annotated[Literal["fp32", "bf16"], Setting(
    "What scorers' networks compute in; bf16 is quicker, and another version. (default {default})",
    "", "value",
)]  # fmt: skip
PROMPTS: Final = Setting(
    "Of `fbench list prompts`, or a file: .txt, .csv, .tsv, .json(l), .parquet. (default {default})",
    WHAT,
    "content",
)
PROMPT_COLUMN: Final = Setting(
    "Of a file of prompts, where the texts stand. (default text, prompt, caption or prompts)",
    WHAT,
    "never",
    metavar="NAME",
)
SAMPLER: Final = Setting(
    "Name of the sampler, such as ddim or euler. (default the base model's)", IMAGES, "value"
)
STEPS: Final = Setting("Denoising steps. (default the base model's)", IMAGES, "value")
GUIDANCE: Final = Setting("Scale of classifier-free guidance. (default the base model's)", IMAGES, "value")
ETA: Final = Setting("Noise added back per step.", IMAGES, "value", flag="none")
BATCH_SIZE: Final = Setting("Images in one forward pass. (default the base model's)", IMAGES, "value")
K: Final = Setting("Images of each prompt, K. (default {default})", IMAGES, "value")


class EvalConfig(Config):
    """``fbench eval``; a sampler's setting that is empty is the base model's."""

    # fmt: off
    checkpoint: Annotated[tuple[str, ...], Field(min_length=1), Setting(
        "`base`, a run folder, RUN@STEP, a diffusers folder, a LoRA file or a hub id; once for each. "
        "(default {default})", WHAT, "content"
    )] = ("base",)
    base: Annotated[str, Setting(
        "The base model they were trained from. (default {default})", WHAT, "content"
    )] = "shapes"
    prompts: Annotated[str, PROMPTS] = "shapes-core"
    prompt_column: Annotated[str | None, PROMPT_COLUMN] = None
    scorers: Annotated[Scorers, Setting(
        "Of `fbench list scorers`. (default all for the base)",
        WHAT, "content", metavar="A,B,...", flag="commas"
    )] = ()
    primary: Annotated[Scorers, Setting(
        "Scorers that the question is about, declared before looking; the others are exploratory.",
        WHAT, "value", metavar="A,B,...", flag="commas"
    )] = ()
    reference: Annotated[str | None, Setting(
        "Id of the checkpoint that the others are compared with. (default the base model)", WHAT, "value"
    )] = None
    images_per_prompt: Annotated[int, Field(ge=1), K] = 4
    seed: Annotated[int, Setting("Seed of the images' noise. (default {default})", IMAGES, "value")] = 0
    sampler: Annotated[str | None, SAMPLER] = None
    steps: Annotated[int | None, Field(ge=1), STEPS] = None
    guidance: Annotated[float | None, Field(ge=0), GUIDANCE] = None
    eta: Annotated[float | None, Field(ge=0, le=1), ETA] = None
    batch_size: Annotated[int | None, Field(ge=1), BATCH_SIZE] = None
    noise: Annotated[Literal["per_image", "shared"], Setting(
        "Every image starts from noise of its own, or image k of all prompts from the same, as older "
        "protocols have it. (default {default})", IMAGES, "value"
    )] = "per_image"
    distance: Annotated[bool, Setting(
        "Measure how far the sampling paths are from the base model's: the scorer path_kl.", IMAGES, "value"
    )] = False
    compile: Annotated[bool, Setting(
        "Compile the network: a minute, then quicker. Needs a C++ compiler; pixels differ by a rounding.",
        IMAGES, "value", flag="switch"
    )] = False
    limit: Annotated[int | None, Field(ge=1), Setting(
        "Use the first prompts only, so many.", RUN, "value"
    )] = None
    shard: Annotated[str | None, Setting(
        "Make this part of the images and score nothing.", RUN, "never", metavar="i/n"
    )] = None
    device: Annotated[str, DEVICE] = "auto"
    scorer_precision: ScorerPrecision = "fp32"
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], PRECISION] = "auto"
    offline: Annotated[bool, OFFLINE] = False
    out: Annotated[Path, Setting("The evaluation's folder. (default runs/eval)", RUN, "never")]
    # fmt: on

    @field_validator("checkpoint", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def weights(self) -> str:
        """Which weights scorers use unless told otherwise."""
        return "embedded" if draws_embedded_world(self.base) else "published"

    @property
    def scorer_texts(self) -> tuple[str, ...]:
        """The scorers asked for, or those that the base model has."""
        asked = self.scorers or (SHAPES_SCORERS if draws_embedded_world(self.base) else PUBLISHED_SCORERS)
        return (*asked, PATH_KL) if self.distance and PATH_KL not in asked else asked

    @property
    def primary_names(self) -> tuple[str, ...]:
        """The scorers declared before looking."""
        return self.primary or (SHAPES_PRIMARY if draws_embedded_world(self.base) else ())

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
            compiled=self.compile,
        )


class ScoreConfig(Config):
    """``fbench score``."""

    # fmt: off
    path: Annotated[tuple[Path, ...], Field(min_length=1), Setting(
        "A JSONL of {prompt, image_path, id, prompt_id, seed}, or a folder of images with texts; one for "
        "each model.", "", "content", metavar="PATH...", flag="argument"
    )]
    name: Annotated[tuple[str, ...], Setting(
        "What a model is called; once for each PATH. (default as its file or folder)", "", "never"
    )] = ()
    scorers: Annotated[Scorers, Setting(
        "Of `fbench list scorers`.", "", "content", metavar="A,B,...", flag="commas"
    )] = ()
    primary: Annotated[Scorers, Setting(
        "Scorers that the question is about; the others are exploratory.", "", "value", flag="none"
    )] = ()
    layout: Annotated[Layout | None, Setting(
        "How the images of PATH are laid out. (default what each looks like)", "", "value"
    )] = None
    prompts: Annotated[Path | None, Setting(
        "For hps: the folder of anime.json and so on, or a file of {style: texts}. (default the images' own "
        "folder)", "", "content", metavar="FOLDER|FILE"
    )] = None
    weights: Annotated[Literal["embedded", "published"], Setting(
        "Weights of scorers that name none. (default {default})", "", "content"
    )] = "published"
    device: Annotated[str, DEVICE] = "auto"
    scorer_precision: ScorerPrecision = "fp32"
    out: Annotated[Path, Setting("The result's folder. (default runs/score)", "", "never")]
    # fmt: on

    @field_validator("path", "name", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        # Manifests of before there could be several have one.
        return (value,) if isinstance(value, str | Path) else value

    @property
    def scorer_texts(self) -> tuple[str, ...]:
        """The scorers asked for, or those for any image."""
        return self.scorers or PUBLISHED_SCORERS
