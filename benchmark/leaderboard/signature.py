"""The signature: one line from which a reader can tell whether two numbers are comparable."""

from collections.abc import Collection, Iterable
from itertools import zip_longest

from benchmark.core.records import PromptSet, Sampler, ScorerColumn

PROTOCOL = "fbench:1.0"
"""Raised whenever the same images and scores would give another leaderboard."""


def signature_line(
    prompt_set: PromptSet, images_per_prompt: int, sampler: Sampler, columns: Iterable[ScorerColumn]
) -> str:
    """What must be equal for two numbers to stand in one table.

    Args:
        prompt_set: The prompts that were asked.
        images_per_prompt: K.
        sampler: How the images were made.
        columns: The scorers; their order does not matter.

    Returns:
        Parts ``name:value``, joined by ``|``: protocol, prompt set with its size, sampling, then
        the scorers by name.
    """
    prompts = f"set:{prompt_set.name}@{prompt_set.version}:{len(prompt_set)}x{images_per_prompt}"
    scorers = sorted(f"{column.name}:{column.version}" for column in columns)
    return "|".join([PROTOCOL, prompts, sampler.signature, *scorers])


def signature_about(signature: str, columns: Iterable[ScorerColumn], names: Collection[str]) -> str:
    """The signature without the versions of other scorers than those of a figure.

    Args:
        signature: Of a table.
        columns: All its scorers.
        names: Those that are shown.
    """
    others = {column.name for column in columns} - set(names)
    return "|".join(part for part in signature.split("|") if part.partition(":")[0] not in others)


def first_difference(one: str, other: str) -> str | None:
    """Names the first part in which two signatures differ, in words; None if they are equal.

    Example:
        >>> first_difference("fbench:1.0|cfg:3.0", "fbench:1.0|cfg:5.0")
        'cfg is 3.0 in one and 5.0 in the other'
        >>> first_difference("fbench:1.0", "fbench:1.0|hps:v2.1")
        'hps is absent in one and v2.1 in the other'
    """
    if one == other:
        return None
    left, right = _parts(one), _parts(other)
    for name in dict.fromkeys([*left, *right]):
        a, b = left.get(name, "absent"), right.get(name, "absent")
        if a != b:
            return f"{name} is {a} in one and {b} in the other"
    ordered = zip_longest(left, right, fillvalue="nothing")
    a, b = next((pair for pair in ordered if pair[0] != pair[1]), (one, other))
    return f"their parts are in another order: {a} in one where {b} is in the other"


def _parts(signature: str) -> dict[str, str]:
    split = (part.partition(":") for part in signature.split("|"))
    return {name: value for name, _, value in split}
