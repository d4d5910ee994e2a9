"""What the study finds, as records."""

from dataclasses import dataclass
from typing import Literal

Reading = Literal["style at equal content", "content at equal style"]
Word = Literal["supported", "refuted", "undecided", "no overlap"]


@dataclass(frozen=True)
class Point:
    """A checkpoint of a method, over its training seeds.

    Attributes:
        style: Towards which.
        method: As people call it; empty for the base model.
        step: Of training.
        content: Mean of `oracle`.
        read: Share of pictures in which the style is read.
        by_seed: Content and share of each training seed.
    """

    style: str
    method: str
    step: int
    content: float
    read: float
    by_seed: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Claim:
    """RPO less another method, where both have lost equally much content, or show the style equally often.

    Attributes:
        style: Towards which, or `ALL`.
        against: The other method.
        reading: What is compared at which equal level.
        share: Where in the range that both have reached.
        level: The content lost there, or the share of pictures; None without overlap.
        difference: Of the share of pictures, or of the content.
        lo: Lower end of its 95 % interval over training seeds and prompts.
        hi: Upper end.
        word: Supported where the interval is above 0, refuted where it is below, undecided where it holds 0.
    """

    style: str
    against: str
    reading: Reading
    share: float
    level: float | None
    difference: float | None
    lo: float | None
    hi: float | None
    word: Word


@dataclass(frozen=True)
class Change:
    """A scorer's paired difference of a method's last checkpoints to the base model.

    Attributes:
        style: Towards which.
        method: As people call it.
        step: Of training.
        scorer: Its name.
        base: The base model's mean.
        mean: The method's.
        difference: Paired by prompt and image; None where it cannot be had, as the ends of its 95 % interval
            over training seeds and prompts.
        lo: Lower end.
        hi: Upper end.
    """

    style: str
    method: str
    step: int
    scorer: str
    base: float | None
    mean: float | None
    difference: float | None
    lo: float | None
    hi: float | None


@dataclass(frozen=True)
class Findings:
    """All of it, as written to the JSON file.

    Attributes:
        command: As typed.
        suites: By style, the prompts and images.
        signatures: By style.
        seeds: Training seeds.
        points: The curves.
        claims: RPO against the others.
        changes: What the last checkpoints gained and lost.
    """

    command: str
    suites: dict[str, str]
    signatures: dict[str, str]
    seeds: tuple[int, ...]
    points: tuple[Point, ...]
    claims: tuple[Claim, ...]
    changes: tuple[Change, ...]
