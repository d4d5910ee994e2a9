"""Which published weights scorers need, read off their own classes, and whether those are here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmark.core.calls import call_of, parse_call
from benchmark.core.console import doing, readable_size
from benchmark.core.errors import MissingWeightsError, pasted
from benchmark.scorers.base import Scorer, expected, scorers
from benchmark.weights.catalogue import Release, release
from benchmark.weights.locate import PUBLISHED, find, published_folder


@dataclass(frozen=True)
class Need:
    """A way of calling a scorer, and the releases that this way needs.

    Attributes:
        scorer: Its name.
        call: As ``--scorers`` takes it, without ``weights=``.
        releases: Names in the catalogue.
    """

    scorer: str
    call: str
    releases: tuple[str, ...]


def needs() -> Iterator[Need]:
    """The needs of all scorers of this package and of those already imported, in their order."""
    for entry in scorers:
        # Another package's scorer is not imported only to be asked; the catalogue is of our own.
        published = {} if entry.lazy else getattr(entry.load(), "published", {})
        for options, names in published.items():
            yield Need(entry.name, f"{entry.name}({options})" if options else entry.name, names)


def releases_of(scorer: Scorer) -> tuple[Release, ...]:
    """The releases that a scorer opens as it was called; none with weights that are not published ones."""
    if getattr(scorer, "weights", PUBLISHED) != PUBLISHED or not scorer.published:
        return ()
    call = call_of(scorer)
    given = call.keywords if call is not None else {}
    chosen = [
        names
        for options, names in scorer.published.items()
        if parse_call(f"{scorer.name}({options})", "scorer").keywords.items() <= given.items()
    ]
    # What is said of certain options stands behind what is said of none.
    return tuple(release(name) for name in chosen[-1]) if chosen else ()


def users_of(name: str) -> tuple[str, ...]:
    """How the scorers that need a release, by its name, are called."""
    return tuple(need.call for need in needs() if name in need.releases)


def require_weights(scorers: Iterable[Scorer]) -> None:
    """Finds the weights of scorers, and hashes them.

    Raises:
        MissingWeightsError: if some are not here; names all of them, with the sizes of published ones.
        UserError: if the hash of others cannot be told.
    """
    lacking: dict[Scorer, MissingWeightsError] = {}
    for scorer in scorers:
        try:
            with doing(f"hashing the weights of {scorer.name}"):
                expected(
                    f"scorer {scorer.name} does not tell its weights",
                    partial(getattr, scorer, "weights_hash"),
                )
        except MissingWeightsError as missing:
            lacking[scorer] = missing
    users: dict[Release, list[str]] = {}
    for scorer in lacking:
        for needed in releases_of(scorer):
            if find(needed) is None:
                users.setdefault(needed, []).append(scorer.name)
    if len(users) > 1:
        raise MissingWeightsError(
            f"{len(lacking)} scorers have no weights at {published_folder()} or in the caches of "
            "huggingface_hub and torch, and none are fetched unasked: "
            + ", ".join(map(_listed, users, users.values())),
            do=f"{pasted('fbench', 'weights', 'fetch', *(needed.name for needed in users))} gets them",
        )
    for error in lacking.values():
        raise error


def _listed(release: Release, users: Iterable[str]) -> str:
    size = readable_size(release.size) if release.size else "size not known"
    return f"{release.name} ({size}) of {' and '.join(users)}"
