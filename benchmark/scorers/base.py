"""The base classes of scorers, and the one door for new ones. No torch here: facts are listed without it.

@scorers.register()
class Brightness(ImageScorer):
    name, axis, unit = "brightness", "texture", "image"
    ...
    def values(self, shown): return [image.mean() / 255 for image in shown.images]
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol, final, runtime_checkable

from benchmark.core.calls import call_of
from benchmark.core.hashing import sha256_json
from benchmark.core.plugins import code_sha256
from benchmark.core.records import UNDEFINED, Axis, ImageSet, Prompt, ScorerColumn, ScoreRow, Unit
from benchmark.core.registry import Registry
from benchmark.scorers.engine.images import NO_IMAGE, Shown, shown
from benchmark.scorers.engine.values import Missing, Value, attempt, expected, number, number_or_error, said
from benchmark.weights.locate import EMBEDDED

if TYPE_CHECKING:
    import numpy as np


class Scorer(ABC):
    """One number in one direction, with its facts on the class.

    Attributes:
        name: As in ``--scorers``.
        version: Raised whenever the definition changes; the weights' hash is added to it.
        axis: What it measures.
        unit: What one number is about.
        higher_is_better: Its one direction.
        bounds: The least and the greatest value; None where there is no bound.
        scale: What the numbers look like, in words.
        in_domain_for: Data sets it was trained on or selected by.
        reference: Who defined it, and where.
        published: The releases of published weights that it needs, by its options as they are written:
            ``{"": ("hps-v2.1",), "version='v2.0'": ("hps-v2.0",)}``.
        precision: What its networks compute in, ``fp32`` or ``bf16``; an option of scorers that have some.
        gpus: GPUs, or the part of one, that a worker of a cluster needs for it; None: those of any worker.
        memory_gb: Memory in GB (10^9 bytes) that such a worker asks for; 0: none is asked for.
        packages: Pip requirements that cannot live beside fbench's own. Such a scorer runs on a Ray cluster,
            in an environment that is made for it.
        bf16_tolerance: How far ``bf16`` may move a value, in the scorer's own unit: two images that are
            further apart than twice that are never swapped.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    axis: ClassVar[Axis]
    unit: ClassVar[Unit]
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float | None, float | None]] = (None, None)
    scale: ClassVar[str] = ""
    in_domain_for: ClassVar[tuple[str, ...]] = ()
    reference: ClassVar[str] = ""
    published: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    gpus: ClassVar[float | None] = None
    memory_gb: ClassVar[float] = 0.0
    packages: ClassVar[tuple[str, ...]] = ()
    precision: str = "fp32"
    bf16_tolerance: ClassVar[float] = 0.0

    @property
    @abstractmethod
    def weights_hash(self) -> str:
        """Short hash of the weights and references behind the numbers; empty where there are none.

        Raises:
            UserError: if they are not there; so this also is the check before anything expensive.
        """

    @abstractmethod
    def load(self, device: str = "cpu") -> None:
        """Reads weights and references; nothing is read before, and nothing twice.

        Raises:
            UserError: if they are missing or unreadable.
        """

    @abstractmethod
    def rows(self, shown: Shown) -> list[ScoreRow]:
        """One row for each image, prompt or set shown; a failure is a row with a status, no exception."""

    @final
    def score(self, images: ImageSet) -> list[ScoreRow]:
        """The rows of a whole set, in its order."""
        return self.rows(shown(images))

    @final
    @property
    def scorer_version(self) -> str:
        """Version of the definition, the precision unless it is float32, and the hash of the weights.

        Of a plug-in the start of its code's hash stands beside the version it states, which nobody may have
        raised. Rows of two versions are never mixed.
        """
        version = self.version if self.precision == "fp32" else f"{self.version}+{self.precision}"
        if code := code_sha256(self):
            version += f"+{code[:8]}"
        return f"{version}@{self.weights_hash}" if self.weights_hash else version

    @final
    @property
    def identity(self) -> str:
        """Name, version and options: what numbers are kept under."""
        # The module of a scorer from a file is named by the file's content: an edited one is another one.
        module = type(self).__module__
        if module.startswith(f"{__package__}."):
            # By its name and not its file: siblings that share a file are found under it as well.
            module = f"{__package__}.{self.name}"
        kind = f"{module}.{type(self).__name__}"
        made = sha256_json([kind, str(call_of(self) or ""), self.scorer_version])
        return f"{self.name}-{made[:12]}"

    @final
    @property
    def is_embedded(self) -> bool:
        """Whether a toy model of the embedded world stands for the published one of this scorer."""
        return bool(self.published) and getattr(self, "weights", "") == EMBEDDED

    @final
    def column(self, in_domain: tuple[str, ...] = (), *, primary: bool = False) -> ScorerColumn:
        """The facts that a leaderboard needs."""
        return ScorerColumn(
            self.name,
            self.scorer_version,
            self.axis,
            self.unit,
            self.higher_is_better,
            self.scale,
            primary,
            in_domain,
            self.bounds,
            self.is_embedded,
        )

    @final
    def row(
        self, shown: Shown, value: Value | Exception, prompt_id: str | None = None, k: int | None = None
    ) -> ScoreRow:
        """A row: ok for a finite number, else missing or error with a note."""
        where = (shown.source.checkpoint, self.name, self.scorer_version)
        if isinstance(value, Missing):
            note = value.note if NO_IMAGE in value.note else f"{UNDEFINED}: {value.note}"
            return ScoreRow(*where, prompt_id, k, None, "missing", note)
        if isinstance(value, Exception):
            return ScoreRow(*where, prompt_id, k, None, "error", said(value))
        return ScoreRow.measured(*where, float(value), prompt_id, k)

    @final
    def faulty(self, shown: Shown) -> dict[int, ScoreRow]:
        """The rows of images that cannot be looked at, by their position."""
        where = (shown.source.checkpoint, self.name, self.scorer_version)
        return {
            f.row: ScoreRow(*where, f.record.prompt_id, f.record.seed, None, f.status, f.note)
            for f in shown.faults
        }


class ImageScorer(Scorer):
    """A scorer whose number is about one image."""

    unit: ClassVar[Unit] = "image"

    @abstractmethod
    def values(self, shown: Shown) -> Sequence[Value]:
        """One value for each of the images shown, in order."""

    def concerns(self, prompt: Prompt) -> bool:  # noqa: ARG002  # most scorers look at every prompt
        """Whether images of this prompt are scored at all; the others get no row."""
        return True

    @final
    def rows(self, shown: Shown) -> list[ScoreRow]:
        """One row an image, in the order of the set; a finite value is kept by content."""
        seen = shown.of([p for p in shown.asked if self.concerns(p)])
        rows = self.faulty(seen)
        values = seen.each(f"values:{self.identity}", self._careful, with_prompt=True)
        for row, record, value in zip(seen.rows, seen.records, values, strict=True):
            rows[row] = self.row(shown, value, record.prompt_id, record.seed)
        return [rows[row] for row in sorted(rows)]

    def _careful(self, seen: Shown) -> Sequence[Value | Exception]:
        """All at once; where that fails, one by one, so that one bad image does not take the others along."""
        if not seen.records:
            return []
        try:
            values = attempt(lambda: list(self.values(seen)))
            if len(values) != len(seen.records):
                raise ValueError(f"{len(values)} values for {len(seen.records)} images")
        except Exception as error:  # noqa: BLE001  # whatever a scorer raises becomes rows
            if len(seen.records) == 1:
                return [error]
            return [value for i in range(len(seen.records)) for value in self._careful(seen.at([i]))]
        return [number_or_error(value) for value in values]


class PromptScorer(Scorer):
    """A scorer whose number is about the images of one prompt."""

    unit: ClassVar[Unit] = "prompt"

    @abstractmethod
    def value(self, shown: Shown) -> Value:
        """The value of the images of one prompt."""

    @final
    def rows(self, shown: Shown) -> list[ScoreRow]:
        """One row a prompt, in the order of the set."""
        rows = []
        for prompt in shown.asked:
            mine = shown.of([prompt])
            try:
                value: Value | Exception = mine.whole(f"values:{self.identity}", self._number)
            except Exception as error:  # noqa: BLE001
                value = error
            if mine.faults and not isinstance(value, Exception):
                # Of fewer images it is another quantity, and what is left out would leave no trace.
                value = Missing(_gaps(mine))
            rows.append(self.row(shown, value, prompt.id))
        return rows

    def _number(self, shown: Shown) -> Value:
        return number(attempt(lambda: self.value(shown)))


@runtime_checkable
class OfPairs(Protocol):
    """A prompt scorer whose number is the mean over pairs of images, and that can say each pair's.

    So that the number is known as well where images weigh unlike: see :mod:`benchmark.stats.weighted`.
    """

    def pair_distances(self, shown: Shown) -> "np.ndarray":
        """How far any two images of one prompt are apart.

        Args:
            shown: The images of one prompt, at least two of one size.

        Returns:
            Shape (n, n), symmetric, not negative, ``NaN`` for a pair that is not counted; its mean off the
            diagonal is the scorer's value.
        """


class SetScorer(Scorer):
    """A scorer whose number is about all images, with one more row for each group of prompts left out."""

    unit: ClassVar[Unit] = "set"

    @abstractmethod
    def value(self, shown: Shown) -> Value:
        """The value of a set of images."""

    def concerns(self, prompt: Prompt) -> bool:  # noqa: ARG002
        """Whether images of this prompt belong to the set."""
        return True

    def look(self, shown: Shown) -> None:
        """Computes features of a part of the set, by `Shown.each`, while its pixels are at hand."""

    def remark(self, shown: Shown) -> str:  # noqa: ARG002
        """A note on the number of a set, such as its bias; empty where there is nothing to say."""
        return ""

    @final
    def rows(self, shown: Shown) -> list[ScoreRow]:
        """The whole set's row, then those of the delete-a-group jackknife."""
        from benchmark.stats.jackknife import leave_out_id, prompt_groups

        prompts = [p for p in shown.asked if self.concerns(p)]
        seen = shown.of(prompts)
        try:
            rows = [self.row(shown, self._number(seen))]
            if rows[0].status == "ok":
                said_of = [attempt(lambda: self.remark(seen)), _gaps(seen) if seen.faults else ""]
                rows = [replace(rows[0], note="; ".join(part for part in said_of if part))]
            groups = prompt_groups([p.id for p in prompts]) if rows[0].status == "ok" else ()
            for g, group in enumerate(groups):
                kept = seen.of([p for p in prompts if p.id not in group])
                rows.append(self.row(shown, self._number(kept), leave_out_id(g)))
        except Exception as error:  # noqa: BLE001
            return [self.row(shown, error)]
        return rows

    def _number(self, shown: Shown) -> Value:
        return number(attempt(lambda: self.value(shown)))


def _gaps(shown: Shown) -> str:
    """Which images are missing from a number about several, in words."""
    gone = len(shown.faults)
    return f"{NO_IMAGE} for {gone} of {gone + len(shown)}: {shown.faults[0].note}"


scorers: Registry[Scorer] = Registry(
    "scorer", group="fbench.scorers", modules=("benchmark.scorers.*",), states=Scorer
)

__all__ = [
    "ImageScorer", "Missing", "OfPairs", "PromptScorer", "Scorer", "SetScorer", "Shown", "Value", "attempt",
    "expected", "said", "scorers",
]  # fmt: skip
