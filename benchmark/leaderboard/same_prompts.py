"""Prompt sets are the same when their prompts are, whatever the sets and the prompts are called."""

from collections import Counter
from collections.abc import Mapping


def ids_in(first: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str] | None:
    """What the first set calls the prompts of the other; None if the two hold different prompts.

    Args:
        first: :attr:`benchmark.core.records.Prompt.content` by id.
        other: The same of the other set.
    """
    if Counter(first.values()) != Counter(other.values()):
        return None
    theirs, ours = _by_content(other), _by_content(first)
    # Prompts of one content are interchangeable: those of one id stay together, the others go by their order.
    return {id_: name for content in theirs for id_, name in _paired(theirs[content], ours[content])}


def difference(first: Mapping[str, str], other: Mapping[str, str]) -> str:
    """In which prompts two sets differ, in words.

    Args:
        first: As of :func:`ids_in`.
        other: The same of the other set.

    Example:
        >>> difference({"a": "1", "b": "2"}, {"a": "1", "c": "3"})
        '1 of the 2 prompts of one, such as b, and 1 of the 2 of the other, such as c, are not in both'
    """
    said = []
    for mine, theirs in ((first, other), (other, first)):
        missing = Counter(mine.values()) - Counter(theirs.values())
        if missing:
            example = next(id_ for id_, content in mine.items() if content in missing)
            said.append((missing.total(), len(mine), example))
    if len(said) == 2:
        (n, of, one), (m, of_other, two) = said
        return (
            f"{n} of the {of} prompts of one, such as {one}, and {m} of the {of_other} of the other, such as "
            f"{two}, are not in both"
        )
    n, of, one = said[0]
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
