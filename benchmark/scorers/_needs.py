"""Which scorers need which published weights: read off the scorers' own classes."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmark.scorers.base import scorers


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


def users_of(release: str) -> tuple[str, ...]:
    """How the scorers that need a release are called."""
    return tuple(need.call for need in needs() if release in need.releases)
