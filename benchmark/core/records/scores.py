"""What a scorer says about an image, a prompt or a set."""

import math
from dataclasses import dataclass
from typing import Final, Literal

Status = Literal["ok", "missing", "error"]
Unit = Literal["image", "prompt", "set"]
Axis = Literal["alignment", "preference", "style", "diversity", "fidelity", "distance", "texture"]

LARGEST: Final = 1e60
"""What statistics can carry: fourth powers of it, summed over any data, are far from the end of float64."""

UNDEFINED: Final = "undefined"
"""How the note of a row begins whose number does not exist although nothing failed."""


@dataclass(frozen=True)
class ScoreRow:
    """One number, or the reason why there is none: never NaN, never 0 for a failure.

    Attributes:
        checkpoint: Id of the checkpoint.
        scorer: Name of the scorer.
        scorer_version: Version with the weights' hash; rows of two versions are never averaged.
        prompt_id: The prompt; None for a number about the whole set.
        seed: k, the index among the prompt's images; None for a number about a prompt or the set.
        value: The number; None unless the status is ``ok``.
        status: ``ok``, ``missing`` (there was nothing to score) or ``error`` (scoring failed).
        note: Why there is no number, or what one must know about it.

    Raises:
        ValueError: if value and status contradict each other.
    """

    checkpoint: str
    scorer: str
    scorer_version: str
    prompt_id: str | None
    seed: int | None
    value: float | None
    status: Status = "ok"
    note: str = ""

    def __post_init__(self) -> None:
        """Refuses rows that would turn a failure into a number, or hide one."""
        where = f"{self.scorer} of {self.checkpoint} at {self.prompt_id}/{self.seed}"
        if self.status not in ("ok", "missing", "error"):
            raise ValueError(f"{where}: unknown status {self.status!r}")
        if self.seed is not None and self.prompt_id is None:
            raise ValueError(f"{where}: a seed without a prompt")
        if self.status != "ok" and self.value is not None:
            raise ValueError(f"{where}: status {self.status} with the value {self.value}")
        if self.status == "ok" and (self.value is None or not math.isfinite(self.value)):
            raise ValueError(f"{where}: status ok with the value {self.value}")
        if self.status != "ok" and not self.note:
            raise ValueError(f"{where}: status {self.status} without a note that says why")
        if self.value is not None:
            # numpy's and torch's scalars are welcome and leave here as Python's.
            object.__setattr__(self, "value", float(self.value))

    @property
    def failed(self) -> bool:
        """Whether an image or a scorer failed; not so for a number that complete images do not have.

        Such as the diversity of a prompt with fewer than two right images.
        """
        return self.status != "ok" and not self.note.startswith(UNDEFINED)

    @property
    def unit(self) -> Unit:
        """What the number is about."""
        if self.seed is not None:
            return "image"
        return "set" if self.prompt_id is None else "prompt"

    @classmethod
    def measured(
        cls,
        checkpoint: str,
        scorer: str,
        scorer_version: str,
        value: float,
        prompt_id: str | None = None,
        seed: int | None = None,
    ) -> "ScoreRow":
        """A row for what a scorer computed; an error where it is not finite, or beyond `LARGEST`."""
        value = float(value)  # of numpy's narrow floats the bound would be infinite
        if abs(value) <= LARGEST:
            return cls(checkpoint, scorer, scorer_version, prompt_id, seed, value)
        beyond = f", beyond the {LARGEST:g} that statistics can carry" if math.isfinite(value) else ""
        note = f"the scorer returned {value:g}{beyond}"
        return cls(checkpoint, scorer, scorer_version, prompt_id, seed, None, "error", note)
