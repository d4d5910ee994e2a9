"""Preference data of the hub: its parquet shards, one by one, through the hub's own cache.

Not through the `datasets` package: its streaming gives images that cannot be read again in another order or
by another run, and its download fetches and converts all of a data set (Pick-a-Pic v1: 193 GB). A shard in
the hub's cache is a local parquet file like any other: references stay valid, other tools share it, a
broken-off download goes on, and a run that is limited to some pairs fetches only their shards.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmark.core import store
from benchmark.core.environment import cache_folder
from benchmark.core.errors import UnreadableFileError, UserError


@dataclass(frozen=True)
class HubName:
    """A data set of the hub.

    Attributes:
        repository: `owner/name`.
        revision: A branch, tag or commit; None for the newest.
        split: One split of it; empty for `train`, with what the data itself holds out.
    """

    repository: str
    revision: str | None = None
    split: str = ""

    @classmethod
    def parse(cls, text: str) -> "HubName":
        """Reads `owner/name[@revision][:split]`.

        Example:
            >>> HubName.parse("owner/name@v1:validation")
            HubName(repository='owner/name', revision='v1', split='validation')
        """
        rest, _, split = text.partition(":")
        repository, _, revision = rest.partition("@")
        return cls(repository, revision or None, split)

    def __str__(self) -> str:
        """As typed."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.repository}{revision}" + (f":{self.split}" if self.split else "")


@dataclass(frozen=True)
class Listing:
    """What a data set holds.

    Attributes:
        revision: The commit.
        files: Their paths in the repository.
    """

    revision: str
    files: tuple[str, ...]


class Hub(Protocol):
    """Where data sets come from."""

    def listing(self, name: HubName) -> Listing:
        """The files of a data set."""

    def fetch(self, name: HubName, revision: str, file: str) -> Path:
        """One of them, on this machine."""


class HubClient:
    """The real hub, or what is left of it in the cache.

    Args:
        offline: Only look into the cache.
    """

    def __init__(self, *, offline: bool = False) -> None:
        self._offline = offline

    def listing(self, name: HubName) -> Listing:
        """The files of a data set; kept, because the hub's own cache does not tell which are missing.

        Raises:
            UserError: if there is no such data set, or nothing is known of it and the network is forbidden.
        """
        kept = self._record_of(name)
        if self._offline:
            return _read_listing(kept) if kept.is_file() else self._downloaded(name)
        from huggingface_hub import HfApi

        try:
            found = HfApi().dataset_info(name.repository, revision=name.revision)
        # No such repository, no network, no access: the remedy is the same.
        except Exception as error:
            if kept.is_file():
                return _read_listing(kept)
            raise UserError(
                f"no preference data {name}: neither here nor, as far as can be seen, on the hub"
                f" ({type(error).__name__})",
                do="check the name and the network, or give a local file or folder",
            ) from error
        listing = Listing(str(found.sha), tuple(file.rfilename for file in found.siblings or ()))
        store.write_json(kept, {"revision": listing.revision, "files": listing.files})
        return listing

    def fetch(self, name: HubName, revision: str, file: str) -> Path:
        """A file of the hub's cache, downloaded if it is not there.

        Raises:
            UserError: if it is not there and cannot be fetched.
        """
        from huggingface_hub import hf_hub_download

        try:
            found = hf_hub_download(
                name.repository, file, repo_type="dataset", revision=revision, local_files_only=self._offline
            )
        except Exception as error:
            raise self._absent(
                f"{file} of {name} is", "" if self._offline else type(error).__name__, name
            ) from error
        return Path(found)

    def _downloaded(self, name: HubName) -> Listing:
        """What the user has downloaded by other means."""
        from huggingface_hub import snapshot_download

        try:
            folder = Path(
                snapshot_download(
                    name.repository, repo_type="dataset", revision=name.revision, local_files_only=True
                )
            )
        except Exception as error:
            raise self._absent(f"{name} is", "", name) from error
        files = sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*.parquet"))
        return Listing(folder.name, tuple(files))

    def _absent(self, what: str, why: str, name: HubName) -> UserError:
        from huggingface_hub.constants import HF_HUB_CACHE

        so = ", and --offline forbids to fetch it" if self._offline else f" ({why})"
        return UserError(
            f"{what} not in {HF_HUB_CACHE}{so}",
            do=f"run once without --offline, or `hf download {name.repository} --repo-type dataset`",
        )

    def _record_of(self, name: HubName) -> Path:
        text = f"{name.repository}@{name.revision or 'newest'}"
        return cache_folder() / "hub" / f"{re.sub(r'[^A-Za-z0-9_.@-]+', '--', text)}.json"


def _read_listing(path: Path) -> Listing:
    try:
        found = store.read_json(path, "a kept listing of the hub")
        return Listing(str(found["revision"]), tuple(map(str, found["files"])))
    except (KeyError, TypeError) as error:
        raise UnreadableFileError(path, "a kept listing of the hub", error, do="delete it") from error
