"""A server that answers as the Hub does where something is uploaded, over HTTP, with repositories in memory.

It holds to the Hub's protocol: small files in the commit, large ones by git-lfs before it, the card's
metadata checked, nobody let in without a token.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import yaml

TOKEN = "hf_stand_in"
USER = "somebody"


@dataclass
class Hub:
    """The Hub's state.

    Attributes:
        url: Where it answers.
        repos: Files by name, of each repository.
        private: The repositories that were made so.
        commits: The messages, in order.
        blobs: Large files that were uploaded, by their hash.
    """

    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def running() -> Iterator[Hub]:
    """A Hub while the context lasts."""
    hub = Hub()

    class Answers(_Answers):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Answers(BaseHTTPRequestHandler):
    state: Hub

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        if self.path == "/api/whoami-v2" and self._is_known():
            self._answer({"name": USER, "type": "user", "orgs": []})
        elif self.path != "/api/whoami-v2":
            self._answer({"error": "not found"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._is_known():
            return
        for pattern, answer in (
            (r"/api/repos/create", self._create),
            (r"/api/validate-yaml", self._validate),
            (r"/api/models/(.+)/preupload/main", self._preupload),
            (r"/(.+)\.git/info/lfs/objects/batch", self._batch),
            (r"/api/models/(.+)/commit/main", self._commit),
        ):
            if found := re.fullmatch(pattern, self.path):
                answer(body, *found.groups())
                return
        self._answer({"error": f"no {self.path}"}, 404)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        oid = self.path.rpartition("/")[2]
        if hashlib.sha256(data).hexdigest() != oid:
            self._answer({"error": "another content"}, 400)
            return
        self.state.blobs[oid] = data
        self._answer({})

    def _create(self, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('organization') or USER}/{asked['name']}"
        if not name.startswith(f"{USER}/"):
            self._answer({"error": f"no rights to create {name}"}, 403)
            return
        status = 409 if name in self.state.repos else 200
        self.state.repos.setdefault(name, {})
        if asked.get("visibility") == "private" or asked.get("private"):
            self.state.private.add(name)
        self._answer({"url": f"{self.state.url}/{name}", "name": name, "id": name}, status)

    def _validate(self, body: bytes) -> None:
        content = json.loads(body)["content"]
        head = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        data = yaml.safe_load(head[1]) if head else None
        errors = [] if isinstance(data, dict) else [{"message": "no metadata"}]
        errors += [{"message": f"{k} is empty"} for k, v in (data or {}).items() if v in (None, "", [])]
        self._answer({"errors": errors, "warnings": []}, 400 if errors else 200)

    def _preupload(self, body: bytes, name: str) -> None:
        if name not in self.state.repos:
            self._answer({"error": "Repository not found"}, 404)
            return
        self._answer(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(body)["files"]
                ]
            }
        )

    def _batch(self, body: bytes, name: str) -> None:
        objects = [
            {
                "oid": o["oid"],
                "size": o["size"],
                "actions": {"upload": {"href": f"{self.state.url}/lfs/{o['oid']}"}},
            }
            for o in json.loads(body)["objects"]
        ]
        self._answer({"transfer": "basic", "objects": objects})

    def _commit(self, body: bytes, name: str) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.state.commits.append(value["summary"])
            elif line["key"] == "file":
                self.state.repos[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.state.repos[name][value["path"]] = self.state.blobs[value["oid"]]
        oid = hashlib.sha1(body).hexdigest()
        self._answer(
            {"commitUrl": f"{self.state.url}/{name}/commit/{oid}", "commitOid": oid, "success": True}
        )

    def _is_known(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._answer({"error": "Invalid credentials in Authorization header"}, 401)
        return False

    def _answer(self, content: object, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
