"""Which noise an image starts from, and which images a process makes."""

import re
from dataclasses import dataclass

from benchmark.core import hashing
from benchmark.core.errors import UserError
from benchmark.core.records import Sampler


def image_seed(sampler: Sampler, text: str, k: int) -> int:
    """The seed of one image's generator, a function of the evaluation's seed, the prompt and k only.

    The first 8 bytes of sha256(evaluation seed, prompt text, k): different between prompts and between the
    K images of a prompt, equal across checkpoints. With `noise="shared"` it is evaluation seed + k, the same
    for all prompts, as older public protocols have it.

    Args:
        sampler: Its `seed` and `noise`.
        text: What the model reads.
        k: Index among the prompt's images.

    Returns:
        At least 0 and below 2^64.

    Example:
        >>> a, b = image_seed(Sampler(seed=0), "a star", 0), image_seed(Sampler(seed=0), "a star", 1)
        >>> a == b, image_seed(Sampler(seed=7, noise="shared"), "a star", 1)
        (False, 8)
    """
    if sampler.noise == "shared":
        return sampler.seed + k
    return int(hashing.sha256_json([sampler.seed, text, k])[:16], 16)


@dataclass(frozen=True)
class Shard:
    """The part of the prompts that one of several processes takes.

    Attributes:
        index: 1..count.
        count: How many processes there are.
        run: Prompts that stay together; these runs are dealt out in turn.
    """

    index: int = 1
    count: int = 1
    run: int = 1

    def __post_init__(self) -> None:
        """Refuses a part that does not exist."""
        if not 1 <= self.index <= self.count:
            raise ValueError(f"there is no shard {self.index} of {self.count}")

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Reads `i/n`.

        Raises:
            UserError: if it is something else.

        Example:
            >>> Shard.parse("2/4")
            Shard(index=2, count=4, run=1)
        """
        match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"--shard is {text!r}", allowed="i/n with 1 <= i <= n, such as 2/4")
        return cls(int(match[1]), int(match[2]))

    def __contains__(self, number: int) -> bool:
        """Whether the prompt at this position, from 0, is its own."""
        return number // self.run % self.count == self.index - 1

    @property
    def suffix(self) -> str:
        """What tells its files from the other processes'; empty for the only one."""
        return "" if self.count == 1 else f"-{self.index}-of-{self.count}"
