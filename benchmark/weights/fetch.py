"""Downloads published weights into the folder of weights: resumable, and each file whole or not there."""

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.environment import network_forbidden
from benchmark.core.errors import MissingWeightsError, UserError
from benchmark.core.hashing import sha256_file
from benchmark.core.store import require_space
from benchmark.weights.catalogue import Release, WeightsFile
from benchmark.weights.locate import find, published_folder

_SECONDS = 60


@dataclass(frozen=True)
class Fetched:
    """The outcome of fetching a release.

    Attributes:
        name: Of the release.
        place: What scorers open now.
        downloaded: The files that were downloaded; none of them if it was there.
    """

    name: str
    place: Path
    downloaded: tuple[str, ...]


def fetch(release: Release, tell: Callable[[str], None] = lambda _: None) -> Fetched:
    """Gets the files of a release that are not here yet.

    Args:
        release: Which.
        tell: Told what is about to be downloaded.

    Raises:
        MissingWeightsError: if the network is forbidden or fails; the same call goes on from what is there.
        DiskFullError: if there is no room.
    """
    there = find(release)
    if there is not None:
        return Fetched(release.name, there, ())
    folder = published_folder() / release.folder
    lacking = [file for file in release.files if not (folder / file.name).is_file()]
    if network_forbidden():
        names = ", ".join(file.name for file in lacking if file.needed)
        raise MissingWeightsError(
            f"{release.name}: no {names} at {folder}, and offline nothing is downloaded",
            do=f"run `fbench weights fetch {release.name}` where there is a network, and copy {folder}",
        )
    require_space(folder, sum(file.size for file in lacking), release.name)
    downloaded = []
    for file in lacking:
        tell(f"downloading {file.name} from {release.source} to {folder}")
        try:
            _download(release, file, folder)
            downloaded.append(file.name)
        except UserError:
            raise
        # No such file, no access, no network, a server's fault: the user's remedy is the same.
        except Exception as error:
            if not file.needed:
                tell(f"{file.name} does not come ({_said(error)}); scorers do without it")
                continue
            raise MissingWeightsError(
                f"{release.name}: {file.name} does not come from {release.source} ({_said(error)})",
                do=f"the same command goes on from what is there; or copy the file to {folder} yourself",
            ) from error
    return Fetched(release.name, find(release) or folder, tuple(downloaded))


def _download(release: Release, file: WeightsFile, folder: Path) -> None:
    if release.url:
        download_url(release.url, folder / file.name, file.sha256)
        return
    from huggingface_hub import hf_hub_download

    # Keeps half a file in a hidden folder beside, and goes on with it.
    hf_hub_download(release.repos[0], file.name, local_dir=folder)


def download_url(url: str, path: Path, sha256: str = "") -> None:
    """Downloads a file; what an earlier call left of it is not downloaded again.

    Args:
        url: From where.
        path: To where; it appears there when it is whole and right.
        sha256: What its hash begins with; empty: not known.

    Raises:
        OSError: if the connection fails or breaks off.
        UserError: if the file that came is another one, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310  # ours
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            resumed = answer.status == 206
            expected = int(answer.headers.get("Content-Length") or 0) + (have if resumed else 0)
            with part.open("ab" if resumed else "wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
    except urllib.error.HTTPError as error:
        # What is there is as long as the whole: it was broken off between writing and moving.
        if error.code != 416:
            raise
        expected = have
    if part.stat().st_size < expected:
        raise OSError(f"broke off after {part.stat().st_size} of {expected} bytes")
    found = sha256_file(part)
    if not found.startswith(sha256):
        part.unlink()
        raise UserError(
            f"{url} gave a file whose sha256 begins with {found[: len(sha256)]} and should with {sha256}",
            do=f"try again, or copy the right one to {path}",
        )
    part.replace(path)


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__
