"""The hub's client against a server on this machine that speaks as much of the hub as is needed."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"

PROGRAM = """
import json, sys
from trainers.pairs import load_pairs, read_images
from benchmark.core.errors import UserError

try:
    data = load_pairs(sys.argv[1], held_out=2, limit=int(sys.argv[2]), offline=sys.argv[3] == "offline")
    images = [len(x) for x in read_images([p.preferred for p in data.train.pairs])]
    print(json.dumps([data.train.rows, data.held_out.rows, data.sha256, images]))
except UserError as error:
    print(json.dumps(str(error)))
"""


class FakeHub(BaseHTTPRequestHandler):
    """`/api/datasets/ID/revision/R` lists the files, `/datasets/ID/resolve/COMMIT/FILE` gives one."""

    root: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/datasets/owner/name"):
            files = sorted(f.relative_to(self.root).as_posix() for f in self.root.rglob("*.parquet"))
            listing = {"id": "owner/name", "sha": COMMIT, "siblings": [{"rfilename": f} for f in files]}
            self._send(json.dumps(listing).encode(), {"Content-Type": "application/json"}, body=body)
            return
        place = f"/datasets/owner/name/resolve/{COMMIT}/"
        file = self.root / path.removeprefix(place)
        if not path.startswith(place) or not file.is_file():
            self.send_error(404)
            return
        data = file.read_bytes()
        if body:
            self.asked.append(file.name)
        etag = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        self._send(data, {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"'}, body=body)

    def _send(self, data: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(preference_row: Callable[..., Any], write_rows: Callable[..., Path]) -> Iterator[str]:
    """A hub with one data set of three shards and one of held-out pairs."""
    for k in range(3):
        rows = [preference_row(2 * k + i) for i in range(2)]
        folder = write_rows(f"repo/data/train-0000{k}-of-00003.parquet", rows).parents[1]
    write_rows("repo/data/validation-00000-of-00001.parquet", [preference_row(9), preference_row(10)])
    FakeHub.root, FakeHub.asked = folder, []
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeHub) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def _load(name: str, limit: int, where: str, endpoint: str, folder: Path) -> Any:
    own = {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_CACHE": str(folder / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "FBENCH_CACHE": str(folder / "fbench"),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, str(limit), where],
        env={**os.environ, **own}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_shards_come_when_they_are_needed_and_then_from_the_cache(server: str, tmp_path: Path) -> None:
    rows, held_out, sha256, images = _load("owner/name", 3, "online", server, tmp_path)
    shards = ["train-00000-of-00003.parquet", "train-00001-of-00003.parquet"]
    assert rows == [f"data/{shards[0]}:0", f"data/{shards[0]}:1", f"data/{shards[1]}:0"]
    assert len(held_out) == 2
    assert min(images) > 100
    assert FakeHub.asked == [*shards, "validation-00000-of-00001.parquet"]
    FakeHub.asked.clear()
    # What is there is not fetched again, with the network or without.
    for where, endpoint in (("online", server), ("offline", "http://127.0.0.1:1")):
        assert _load("owner/name", 3, where, endpoint, tmp_path) == [rows, held_out, sha256, images]
    assert not FakeHub.asked
    said = _load("owner/name", 9, "offline", server, tmp_path)
    assert "data/train-00002-of-00003.parquet of owner/name is not in" in said
    assert "run once without --offline" in said


def test_what_is_not_there_is_said_in_one_line(server: str, tmp_path: Path) -> None:
    said = _load("owner/nothing", 3, "online", server, tmp_path)
    assert said.startswith(
        "no preference data owner/nothing: neither here nor, as far as can be seen, on the hub"
    )
    said = _load("owner/nothing", 3, "offline", server, tmp_path)
    assert "`hf download owner/nothing --repo-type dataset`" in said
