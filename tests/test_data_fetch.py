"""Fetching rows: whole and checked, or nothing and a message with the cure."""

import hashlib
import http.server
import io
import random
import re
import threading
import zipfile

import pytest
import requests
from lookalike_hub import Hub, serving
from shell import run_module

from workflow_scripts.data.fetch import fetch
from workflow_scripts.data.rows import record_in, row_from
from workflow_scripts.errors import EssenceError

CONTENT = b'{"idx": 1}\n' * 200_000
ZIP = {"Content-Disposition": 'attachment; filename="sql-llama-data.zip"'}
BLOB = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()  # as git hash-object


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `content`; `cut` is the number of bytes after which it hangs up."""

    def do_GET(self):
        kind = type(self)
        kind.requests.append(self.path)
        if self.path.endswith("missing"):
            self.send_error(404)
            return
        self.send_response(200)
        headers = {"Content-Length": len(kind.content), "Content-Type": "application/octet-stream"}
        for name, value in (headers | kind.more_headers).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(kind.content[: kind.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server on loopback, which is the file-sharing service, too: gdown itself asks it."""
    given = {"content": CONTENT, "cut": None, "more_headers": {}, "requests": []}
    mine, send = type("Mine", (Server,), given), requests.adapters.HTTPAdapter.send

    def send_to_loopback(adapter, request, **how):
        request.url = re.sub(r"^https://[a-z.]*google\.com", mine.host, request.url)
        return send(adapter, request, **how)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send_to_loopback)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(random, "uniform", lambda *_: 0.01)  # gdown's retries wait for seconds
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), mine) as listening:
        threading.Thread(target=listening.serve_forever, args=[0.01], daemon=True).start()
        mine.host = f"http://127.0.0.1:{listening.server_port}"
        mine.address = f"{mine.host}/rows.jsonl"
        yield mine
        listening.shutdown()


def only(folder):
    return sorted(path.name for path in folder.iterdir())


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name.replace("__", "/").replace("_jsonl", ".jsonl"), content)
    return buffer.getvalue()


def test_a_file_that_is_there_and_agrees_is_kept_another_is_replaced(server, tmp_path, capsys):
    out = tmp_path / "new" / "rows.jsonl"
    fetch(server.address, out, BLOB)
    assert out.read_bytes() == CONTENT and only(out.parent) == ["rows.jsonl"]
    assert f"(2,200,000 bytes) from {server.address}" in capsys.readouterr().out
    fetch(server.address, out, BLOB.upper())
    assert "already there" in capsys.readouterr().out
    assert len(server.requests) == 1
    for checksum in (BLOB, ""):
        out.write_bytes(b"old")
        fetch(server.address, out, checksum)
        assert out.read_bytes() == CONTENT


def test_a_download_that_breaks_off_publishes_nothing(server, tmp_path):
    out = tmp_path / "rows.jsonl"
    out.write_bytes(b"old")
    server.cut = 0
    with pytest.raises(EssenceError, match=r"could not be fetched .*set data.source: path"):
        fetch(server.address, out)
    assert out.read_bytes() == b"old" and only(tmp_path) == ["rows.jsonl"]


def test_a_wrong_checksum_a_web_page_and_an_unreachable_address_keep_nothing(server, tmp_path):
    out = tmp_path / "rows.jsonl"
    with pytest.raises(EssenceError, match=r"expected 00.*Nothing was kept"):
        fetch(server.address, out, "00" * 20)
    server.content, server.more_headers = b"\n<!DOCTYPE html><html>Sign in</html>", ZIP
    for address, url in (
        (server.address, server.address),
        ("drive:1_abc", "https://drive.google.com/file/d/1_abc/view"),
    ):
        with pytest.raises(EssenceError, match=f"web page instead .*it by hand from {url} and"):
            fetch(address, out)
    for address in (f"{server.host}/missing", "http://nowhere.invalid/rows.jsonl"):
        cure = f"download it by hand from {re.escape(address)} and set data.source: path and data."
        with pytest.raises(EssenceError, match=cure):
            fetch(address, out)
    assert only(tmp_path) == []


def test_the_file_sharing_service_goes_by_id(server, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    server.content, server.more_headers = zipped(data__rows_jsonl=CONTENT, data__readme="a"), ZIP
    fetch("drive:1_abc", out, BLOB)
    assert out.read_bytes() == CONTENT and only(tmp_path) == ["rows.jsonl"]
    assert server.requests == ["/uc?id=1_abc"]
    assert "https://drive.google.com/file/d/1_abc/view" in capsys.readouterr().out


def test_a_zip_with_several_files_wants_a_name_and_a_damaged_one_gives_nothing(server, tmp_path):
    server.content = zipped(a_jsonl=bytes(range(256)) * 100, b__b_jsonl=b"b\n")
    out = tmp_path / "rows.jsonl"
    with pytest.raises(EssenceError, match=r"holds 2 files .*--member out of: a.jsonl, b/b.jsonl"):
        fetch(server.address, out)
    with pytest.raises(EssenceError, match=r"holds 0 files named c.jsonl"):
        fetch(server.address, out, member="c.jsonl")
    fetch(server.address, out, member="b.jsonl")
    assert out.read_bytes() == b"b\n"
    server.content = server.content[:60] + b"x" * 10 + server.content[70:]
    with pytest.raises(EssenceError, match="zip can't be unpacked"):
        fetch(server.address, out, member="a.jsonl")
    assert out.read_bytes() == b"b\n" and only(tmp_path) == ["rows.jsonl"]


def test_addresses_of_local_files_and_others(tmp_path):
    file, out = tmp_path / "with space.jsonl", tmp_path / "out"
    file.write_bytes(CONTENT)
    fetch(file.as_uri(), out, BLOB)
    assert out.read_bytes() == CONTENT == file.read_bytes()
    with pytest.raises(EssenceError, match=r"is not a file; correct the path"):
        fetch("file:///nowhere/rows.jsonl", out)
    for address in ("rows.jsonl", "ftp://host/rows.jsonl"):
        with pytest.raises(EssenceError, match=r"data.url: .* not an address that can be fetched"):
            fetch(address, out)


def test_rows_of_a_data_set_on_the_hub_are_those_of_its_file(twin, tmp_path):
    lines = (twin / "rows.jsonl").read_bytes().splitlines(keepends=True)[::300]
    out = tmp_path / "rows.jsonl"
    with serving(Hub("some/rows", {"main": {"all.jsonl": b"".join(lines)}}, "dataset")) as hub:
        environment = hub.environment(tmp_path / "cache")
        for revision in (hub.commit(), "main", "gone"):
            address = ("--address", f"hub:some/rows@{revision}", "--out", out)
            done = run_module("workflow_scripts.data.fetch", *address, env=environment)
            if revision != "gone":
                assert done.returncode == 0, done.stderr
                assert [row_from(record_in(x), 1) for x in out.read_bytes().splitlines()] == [
                    row_from(record_in(x), 1) for x in lines
                ]
                out.unlink()
    assert done.returncode == 2 and not out.exists()
    assert "error: data.dataset: some/rows at gone could not be read" in done.stderr
    assert only(tmp_path) == ["cache"]
