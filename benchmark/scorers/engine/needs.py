"""Which scorers need which published weights: read off the scorers' own classes."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmark.core.calls import call_of, parse_call
from benchmark.scorers.base import Scorer, scorers
from benchmark.weights.catalogue import Release, release
from benchmark.weights.locate import PUBLISHED


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
