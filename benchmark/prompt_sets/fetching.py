"""Where published prompt sets are kept, and how one is fetched that is not there."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmark.core import store
from benchmark.core.environment import cache_folder
from benchmark.core.errors import UserError, pasted
from benchmark.core.hashing import sha256_bytes

VARIABLE: Final = "FBENCH_PROMPTS"
_SECONDS: Final = 60


@dataclass(frozen=True)
class Hub:
    """A data set of the hub.

    Attributes:
        repository: ``owner/name``.
        files: The files that are needed of it.
    """

    repository: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        """Where it is, in words."""
        return f"the hub's {self.repository}"


@dataclass(frozen=True)
class Link:
    """A file of the web, for what is on no hub.

    Attributes:
        url: Where it is.
        sha256: Of what is there.
    """

    url: str
    sha256: str

    def __str__(self) -> str:
        """Where it is, in words."""
        return self.url


def prompts_folder() -> Path:
    """The folder with a folder for each published set: ``$FBENCH_PROMPTS``, or one in the user's cache."""
    said = os.environ.get(VARIABLE)
    return Path(said).expanduser() if said else cache_folder() / "prompts"


def cached(home: Hub | Link) -> list[Path]:
    """The files in the hub's cache, asked without a network; empty if one is not there."""
    if isinstance(home, Link):
        return []
    try:
        return _of_hub(home, local=True)
    # The hub's library has an error of its own for each way of not having a file.
    except Exception:  # noqa: BLE001
        return []


def fetched(home: Hub | Link, title: str, folder: Path, *, offline: bool) -> list[Path]:
    """The files, fetched: of the hub into its cache, others into the folder.

    Args:
        home: Where they are.
        title: What they are, for messages.
        folder: Where the user may put a copy.
        offline: Forbid it.

    Raises:
        UserError: if it is forbidden, fails, or gives another file; says which command fetches it.
    """
    if isinstance(home, Link):
        name = home.url.rpartition("/")[2]
        command = pasted("curl", "-L", "--create-dirs", "-o", folder / name, home.url)
    else:
        name = ", ".join(Path(file).name for file in home.files)
        command = pasted("hf", "download", home.repository, *home.files, "--repo-type", "dataset")
    missing = f"{title}: no {name} in {folder}{' or the cache of the hub' if isinstance(home, Hub) else ''}"
    if offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise UserError(f"{missing}, and --offline forbids to fetch it", do=f"{command} fetches it")
    try:
        if isinstance(home, Hub):
            return _of_hub(home, local=False)
        return [_of_web(home, folder / name)]
    except UserError:
        raise
    # No network, no access, no such file: the remedy is the same.
    except Exception as error:
        raise UserError(
            f"{missing}, and it cannot be fetched ({type(error).__name__})",
            do=f"{command} fetches it, or put a copy there",
        ) from error


def _of_hub(home: Hub, *, local: bool) -> list[Path]:
    from huggingface_hub import hf_hub_download

    return [
        Path(hf_hub_download(home.repository, file, repo_type="dataset", local_files_only=local))
        for file in home.files
    ]


def _of_web(home: Link, path: Path) -> Path:
    from urllib.request import urlopen

    with urlopen(home.url, timeout=_SECONDS) as answer:  # noqa: S310  # a URL of ours
        data: bytes = answer.read()
    if sha256_bytes(data) != home.sha256:
        raise UserError(f"{home.url} is not the file that was published", do=f"put a copy at {path}")
    store.write_bytes(path, data)
    return path
