"""What a scorer is, and the one door for new ones. No torch here: facts are listed without it.

@scorers.register()
class Brightness(ImageScorer):
    name, axis, unit = "brightness", "texture", "image"
    ...
    def values(self, shown): return [image.mean() / 255 for image in shown.images]
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, final

from benchmark.core.records import UNDEFINED, Axis, ImageSet, Prompt, ScorerColumn, ScoreRow, Unit
from benchmark.core.registry import Registry
from benchmark.scorers._shown import NO_IMAGE, Shown, shown


@dataclass(frozen=True)
class Missing:
    """The answer of a scorer that has nothing to score, with the reason."""

    note: str


Value = float | Missing


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
    def score(self, images: ImageSet) -> list[ScoreRow]:
        """One row for each image, prompt or set; a failure is a row with a status, no exception."""

    @final
    @property
    def scorer_version(self) -> str:
        """Version of the definition with the hash of the weights: rows of two versions are never mixed."""
        return f"{self.version}@{self.weights_hash}" if self.weights_hash else self.version

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
        )

    @final
    def row(
        self, images: ImageSet, value: Value | Exception, prompt_id: str | None = None, k: int | None = None
    ) -> ScoreRow:
        """A row: ok for a finite number, else missing or error with a note."""
        where = (images.checkpoint.id, self.name, self.scorer_version)
        if isinstance(value, Missing):
            note = value.note if NO_IMAGE in value.note else f"{UNDEFINED}: {value.note}"
            return ScoreRow(*where, prompt_id, k, None, "missing", note)
        if isinstance(value, Exception):
            return ScoreRow(*where, prompt_id, k, None, "error", said(value))
        return ScoreRow.measured(*where, float(value), prompt_id, k)


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
    def score(self, images: ImageSet) -> list[ScoreRow]:
        """One row an image, in the order of the set."""
        seen = shown(images).of([p for p in images.prompt_set if self.concerns(p)])
        rows = [
            ScoreRow(
                images.checkpoint.id,
                self.name,
                self.scorer_version,
                f.record.prompt_id,
                f.record.seed,
                None,
                f.status,
                f.note,
            )
            for f in seen.faults
        ]
        for record, value in zip(seen.records, self._careful(seen), strict=True):
            rows.append(self.row(images, value, record.prompt_id, record.seed))
        order = {(r.prompt_id, r.seed): i for i, r in enumerate(images)}
        return sorted(rows, key=lambda row: order[row.prompt_id or "", row.seed or 0])

    def _careful(self, seen: Shown) -> Sequence[Value | Exception]:
        """All at once; where that fails, one by one, so that one bad image does not take the others along."""
        if not seen.records:
            return []
        try:
            values = list(self.values(seen))
            if len(values) != len(seen.records):
                raise ValueError(f"{len(values)} values for {len(seen.records)} images")
        except Exception as error:  # noqa: BLE001  # whatever a scorer raises becomes rows
            if len(seen.records) == 1:
                return [error]
            return [value for i in range(len(seen.records)) for value in self._careful(seen.at([i]))]
        return values


class PromptScorer(Scorer):
    """A scorer whose number is about the images of one prompt."""

    unit: ClassVar[Unit] = "prompt"

    @abstractmethod
    def value(self, shown: Shown) -> Value:
        """The value of the images of one prompt."""

    @final
    def score(self, images: ImageSet) -> list[ScoreRow]:
        """One row a prompt, in the order of the set."""
        everything = shown(images)
        rows = []
        for prompt in images.prompt_set:
            mine = everything.of([prompt])
            try:
                value: Value | Exception = self.value(mine)
            except Exception as error:  # noqa: BLE001
                value = error
            if isinstance(value, Missing) and mine.faults:
                value = Missing(f"{value.note}; {mine.faults[0].note}")
            rows.append(self.row(images, value, prompt.id))
        return rows


class SetScorer(Scorer):
    """A scorer whose number is about all images, with one row more for each group of prompts left out."""

    unit: ClassVar[Unit] = "set"

    @abstractmethod
    def value(self, shown: Shown) -> Value:
        """The value of a set of images."""

    def concerns(self, prompt: Prompt) -> bool:  # noqa: ARG002
        """Whether images of this prompt belong to the set."""
        return True

    @final
    def score(self, images: ImageSet) -> list[ScoreRow]:
        """The whole set's row, then those of the delete-a-group jackknife."""
        from benchmark.stats.jackknife import leave_out_id, prompt_groups

        prompts = [p for p in images.prompt_set if self.concerns(p)]
        seen = shown(images).of(prompts)
        try:
            rows = [self.row(images, self.value(seen))]
            groups = prompt_groups([p.id for p in prompts]) if rows[0].status == "ok" else ()
            for g, group in enumerate(groups):
                kept = seen.of([p for p in prompts if p.id not in group])
                rows.append(self.row(images, self.value(kept), leave_out_id(g)))
        except Exception as error:  # noqa: BLE001
            return [self.row(images, error)]
        return rows


def said(error: Exception) -> str:
    """An exception as the note of a row, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


scorers: Registry[Scorer] = Registry("scorer", group="fbench.scorers", modules=("benchmark.scorers.*",))

__all__ = [
    "ImageScorer", "Missing", "PromptScorer", "Scorer", "SetScorer", "Shown", "Value", "said",
    "scorers",
]  # fmt: skip
