"""Where published weights are found, how they are fetched, and how their hashes are watched."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import huggingface_hub
import huggingface_hub.constants
import pytest

from benchmark.core.errors import MissingWeightsError, UnknownNameError, UserError
from benchmark.core.hashing import sha256_bytes
from benchmark.scorers import scorers
from benchmark.scorers.requirements import needs, users_of
from benchmark.weights.catalogue import RELEASES, Release, WeightsFile, release, release_at
from benchmark.weights.fetch import download_url, fetch
from benchmark.weights.locate import find, place, short_hash
from benchmark.weights.verify import RECORD, verify

NAMES = [known.name for known in RELEASES]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and empty caches of the libraries."""
    monkeypatch.setenv("FBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "weights"


def write(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def in_hub_cache(cache: Path, repo: str, *names: str) -> Path:
    """As huggingface_hub lays its cache out: a snapshot of links to files named by their hash."""
    root = cache / f"models--{repo.replace('/', '--')}"
    snapshot = write(root / "snapshots" / ("c" * 40))
    write(root / "refs")
    (root / "refs" / "main").write_text("c" * 40)
    for name in names:
        blob = write(root / "blobs") / sha256_bytes(name.encode())
        blob.write_bytes(name.encode())
        (snapshot / name).symlink_to(blob)
    return snapshot


# --- the catalogue ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_facts_of_a_release(name: str) -> None:
    known = release(name)
    assert bool(known.repos) != bool(known.url), "it comes from the hub or from a URL"
    assert known.licence
    assert known.needed
    if known.url:
        assert len(known.files) == 1
        assert unquote(known.url).endswith(known.files[0].name)
    for file in known.files:
        assert len(file.sha256) in (0, 8, 64)
        assert file.sha256 in file.name or len(file.sha256) == 64
    assert release_at(known.place) is known
    assert release_at(name) is known


def test_names_and_places_are_told_apart() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len({known.place for known in RELEASES}) == len(RELEASES)
    with pytest.raises(UnknownNameError, match=r"did you mean hps-v2\.1"):
        release("hps-v2.2")


def test_what_scorers_need_is_in_the_catalogue() -> None:
    found = list(needs())
    assert {name for need in found for name in need.releases} <= set(NAMES)
    assert {need.scorer for need in found} <= set(scorers.names())
    assert users_of("hps-v2.0") == ("hps(version='v2.0')",)
    for need in found:
        # The options are options: the scorer is made without its weights being there.
        assert scorers.create(need.call, weights="published").name == need.scorer


# --- finding ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_nothing_here_is_one_line_that_says_how_to_get_it(name: str, weights: Path) -> None:
    known = release(name)
    assert find(known) is None
    with pytest.raises(MissingWeightsError) as caught:
        place("some", "published", "shapes-clip", known.place)
    for words in (
        known.needed[0].name,
        str(weights / known.folder),
        f"fbench weights fetch {name}",
        "FBENCH_WEIGHTS",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_complete_folder_is_found_and_half_of_one_is_not(name: str, weights: Path) -> None:
    known = release(name)
    *some, last = (file.name for file in known.needed)
    write(weights / known.folder, *some)
    assert find(known) is None
    write(weights / known.folder, last)
    assert find(known) == weights / known.place


@pytest.mark.parametrize("name", [known.name for known in RELEASES if known.repos])
def test_the_hubs_cache_is_found_under_every_name_of_a_repository(
    name: str, weights: Path, tmp_path: Path
) -> None:
    known = release(name)
    files = [file.name for file in known.files]
    for repo in reversed(known.repos):
        snapshot = in_hub_cache(tmp_path / "hub", repo, *files, "README.md")
        found = place("some", "published", "", name)
        assert (found if found.is_dir() else found.parent) == snapshot
        from_cache = short_hash(found)
    # The folder of weights comes first, and the same files have the same hash there.
    write(weights / known.folder, *files)
    assert place("some", "published", "", name) == weights / known.place
    assert short_hash(weights / known.place) == from_cache


def test_torch_hubs_checkpoints_are_found(weights: Path, tmp_path: Path) -> None:
    file = release("lpips-alex").files[0].name
    folder = write(tmp_path / "torch" / "hub" / "checkpoints", file)
    assert place("lpips", "published", "", "lpips-alex") == folder / file


def test_only_the_weights_make_the_hash(weights: Path) -> None:
    folder = write(weights / "pickscore", "config.json", "model.safetensors")
    before = short_hash(folder)
    write(folder, "README.md", "pytorch_model.bin")
    assert short_hash(folder) == before
    (folder / "config.json").write_text("another")
    assert short_hash(folder) != before


def test_places_outside_the_catalogue_stay_what_they_were(weights: Path) -> None:
    folder = write(weights / "mine", "model.pt")
    assert place("mine", "published", "", "mine/model.pt") == folder / "model.pt"
    assert place("mine", str(folder), "") == folder
    with pytest.raises(MissingWeightsError, match="no other at"):
        place("mine", "published", "", "mine/other")
    with pytest.raises(MissingWeightsError, match="has no published weights"):
        place("mine", "published", "shapes-clip")


# --- fetching ---------------------------------------------------------------------------------

CONTENT = bytes(range(256)) * 40


class Server(BaseHTTPRequestHandler):
    """Serves one content, in parts where asked; breaks the first answer off in the middle."""

    broken: ClassVar[bool] = False
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        ranged = self.headers.get("Range", "")
        self.asked.append(ranged)
        start = int(ranged.removeprefix("bytes=").removesuffix("-") or 0)
        if start >= len(CONTENT):
            self.send_error(416)
            return
        rest = CONTENT[start:]
        self.send_response(206 if ranged else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2] if type(self).broken else rest)
        type(self).broken = False

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server on this machine."""
    Server.broken, Server.asked = False, []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/file.pth"
        running.shutdown()


def test_a_download_that_broke_off_goes_on(server: str, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "file.pth"
    Server.broken = True
    with pytest.raises(OSError, match="broke off after 5120 of 10240 bytes"):
        download_url(server, path)
    assert not path.exists()
    download_url(server, path, sha256_bytes(CONTENT)[:8])
    assert path.read_bytes() == CONTENT
    assert Server.asked == ["", "bytes=5120-"]
    assert [p.name for p in path.parent.iterdir()] == ["file.pth"]


def test_a_download_that_was_whole_but_not_moved_is_moved(server: str, tmp_path: Path) -> None:
    (tmp_path / ".file.pth.part").write_bytes(CONTENT)
    download_url(server, tmp_path / "file.pth")
    assert (tmp_path / "file.pth").read_bytes() == CONTENT


def test_another_file_than_the_known_one_is_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="and should with 00000000"):
        download_url(server, tmp_path / "file.pth", "00000000")
    assert list(tmp_path.iterdir()) == []


def test_releases_come_from_the_hub_or_their_url(
    weights: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    asked = []

    def hub(repo: str, name: str, *, local_dir: Path) -> str:
        asked.append((repo, name))
        return str(write(Path(local_dir), name) / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    fetched = fetch(release("imagereward"))
    assert asked == [("THUDM/ImageReward", "ImageReward.pt"), ("THUDM/ImageReward", "med_config.json")]
    assert fetched.place == weights / "imagereward"
    assert fetch(release("imagereward")).downloaded == ()
    own = Release("own", "own", (WeightsFile("file.pth"),), "unknown", url=server)
    assert fetch(own).place.read_bytes() == CONTENT


def test_what_the_hub_refuses_is_one_line(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def hub(*_: object, **__: object) -> str:
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    with pytest.raises(
        MissingWeightsError, match=r"does not come from .*xswu/HPSv2 \(ConnectionError: no route\)"
    ):
        fetch(release("hps-v2.1"))


def test_what_is_not_needed_may_be_absent(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def hub(_: str, name: str, *, local_dir: Path) -> str:
        if name == "open_clip_config.json":
            raise FileNotFoundError(name)
        return str(write(Path(local_dir), name))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    assert fetch(release("clip-vit-h-14")).downloaded == ("open_clip_model.safetensors",)


@pytest.mark.parametrize("name", NAMES)
def test_offline_nothing_is_downloaded(name: str, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    known = release(name)
    with pytest.raises(MissingWeightsError, match="offline nothing is downloaded") as caught:
        fetch(known)
    for words in (known.needed[0].name, str(weights / known.folder), f"`fbench weights fetch {name}`"):
        assert words in str(caught.value)


# --- verifying --------------------------------------------------------------------------------


def test_a_hash_is_recorded_at_first_sight_and_watched_from_then_on(weights: Path) -> None:
    path = write(weights / "hps", "HPS_v2.1_compressed.pt") / "HPS_v2.1_compressed.pt"
    known = release("hps-v2.1")
    assert [v.verdict for v in verify(known)] == ["recorded"]
    assert json.loads((weights / RECORD).read_text()) == {
        "hps/HPS_v2.1_compressed.pt": sha256_bytes(b"HPS_v2.1_compressed.pt")
    }
    assert [v.verdict for v in verify(known)] == ["right"]
    path.write_bytes(b"other")
    (found,) = verify(known)
    assert found.verdict == "wrong"
    assert "as when it was first seen" in found.note


def test_a_known_hash_is_the_judge(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = release("lpips-alex").files[0].name
    write(weights / "lpips", file)
    (found,) = verify(release("lpips-alex"))
    assert found.verdict == "wrong"
    assert "7be5be79 as the catalogue states" in found.note
    assert not (weights / RECORD).exists(), "a wrong hash is not recorded"
    own = WeightsFile(file, sha256=sha256_bytes(file.encode()))
    right = Release("own", "lpips", (own,), "unknown", url="file:///own")
    assert [v.verdict for v in verify(right)] == ["right"]


def test_the_hubs_own_hash_is_compared(weights: Path, tmp_path: Path) -> None:
    snapshot = in_hub_cache(tmp_path / "hub", "xswu/HPSv2", "HPS_v2.1_compressed.pt")
    assert [v.verdict for v in verify(release("hps-v2.1"))] == ["right"]
    (weights / RECORD).unlink()
    (snapshot / "HPS_v2.1_compressed.pt").resolve().write_bytes(b"damaged")
    (found,) = verify(release("hps-v2.1"))
    assert found.verdict == "wrong"
    assert "as the hub states" in found.note


def test_a_damaged_record_is_one_line(weights: Path) -> None:
    write(weights / "hps", "HPS_v2.1_compressed.pt")
    (weights / RECORD).write_text("[]")
    with pytest.raises(UserError, match="no record of hashes"):
        list(verify(release("hps-v2.1")))


def test_missing_files_are_named(weights: Path) -> None:
    write(weights / "imagereward", "ImageReward.pt")
    assert [(v.file, v.verdict) for v in verify(release("imagereward"))] == [
        ("ImageReward.pt", "recorded"),
        ("med_config.json", "missing"),
    ]


def test_the_catalogue_and_the_places_need_no_torch() -> None:
    code = (
        "import sys; from benchmark.scorers import requirements; "
        "from benchmark.weights import fetch, locate, verify; "
        "[locate.find(r) for r in locate.RELEASES]; list(requirements.needs()); "
        "print([m for m in ('torch', 'transformers', 'open_clip') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
