"""Whether two numbers are comparable: the signature, one line that says it, and the prompts themselves.

Prompt sets are the same when their prompts are, whatever the sets and the prompts are called.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import zip_longest

from benchmark.core.records import PromptSet, Sampler, ScorerColumn

PROTOCOL = "fbench:1.0"
"""Raised whenever the same images and scores would give another leaderboard."""


def signature_line(
    prompt_set: PromptSet, images_per_prompt: int, sampler: Sampler, columns: Iterable[ScorerColumn]
) -> str:
    """The line that must be equal for two numbers to stand in one table.

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


def prompt_ids_in(first: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str] | None:
    """The first set's ids of the other's prompts; None if the two hold different prompts.

    Args:
        first: :attr:`benchmark.core.records.Prompt.content` by id.
        other: The same of the other set.
    """
    if Counter(first.values()) != Counter(other.values()):
        return None
    theirs, ours = _by_content(other), _by_content(first)
    # Prompts of one content are interchangeable: those of one id stay together, the others go by their order.
    return {id_: name for content in theirs for id_, name in _paired(theirs[content], ours[content])}


def prompt_difference(first: Mapping[str, str], other: Mapping[str, str]) -> str:
    """In which prompts two sets differ, in words.

    Args:
        first: As of :func:`prompt_ids_in`.
        other: The same of the other set.

    Example:
        >>> prompt_difference({"a": "1", "b": "2"}, {"a": "1", "c": "3"})
        '1 of the 2 prompts of one, such as b, and 1 of the 2 of the other, such as c, are not in both'
    """
    unmatched = []
    for mine, theirs in ((first, other), (other, first)):
        missing = Counter(mine.values()) - Counter(theirs.values())
        if missing:
            example = next(id_ for id_, content in mine.items() if content in missing)
            unmatched.append((missing.total(), len(mine), example))
    if len(unmatched) == 2:
        (n, of, one), (m, of_other, two) = unmatched
        return (
            f"{n} of the {of} prompts of one, such as {one}, and {m} of the {of_other} of the other, such as "
            f"{two}, are not in both"
        )
    n, of, one = unmatched[0]
    return f"{n} of the {of} prompts of one, such as {one}, {'is' if n == 1 else 'are'} not in the other"


def _by_content(set_: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id_, content in set_.items():
        found.setdefault(content, []).append(id_)
    return found


def _paired(theirs: list[str], ours: list[str]) -> list[tuple[str, str]]:
    same = set(theirs) & set(ours)
    rest = (sorted(set(ids) - same) for ids in (theirs, ours))
    return [*((id_, id_) for id_ in same), *zip(*rest, strict=True)]
