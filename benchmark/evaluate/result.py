"""What an evaluation leaves behind, for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.core.errors import MissingRowsError
from benchmark.core.records import ImageSet, Leaderboard, PromptSet


@dataclass(frozen=True)
class EvalResult:
    """A finished evaluation.

    Attributes:
        folder: Where it is.
        leaderboard: None for a shard, which only makes images.
        image_sets: What was scored, in the order of the checkpoints.
        n_rows: Numbers that were asked for.
        n_missing: Those that a failed image or scorer left without a value.
        n_undefined: Those that complete images do not have, such as ``n < 5d``.
        seconds: Wall time by part: ``start``, ``generate``, ``score``, ``rank``.
    """

    folder: Path
    leaderboard: Leaderboard | None
    image_sets: tuple[ImageSet, ...]
    n_rows: int = 0
    n_missing: int = 0
    n_undefined: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def raise_if_missing(self) -> None:
        """Ends a command with the exit code for rows that are missing.

        Raises:
            MissingRowsError: if there are any.
        """
        if self.n_missing:
            raise MissingRowsError(self.n_missing, self.n_rows, self.folder / "scores.parquet")


def suite_of(prompt_set: PromptSet, images_per_prompt: int, *, ragged: bool = False) -> str:
    """The prompt set and its size, in words; in a ragged one some prompts have fewer images."""
    size = f"{len(prompt_set)} prompts x {'up to ' if ragged else ''}{images_per_prompt} images"
    return f"{prompt_set.name}@{prompt_set.version}: {size}"
