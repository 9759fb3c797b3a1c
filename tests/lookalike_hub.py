"""A model hub on loopback: one repository in the layout of the report's base model.

`main` has the weights as pytorch_model.bin, SentencePiece's spiece.model and three JSON files; two
pull requests also have model.safetensors. Large files are redirected to another host and port, as
the hub does, and can be resumed there. `fail` makes requests go wrong.
"""

import contextlib
import functools
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants
from huggingface_hub.utils import close_session

LARGE = (".bin", ".safetensors", ".model")
PIECES = 8  # that a slow file comes in


@functools.cache  # weights of the real size are asked for again and again
def checksum(content: bytes, kind: str = "sha256") -> str:
    return hashlib.new(kind, content).hexdigest()


@dataclass
class Fault:
    """What goes wrong with requests whose path holds `path`, the first `times` of them.

    kind: a status code, or what becomes of a large file: slow, cut (half of it, then the connection
    ends), empty (none of it) or damaged (other bytes).
    """

    path: str
    kind: int | str
    times: int = 10**6


@dataclass
class Hub:
    """`revisions`: branch -> its files. A commit's id is a checksum of its files."""

    name: str
    revisions: dict[str, dict[str, bytes]]
    completes_ids: bool = False  # whether the server knows commits by their first digits
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    address: str = ""
    cdn: str = ""

    def commit(self, branch: str = "main") -> str:
        files = sorted(self.revisions[branch].items())
        return checksum(
            "".join(name + checksum(content) for name, content in files).encode(), "sha1"
        )

    def files(self, revision: str) -> dict[str, bytes] | None:
        for branch, files in self.revisions.items():
            commit = self.commit(branch)
            short = self.completes_ids and len(revision) >= 7 and commit.startswith(revision)
            if revision in (branch, commit) or short:
                return files
        return None

    def fail(self, path: str, kind: int | str, times: int = 10**6) -> None:
        self.faults = [Fault(path, kind, times)]

    def fault(self, path: str) -> int | str | None:
        for fault in self.faults:
            if fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault.kind
        return None

    def use(self, monkeypatch, cache: Path) -> None:
        """Let this process have this hub, as `environment` does for another one."""
        template = self.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", self.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
        close_session()

    def environment(self, cache: Path) -> dict[str, str]:
        """For a process that has this hub, and nothing in its cache but what it puts there."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        own = {
            "HF_ENDPOINT": self.address,
            "HF_HOME": str(cache),
            "no_proxy": "127.0.0.1,localhost",
        }
        return kept | own | {"HF_HUB_DISABLE_TELEMETRY": "1"}


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        fault = self.hub.fault(f"{self.command} {path}")
        if isinstance(fault, int):
            self.refuse(fault)
        elif path.startswith("/cdn/"):
            self.send_blob(path.removeprefix("/cdn/"), fault)
        elif path.startswith(f"/api/models/{self.hub.name}/"):
            self.send_api(*path.removeprefix(f"/api/models/{self.hub.name}/").split("/", 1))
        elif path.startswith(f"/{self.hub.name}/resolve/"):
            revision, file = path.split("/resolve/")[1].rsplit("/", 1)
            self.send_file(revision, file)
        else:
            self.refuse(404, "RepoNotFound")

    def send_api(self, what: str, revision: str) -> None:
        hub, files = self.hub, self.hub.files(revision)
        if files is None:
            self.refuse(404, "RevisionNotFound")
            return
        commit = next(
            hub.commit(branch) for branch, other in hub.revisions.items() if other is files
        )
        day = {"authors": [{"user": "someone"}], "date": "2023-08-05T10:00:00.000Z", "message": ""}
        answers = {
            "revision": {"id": hub.name, "sha": commit, "siblings": []},
            "commits": [{"id": each, "title": "", **day} for each in (commit, "0" * 40)],
            "tree": [self.entry(file, content) for file, content in files.items()],
        }
        self.send(200, json.dumps(answers[what]).encode(), {"Content-Type": "application/json"})

    def entry(self, file: str, content: bytes) -> dict:
        facts = {
            "type": "file",
            "path": file,
            "size": len(content),
            "oid": checksum(content, "sha1"),
        }
        if file.endswith(LARGE):
            facts["lfs"] = {"oid": checksum(content), "size": len(content), "pointerSize": 134}
        return facts

    def send_file(self, revision: str, file: str) -> None:
        files = self.hub.files(revision)
        if files is None or file not in files:
            self.refuse(404, "RevisionNotFound" if files is None else "EntryNotFound")
            return
        content = files[file]
        headers = {"X-Repo-Commit": revision, "ETag": f'"{checksum(content, "sha1")}"'}
        if not file.endswith(LARGE):
            self.send(200, content, headers)
            return
        large = checksum(content)
        headers |= {"X-Linked-Etag": f'"{large}"', "X-Linked-Size": str(len(content))}
        self.send(302, b"", headers | {"Location": f"{self.hub.cdn}/cdn/{large}"})

    def send_blob(self, large: str, fault: str | None) -> None:
        blobs = [blob for files in self.hub.revisions.values() for blob in files.values()]
        content = next(blob for blob in blobs if checksum(blob) == large)
        start = int(self.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        headers = {"ETag": f'"{large}"', "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        content = content[start:]
        if fault == "damaged":
            content = bytes(len(content))
        self.send(206 if start else 200, content, headers, fault)

    def send(self, status: int, body: bytes, headers: dict, fault: str | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault in ("cut", "empty"):
            self.wfile.write(body[: len(body) // 2 if fault == "cut" else 0])
            self.close_connection = True
            return
        step = -(-len(body) // (PIECES if fault == "slow" else 1)) or 1
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            if fault == "slow":
                self.wfile.flush()
                time.sleep(0.2)

    def refuse(self, status: int, code: str = "") -> None:
        waits = {"Retry-After": "0"} if status == 429 else {}
        self.send(status, b'{"error": "no"}', {"X-Error-Code": code, **waits} if code else waits)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Two servers: the hub, and under another host and port the one with the large files."""
    own = type("OwnHandler", (Handler,), {"hub": hub})
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), own) as front,
        ThreadingHTTPServer(("127.0.0.1", 0), own) as store,
    ):
        hub.address = f"http://127.0.0.1:{front.server_port}"
        hub.cdn = f"http://localhost:{store.server_port}"
        for server in (front, store):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield hub
        front.shutdown()
        store.shutdown()
