"""Where a scorer's weights are, and their hash. No torch: `fbench doctor` and the caches ask this too."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, NoReturn

from benchmark.core import resources
from benchmark.core.console import readable_size
from benchmark.core.errors import MissingFileError, MissingWeightsError
from benchmark.core.hashing import sha256_bytes
from benchmark.core.image_files import find_images
from benchmark.core.known_hashes import known_sha256, known_sha256_files
from benchmark.weights.catalogue import RELEASES, Release, release_at

EMBEDDED: Final = "embedded"
PUBLISHED: Final = "published"
VARIABLE: Final = "FBENCH_WEIGHTS"


def published_folder() -> Path:
    """The folder of published weights: ``$FBENCH_WEIGHTS``, or one in the user's cache."""
    said = os.environ.get(VARIABLE)
    return Path(said).expanduser() if said else Path.home() / ".cache" / "fbench" / "weights"


def place(scorer: str, weights: str, embedded: str, published: str = "") -> Path:
    """The folder or file that ``weights=`` means.

    Args:
        scorer: Whose, for messages.
        weights: ``embedded``, ``published``, or a path.
        embedded: Name of the embedded model.
        published: Of the published weights: the name of a release, or a place below the folder of weights;
            empty: there are none.

    Raises:
        MissingWeightsError: if nothing is there.
    """
    if weights == EMBEDDED:
        return resources.shapes_weights(embedded)
    if weights == PUBLISHED and not published:
        raise MissingWeightsError(
            f"scorer {scorer} has no published weights", allowed=f"{EMBEDDED} or a folder", do="leave it out"
        )
    release = release_at(published) if weights == PUBLISHED else None
    if release is not None:
        return find(release) or _missing(scorer, release)
    path = published_folder() / published if weights == PUBLISHED else Path(weights).expanduser()
    if not path.exists():
        raise MissingWeightsError(
            f"scorer {scorer}: no {path.name} at {path.parent}",
            do=f"`fbench doctor` says what there is; {VARIABLE} names another folder",
        )
    return path


def place_of_published(scorer: str, weights: str, embedded: str, published: str) -> Path:
    """As `place`, for a scorer whose weights the embedded world comes without.

    Args:
        scorer: Whose, for messages.
        weights: As of `place`.
        embedded: Where they would be; tests put random ones there.
        published: As of `place`.

    Raises:
        MissingWeightsError: if nothing is there.
    """
    try:
        return place(scorer, weights, embedded, published)
    except MissingFileError as error:
        raise MissingWeightsError(
            f"scorer {scorer}: the embedded world has no such weights",
            allowed=f"{PUBLISHED} or a path of your own",
            do="leave it out",
        ) from error


def find(release: Release) -> Path | None:
    """The file or folder of a release that a scorer opens, where every needed file is; None: nowhere."""
    for folder in folders(release):
        if all((folder / file.name).is_file() for file in release.needed):
            return folder / release.needed[0].name if len(release.needed) == 1 else folder
    return None


def folders(release: Release) -> Iterator[Path]:
    """Where a release is looked for: the folder of weights, then the caches of the libraries.

    These are the hub's cache, asked without a network, and torch hub's checkpoints for what has a URL.
    """
    yield published_folder() / release.folder
    for repo in release.repos:
        folder = _hub_folder(repo, release)
        if folder is not None:
            yield folder
    if release.url:
        yield torch_checkpoints()


def torch_checkpoints() -> Path:
    """Where torch.hub keeps what it downloads, found without importing it."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", f"{cache}/torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def missing_files(release: Release) -> list[str]:
    """The needed files that the folder of weights lacks."""
    folder = published_folder() / release.folder
    return [file.name for file in release.needed if not (folder / file.name).is_file()]


def short_hash(*paths: Path, references: Iterable[Path] = ()) -> str:
    """The first 8 hex digits of the hash of some files and folders; read again only when one has changed.

    Of a folder of published weights only the needed files count: what else was downloaded with them, such
    as a model card or the same weights in another format, changes no score.

    Args:
        *paths: Files and folders of weights.
        references: Files, and folders of which only the images count.
    """
    wanted: list[tuple[Path, Sequence[Path] | None]] = [
        (path, _counted(path) or _all(path) if path.is_dir() else None) for path in paths
    ]
    wanted += [(path, find_images(path).images if path.is_dir() else None) for path in references]
    digests = [
        known_sha256(path) if files is None else known_sha256_files(path, files) for path, files in wanted
    ]
    return sha256_bytes("".join(digests).encode())[:8]


class OpensWeights(ABC):
    """Mixin of a scorer that opens weights: its `weights_hash` follows from where they are."""

    @abstractmethod
    def weight_paths(self) -> tuple[Path, ...]:
        """The files and folders that `load` opens.

        Raises:
            UserError: if they are not there.
        """

    @property
    def place(self) -> Path:
        """The first of them."""
        return self.weight_paths()[0]

    def reference_paths(self) -> Iterable[Path]:
        """Files and folders of images that it compares with.

        Raises:
            UserError: if they are not there.
        """
        return ()

    def full_hash(self, known: str) -> str:
        """The hash, from that of weights and references, with whatever else decides the numbers."""
        return known

    @cached_property
    def weights_hash(self) -> str:
        """Short hash of the weights and references behind the numbers.

        Raises:
            UserError: if they are not there.
        """
        return self.full_hash(short_hash(*self.weight_paths(), references=self.reference_paths()))


def _missing(scorer: str, release: Release) -> NoReturn:
    lacking = ", ".join(missing_files(release))
    size = f" ({readable_size(release.size)})" if release.size else ""
    raise MissingWeightsError(
        f"scorer {scorer}: no {lacking}{size} at {published_folder() / release.folder}, and not in the "
        "caches of huggingface_hub and torch",
        do=f"`fbench weights fetch {release.name}` gets it; {VARIABLE} names another folder",
    )


def _hub_folder(repo: str, release: Release) -> Path | None:
    """The snapshot of a repository in the hub's cache, if it has a needed file."""
    from huggingface_hub import try_to_load_from_cache

    for file in release.needed:
        found = try_to_load_from_cache(repo, file.name)
        if isinstance(found, str):
            return Path(found).parent
    return None


def _counted(path: Path) -> list[Path] | None:
    """The files of a published release's folder that make its hash; None for any other folder."""
    for release in RELEASES:
        if len(release.needed) == 1:
            continue  # a scorer opens the file itself
        ours = path == published_folder() / release.folder
        hub = any(f"models--{repo.replace('/', '--')}" in path.parts for repo in release.repos)
        files = [path / file.name for file in release.needed]
        if (ours or hub) and all(file.is_file() for file in files):
            return files
    return None


def _all(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())
