"""Whether scorers have their weights: asked before anything is loaded or made, of all of them at once."""

from collections.abc import Iterable

from benchmark.core.errors import MissingWeightsError
from benchmark.scorers._needs import releases_of
from benchmark.scorers._published import said_size
from benchmark.scorers._weights import find, published_folder
from benchmark.scorers.base import Scorer, expected


def require_weights(scorers: Iterable[Scorer]) -> None:
    """Finds the weights of scorers, and hashes them.

    Raises:
        MissingWeightsError: if published weights are not here; names all of them, with their sizes.
        UserError: if another scorer's weights are missing, or its hash cannot be told.
    """
    scorers = list(scorers)
    users: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for scorer in scorers:
        for release in releases_of(scorer):
            if find(release) is None:
                users.setdefault(release.name, []).append(scorer.name)
                sizes[release.name] = release.size
    if len(users) > 1:
        known = sum(sizes.values())
        more = " at least" if not all(sizes.values()) else ""
        listed = (f"{name} ({_size(sizes[name])}, of {', '.join(who)})" for name, who in users.items())
        raise MissingWeightsError(
            f"weights of scorers are not at {published_folder()}, nor in the caches of huggingface_hub and torch, "
            f"and are not fetched unasked: {'; '.join(listed)};{more} {said_size(known)} in all",
            do=f"`fbench weights fetch {' '.join(users)}` gets them",
        )
    for scorer in scorers:
        # Finding the weights to hash them is the check that they are there.
        expected(f"scorer {scorer.name} cannot say its weights' hash", lambda s=scorer: s.weights_hash)


def _size(count: int) -> str:
    return said_size(count) if count else "size not known"
