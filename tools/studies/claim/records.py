"""What the study finds, as records."""

from dataclasses import dataclass
from typing import Literal

from benchmark.stats.sweeps import Components

Word = Literal["supported", "refuted", "undecided"]


@dataclass(frozen=True)
class Answer:
    """One method against another where both have reached the same level of something.

    Attributes:
        question: Which comparison, a key of :data:`tools.studies.claim.questions.QUESTIONS`.
        name: The method.
        against: The other one.
        share: Where in the range that all compared methods have reached.
        level: What is equal there; None without overlap.
        difference: Of the outcome; None without overlap, as the ends of its interval.
        lo: Lower end.
        hi: Upper end.
        components: Variances of one seed, one prompt and the rest.
        note: Why there is no number, or what it does not allow to say.
    """

    question: str
    name: str
    against: str
    share: float
    level: float | None
    difference: float | None
    lo: float | None
    hi: float | None
    components: Components | None
    note: str

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes zero, else 0."""
        if self.lo is None or self.hi is None:
            return 0
        return 1 if self.lo > 0 else -1 if self.hi < 0 else 0


@dataclass(frozen=True)
class Gain:
    """What a method gained or lost on one scorer since the base, over training seeds and prompts.

    Attributes:
        method: Objective and divergence.
        beta: Slope-matched; None where the objective has none.
        scorer: Name.
        base: The base model's mean.
        difference: Of the means.
        lo: Lower end of its 95 % interval.
        hi: Upper end.
    """

    method: str
    beta: float | None
    scorer: str
    base: float
    difference: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Explained:
    """How much of a divergence's difference at equal beta is that of reverse KL at another beta.

    Attributes:
        divergence: Its name.
        betas: Where both sweeps have been.
        at_equal_beta: Mean difference in diversity from reverse KL at the same slope-matched beta.
        at_equal_taste: The same where reverse KL has the same taste.
        share: Of the first that is not left in the second; None where the first is not known from zero.
        lo: Lower end of its 95 % interval.
        hi: Upper end.
        effective: Of each beta, that of reverse KL which has the same taste; None where none has.
    """

    divergence: str
    betas: tuple[float, ...]
    at_equal_beta: float
    at_equal_taste: float
    share: float | None
    lo: float | None
    hi: float | None
    effective: tuple[float | None, ...]


@dataclass(frozen=True)
class Needed:
    """The smallest difference at equal taste that a study of some size finds with 80 % probability.

    Attributes:
        seeds: Training seeds.
        prompts: Prompts.
        detectable: In `true_diversity`, at half of the common range.
    """

    seeds: int
    prompts: int
    detectable: float


@dataclass(frozen=True)
class Verdict:
    """What is said of a hypothesis.

    Attributes:
        hypothesis: In words.
        word: Supported, refuted or undecided.
        why: The numbers.
    """

    hypothesis: str
    word: Word
    why: str


@dataclass(frozen=True)
class Findings:
    """All of it, as written to the JSON file.

    Attributes:
        command: As typed.
        suite: Prompts and images.
        signature: What makes numbers comparable.
        device: Where all members were made.
        seeds: Training seeds that all methods have.
        betas: By divergence.
        diverged: Ids of runs that training marked, which are in all numbers.
        verdicts: One a hypothesis.
        answers: All comparisons.
        gains: All methods and betas.
        explained: By divergence.
        needed: Sizes of studies.
    """

    command: str
    suite: str
    signature: str
    device: str
    seeds: tuple[int, ...]
    betas: dict[str, tuple[float, ...]]
    diverged: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    answers: tuple[Answer, ...]
    gains: tuple[Gain, ...]
    explained: tuple[Explained, ...]
    needed: tuple[Needed, ...]
