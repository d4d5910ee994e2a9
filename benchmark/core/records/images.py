"""What was generated, and the only place that turns image files into pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmark.core import hashing
from benchmark.core.pixels import read_rgb
from benchmark.core.records.base import Record
from benchmark.core.records.checkpoints import Checkpoint
from benchmark.core.records.prompts import Prompt, PromptSet
from benchmark.core.records.scores import Status

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB


@dataclass(frozen=True)
class Sampler:
    """Everything besides checkpoint, prompt and k that decides an image's pixels.

    Attributes:
        name: The scheduler, such as ``ddim``.
        steps: Denoising steps.
        guidance: Scale of classifier-free guidance, or of that which a distilled network is told; 1 is none.
        eta: Noise added back per step; 0 is deterministic.
        seed: The evaluation's seed.
        batch_size: Images per forward pass, always filled up. It is part of the settings because another size
            may move a pixel by a rounding error.
        noise: ``per_image`` (a seed for each image) or ``shared`` (older public protocols).
        precision: ``fp32``, ``bf16`` or ``fp16``: what the networks compute in.
        compiled: Whether the network is compiled, which moves pixels by rounding errors.
    """

    name: str = "ddim"
    steps: int = 20
    guidance: float = 3.0
    eta: float = 0.0
    seed: int = 0
    batch_size: int = 16
    noise: Literal["per_image", "shared"] = "per_image"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compiled: bool = False

    def __post_init__(self) -> None:
        """Refuses settings that cannot make an image."""
        if self.steps < 1 or self.batch_size < 1:
            raise ValueError(f"steps and batch_size must be at least 1: {self}")
        if self.noise not in ("per_image", "shared"):
            raise ValueError(f"noise must be per_image or shared, not {self.noise!r}")
        if self.precision not in ("fp32", "bf16", "fp16"):
            raise ValueError(f"precision must be fp32, bf16 or fp16, not {self.precision!r}")

    @property
    def signature(self) -> str:
        """The sampler's part of a signature, from which a reader sees what is comparable."""
        parts = [f"sampler:{self.name}-{self.steps}", f"cfg:{self.guidance}", f"seed:{self.seed}"]
        parts += [f"eta:{self.eta}"] if self.eta else []
        parts += [f"noise:{self.noise}"] if self.noise != "per_image" else []
        parts += [f"precision:{self.precision}"] if self.precision != "fp32" else []
        parts += ["compiled"] if self.compiled else []
        return "|".join(parts)

    @property
    def identity(self) -> dict[str, object]:
        """The settings that are told apart; images of before one could be compiled keep their keys."""
        known: dict[str, object] = hashing.plain(self)
        return known if self.compiled else {k: v for k, v in known.items() if k != "compiled"}


@dataclass(frozen=True)
class ImageRecord:
    """One image, or the trace of one that could not be made.

    Attributes:
        prompt_id: The prompt it was made for.
        seed: k, the index among the prompt's images; not the generator's seed, which follows from the
            evaluation's seed, the prompt's text and k.
        path: Where the file is, or would have been.
        sha256: Hash of the file; empty for an image made elsewhere or not made.
        status: ``ok``, or why there is none.
        note: What happened, in words.
        path_kl: KL in nats between the sampling paths of its checkpoint and of the base model, for the
            generator it was made with; None where it was not measured.
    """

    prompt_id: str
    seed: int
    path: Path
    sha256: str = ""
    status: Status = "ok"
    note: str = ""
    path_kl: float | None = None


@dataclass(frozen=True)
class ImageSet(Record):
    """The images of one checkpoint on one prompt set.

    Attributes:
        id: Hash of what determines the pixels; see :meth:`content_id`.
        checkpoint: Who made them.
        prompt_set: For what.
        sampler: How.
        seeds: The k's, usually 0..K-1.
        records: One for each prompt and k, failed ones included.
    """

    id: str
    checkpoint: Checkpoint
    prompt_set: PromptSet
    sampler: Sampler
    seeds: tuple[int, ...]
    records: tuple[ImageRecord, ...]

    @staticmethod
    def content_id(
        checkpoint: Checkpoint, prompt_set: PromptSet, sampler: Sampler, seeds: tuple[int, ...]
    ) -> str:
        """Hash of what determines the pixels: change any of it and no old image is reused."""
        prompts = [(prompt.id, prompt.text) for prompt in prompt_set]
        weights = (checkpoint.id, checkpoint.base_model, checkpoint.revision)
        return hashing.sha256_json([weights, prompts, sampler.identity, seeds])[:16]

    def __len__(self) -> int:
        """The number of records, failed ones included."""
        return len(self.records)

    def __iter__(self) -> Iterator[ImageRecord]:
        """The records, in order."""
        return iter(self.records)

    @property
    def ok(self) -> tuple[ImageRecord, ...]:
        """The records that have an image."""
        return tuple(record for record in self.records if record.status == "ok")

    def of(self, prompts: Sequence[Prompt]) -> "ImageSet":
        """The images of some of its prompts, under the same id."""
        ids = {prompt.id for prompt in prompts}
        return replace(
            self,
            prompt_set=replace(self.prompt_set, prompts=tuple(prompts)),
            records=tuple(record for record in self.records if record.prompt_id in ids),
        )

    def prompt(self, record: ImageRecord) -> Prompt:
        """The prompt an image was made for."""
        return self.prompt_set.by_id[record.prompt_id]

    def open(self, record: ImageRecord) -> "RGB":
        """The pixels of one image.

        Returns:
            uint8 of shape (height, width, 3), sRGB; transparency is laid on white.

        Raises:
            UserError: if there is no such file, it is no image, or its bytes are not those that were
                generated.
        """
        return read_rgb(record.path, sha256=record.sha256)
