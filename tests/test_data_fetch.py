"""Fetching rows: whole and checked, or nothing and a message with the cure."""

import hashlib
import http.server
import io
import random
import re
import threading
import zipfile
from types import SimpleNamespace

import pytest
import requests
import sample_rows
from lookalike_hub import Hub, serving
from shell import run_module

from workflow_scripts.data.fetch import fetch
from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_jsonl

CONTENT = b'{"idx": 1}\n' * 200_000
BLOB = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()  # as git hash-object
ON_DRIVE = "https://drive.google.com/file/d/1_abc/view"


@pytest.fixture
def server(monkeypatch):
    """Serves `content` on loopback, or `length` bytes of it before it hangs up.

    It is the file-sharing service, too: gdown itself asks it.
    """
    mine = SimpleNamespace(content=CONTENT, length=None, paths=[])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            mine.paths.append(self.path)
            if self.path.endswith("missing"):
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(mine.content)))
            self.send_header("Content-Type", "application/octet-stream")
            if self.path.startswith("/uc"):
                self.send_header("Content-Disposition", 'attachment; filename="data.zip"')
            self.end_headers()
            self.wfile.write(mine.content[: mine.length])

        def log_message(self, *_):
            pass

    send = requests.adapters.HTTPAdapter.send

    def send_to_loopback(adapter, request, **how):
        request.url = re.sub(r"^https://[a-z.]*google\.com", mine.host, request.url)
        return send(adapter, request, **how)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send_to_loopback)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(random, "uniform", lambda *_: 0.01)  # gdown's retries wait for seconds
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=[0.01], daemon=True).start()
        mine.host = f"http://127.0.0.1:{listening.server_port}"
        mine.address = f"{mine.host}/rows.jsonl"
        yield mine
        listening.shutdown()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


def test_a_file_that_is_there_and_agrees_is_kept_another_is_replaced(server, tmp_path):
    out = tmp_path / "new" / "rows.jsonl"
    for checksum in (BLOB, BLOB.upper()):
        fetch(server.address, out, checksum)
        assert out.read_bytes() == CONTENT and names_in(out.parent) == ["rows.jsonl"]
    assert len(server.paths) == 1
    local = tmp_path / "with space.jsonl"
    local.write_bytes(CONTENT)
    for address, checksum in ((server.address, BLOB), (server.address, ""), (local.as_uri(), BLOB)):
        out.write_bytes(b"old")
        fetch(address, out, checksum)
        assert out.read_bytes() == CONTENT == local.read_bytes()


def test_what_is_not_the_file_keeps_nothing_and_says_the_cure(server, tmp_path):
    out = tmp_path / "rows.jsonl"
    out.write_bytes(b"old")

    def refused(address, said, **how):
        with pytest.raises(EssenceError, match=said):
            fetch(address, out, **how)
        assert out.read_bytes() == b"old" and names_in(tmp_path) == ["rows.jsonl"]

    refused(server.address, r"expected 00.*Nothing was kept", git_blob="00" * 20)
    for address in (f"{server.host}/missing", "http://nowhere.invalid/rows.jsonl"):
        cure = f"download it by hand from {re.escape(address)} and set data.source: path and data."
        refused(address, cure)
    server.length = 0
    refused(server.address, r"could not be fetched .*set data.source: path")
    server.content, server.length = b"\n<!DOCTYPE html><html>Sign in</html>", None
    for address, url in ((server.address, server.address), ("drive:1_abc", ON_DRIVE)):
        refused(address, f"web page instead .*it by hand from {url} and")
    server.content = zipped({"a.jsonl": bytes(range(256)) * 100, "b/b.jsonl": b"b\n"})
    refused(server.address, r"holds 2 files .*--member out of: a.jsonl, b/b.jsonl")
    refused(server.address, r"holds 0 files named c.jsonl", member="c.jsonl")
    server.content = server.content[:60] + b"x" * 10 + server.content[70:]
    refused(server.address, "zip can't be unpacked", member="a.jsonl")
    refused("file:///nowhere/rows.jsonl", r"is not a file; correct the path")
    refused("ftp://host/rows.jsonl", r"data.url: .* not an address that can be fetched")


def test_a_zip_of_the_file_sharing_service_and_one_with_several_files(server, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    server.content = zipped({"data/rows.jsonl": CONTENT, "data/readme": "a"})
    fetch("drive:1_abc", out, BLOB)
    assert out.read_bytes() == CONTENT and names_in(tmp_path) == ["rows.jsonl"]
    assert server.paths == ["/uc?id=1_abc"]
    assert f"(2,200,000 bytes) from {ON_DRIVE}" in capsys.readouterr().out
    server.content = zipped({"a.jsonl": "a", "b/b.jsonl": "b"})
    fetch(server.address, out, member="b.jsonl")
    assert out.read_bytes() == b"b"


def test_rows_of_a_data_set_on_the_hub_are_those_of_its_file(tmp_path):
    out, file = tmp_path / "rows.jsonl", tmp_path / "all.jsonl"
    rows = sample_rows.write(file, sample_rows.many(2, 3)).read_bytes()
    with serving(Hub("some/rows", {"main": {"all.jsonl": rows}}, "dataset")) as hub:
        environment = hub.environment(tmp_path / "cache")
        stage = ("workflow_scripts.data.fetch", "--out", out, "--address")
        gone, done = (
            run_module(*stage, f"hub:some/rows@{revision}", env=environment)
            for revision in ("gone", hub.commit())
        )
    assert gone.returncode == 2 and done.returncode == 0, done.stderr
    assert "error: data.dataset: some/rows at gone could not be read" in gone.stderr
    assert names_in(tmp_path) == ["all.jsonl", "cache", "rows.jsonl"]
    rows = [[row_from(record, 1) for record in read_jsonl(path)] for path in (out, file)]
    assert rows[0] == rows[1]
