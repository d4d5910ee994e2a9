"""What a recipe is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNKNOWN = "unknown"
"""What stands where nobody has published a number."""
RPO_IS_OURS = "tau 0.5, weights inside the sigmoid, rows that sum to N and text+image by CLIP are ours"
"""Of every recipe of RPO: the paper leaves these open."""


@dataclass(frozen=True)
class Expected:
    """The numbers a recipe should give.

    Attributes:
        values: By name, such as `held_out_loss`.
        source: Where they were measured.
    """

    values: Mapping[str, float]
    source: str

    def __str__(self) -> str:
        """On one line."""
        numbers = ", ".join(f"{name} {value:g}" for name, value in self.values.items())
        return f"{numbers} ({self.source})"


@dataclass(frozen=True)
class Preset:
    """A recipe.

    Attributes:
        name: As in `--preset`.
        summary: One line for `fbench list presets`.
        values: The settings of `TrainConfig` that it states; beta and scale always, where the objective has
            them.
        source: The paper, code or trial that the settings are from.
        expected: What it should give; None where nobody has published it.
        note: What is ours and not the source's; empty for nothing.
    """

    name: str
    summary: str
    values: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    expected: Expected | None = None
    note: str = ""

    @property
    def gives(self) -> str:
        """What it should give, in words."""
        return UNKNOWN if self.expected is None else str(self.expected)
