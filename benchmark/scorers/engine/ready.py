"""Whether scorers have their weights: asked before anything is loaded or made, of all of them at once."""

from collections.abc import Iterable
from functools import partial

from benchmark.core.console import readable_size
from benchmark.core.errors import MissingWeightsError
from benchmark.scorers.base import Scorer, expected
from benchmark.scorers.engine.needs import releases_of
from benchmark.weights.catalogue import Release
from benchmark.weights.locate import find, published_folder


def require_weights(scorers: Iterable[Scorer]) -> None:
    """Finds the weights of scorers, and hashes them.

    Raises:
        MissingWeightsError: if some are not here; names all of them, with the sizes of published ones.
        UserError: if the hash of others cannot be told.
    """
    lacking: dict[Scorer, MissingWeightsError] = {}
    for scorer in scorers:
        try:
            expected(
                f"scorer {scorer.name} does not tell its weights", partial(getattr, scorer, "weights_hash")
            )
        except MissingWeightsError as missing:
            lacking[scorer] = missing
    users: dict[Release, list[str]] = {}
    for scorer in lacking:
        for release in releases_of(scorer):
            if find(release) is None:
                users.setdefault(release, []).append(scorer.name)
    if len(users) > 1:
        raise MissingWeightsError(
            f"{len(lacking)} scorers have no weights at {published_folder()} or in the caches of "
            "huggingface_hub and torch, and none are fetched unasked: "
            + ", ".join(map(_listed, users, users.values())),
            do=f"`fbench weights fetch {' '.join(release.name for release in users)}` gets them",
        )
    for error in lacking.values():
        raise error


def _listed(release: Release, users: Iterable[str]) -> str:
    size = readable_size(release.size) if release.size else "size not known"
    return f"{release.name} ({size}) of {' and '.join(users)}"
