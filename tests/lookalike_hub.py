"""A model hub on loopback: one repository, its large files on another host, as there."""

import base64
import contextlib
import functools
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants
from huggingface_hub.utils import close_session

LARGE = (".bin", ".safetensors", ".model")


@functools.cache  # weights of the real size are asked for again and again
def checksum(content: bytes, kind: str = "sha256") -> str:
    return hashlib.new(kind, content).hexdigest()


@dataclass
class Hub:
    """`revisions`: branch -> its files. A commit's id is a checksum of its files."""

    name: str
    revisions: dict[str, dict[str, bytes]]
    kind: str = "model"  # or dataset
    damaged: bool = False  # whether its large files come with other bytes
    created: list[dict] = field(default_factory=list)  # repositories that were asked for
    pushed: dict[str, bytes] = field(default_factory=dict)  # files sent, "spaces/owner/name/file"
    port: int = 9  # where nobody listens

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def commit(self, branch: str = "main") -> str:
        files = sorted(self.revisions[branch].items())
        return checksum("".join(name + checksum(each) for name, each in files).encode(), "sha1")

    def branch(self, revision: str) -> str | None:
        return next(
            (each for each in self.revisions if revision in (each, self.commit(each))), None
        )

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
        own = {"HF_ENDPOINT": self.address, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
        return kept | own | {"no_proxy": "127.0.0.1,localhost"}


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).removeprefix("/datasets")
        api, files = f"/api/{self.hub.kind}s/{self.hub.name}/", f"/{self.hub.name}/resolve/"
        if path.startswith("/cdn/"):
            self.send_blob(path.removeprefix("/cdn/"))
        elif path.startswith(api):
            self.send_api(*path.removeprefix(api).split("/", 2))
        elif path.startswith(files):
            self.send_file(*path.removeprefix(files).rsplit("/", 1))
        else:
            self.refuse("RepoNotFound")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Take what `hf upload` sends, large files too as part of the commit."""
        body, answer = self.rfile.read(int(self.headers["Content-Length"])), {}
        path = urlsplit(self.path).path.removeprefix("/api/")
        if path == "repos/create":
            self.hub.created.append(json.loads(body))
            answer = {"url": f"{self.hub.address}/{self.hub.name}"}
        elif "/preupload/" in path:
            how = {"uploadMode": "regular", "shouldIgnore": False}
            answer = {"files": [how | {"path": x["path"]} for x in json.loads(body)["files"]]}
        elif "/commit/" in path:
            repository = path.partition("/commit/")[0]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.hub.pushed[f"{repository}/{line['value']['path']}"] = content
            page = f"{self.hub.address}/{repository.removeprefix('models/')}"
            answer = {"commitUrl": f"{page}/commit/1", "commitOid": "1"}
        self.send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def send_api(self, what: str, revision: str, folder: str = "") -> None:
        branch = self.hub.branch(revision)
        if branch is None or folder:  # all files lie in the repository's own folder
            return self.refuse("EntryNotFound" if branch else "RevisionNotFound")
        commit = self.hub.commit(branch)
        day = {"authors": [{"user": "someone"}], "date": "2023-08-05T10:00:00.000Z", "message": ""}
        answers = {
            "revision": {"id": self.hub.name, "sha": commit, "siblings": []},
            "commits": [{"id": each, "title": "", **day} for each in (commit, "0" * 40)],
            "tree": [self.entry(*file) for file in self.hub.revisions[branch].items()],
        }
        self.send(200, json.dumps(answers[what]).encode(), {"Content-Type": "application/json"})

    def entry(self, file: str, content: bytes) -> dict:
        facts = {"type": "file", "path": file, "size": len(content)}
        facts["oid"] = checksum(content, "sha1")
        if file.endswith(LARGE):
            facts["lfs"] = {"oid": checksum(content), "size": len(content), "pointerSize": 134}
        return facts

    def send_file(self, revision: str, file: str) -> None:
        files = self.hub.revisions.get(self.hub.branch(revision))
        if files is None or file not in files:
            return self.refuse("RevisionNotFound" if files is None else "EntryNotFound")
        content = files[file]
        headers = {"X-Repo-Commit": revision, "ETag": f'"{checksum(content, "sha1")}"'}
        if not file.endswith(LARGE):
            return self.send(200, content, headers)
        large = checksum(content)
        headers |= {"X-Linked-Etag": f'"{large}"', "X-Linked-Size": str(len(content))}
        self.send(302, b"", headers | {"Location": f"http://localhost:{self.hub.port}/cdn/{large}"})

    def send_blob(self, large: str) -> None:
        blobs = [blob for files in self.hub.revisions.values() for blob in files.values()]
        content = next(blob for blob in blobs if checksum(blob) == large)
        content = bytes(len(content)) if self.hub.damaged else content
        self.send(200, content, {"ETag": f'"{large}"'})

    def send(self, status: int, body: bytes, headers: dict) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, code: str) -> None:
        self.send(404, b'{"error": "no"}', {"X-Error-Code": code})

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    own = type("OwnHandler", (Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), own) as server:
        hub.port, server.daemon_threads = server.server_port, True
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield hub
        server.shutdown()
