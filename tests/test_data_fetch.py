"""Fetching rows: whole and checked, or nothing and a message with the cure."""

import contextlib
import hashlib
import http.server
import io
import random
import re
import threading
import zipfile

import gdown
import pytest
import requests

from workflow_scripts.data.fetch import fetch
from workflow_scripts.errors import EssenceError

CONTENT = b'{"idx": 1}\n' * 200_000  # more than one of gdown's chunks of 512 KiB
BLOB = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()  # as git hash-object


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; `cut` is the number of bytes after which it hangs up."""

    content, cut = CONTENT, None

    def do_GET(self):
        kind = type(self)
        start = int((re.findall(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0])[0])
        kind.requests.append(start)
        if self.path.endswith("missing"):
            self.send_error(404)
            return
        body = kind.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            total = len(kind.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.end_headers()
        self.wfile.write(body if kind.cut is None else body[: kind.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Starts a server of a subclass of the given class: settings, `requests` and its address."""
    with contextlib.ExitStack() as stack:

        def do(of):
            Mine = type("Mine", (of,), {"requests": []})
            listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mine)
            stack.enter_context(listening)
            threading.Thread(target=listening.serve_forever, args=[0.01], daemon=True).start()
            stack.callback(listening.shutdown)
            Mine.host = f"http://127.0.0.1:{listening.server_port}"
            Mine.address = f"{Mine.host}/rows.jsonl"
            return Mine

        yield do


@pytest.fixture
def server(serve):
    return serve(Server)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """gdown's retries wait for seconds, and a proxy would keep us from our own server."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(random, "uniform", lambda *_: 0.01)


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
    assert server.requests == [0]
    for checksum in (BLOB, ""):
        out.write_bytes(b"old")
        fetch(server.address, out, checksum)
        assert out.read_bytes() == CONTENT


def test_a_broken_download_is_resumed_and_one_that_stays_broken_publishes_nothing(server, tmp_path):
    out = tmp_path / "rows.jsonl"
    out.write_bytes(b"old")
    server.cut = 0
    with pytest.raises(EssenceError, match=r"could not be fetched .*set data.source: path"):
        fetch(server.address, out)
    assert out.read_bytes() == b"old" and only(tmp_path) == ["rows.jsonl"]
    server.cut = 1_500_000
    fetch(server.address, out, BLOB)
    assert out.read_bytes() == CONTENT and max(server.requests) > 0
    assert only(tmp_path) == ["rows.jsonl"]


def test_a_wrong_checksum_or_a_web_page_keeps_nothing(server, tmp_path):
    with pytest.raises(EssenceError, match=r"expected 00.*Nothing was kept"):
        fetch(server.address, tmp_path / "rows.jsonl", "00" * 20)
    server.content = b"\n<!DOCTYPE html><html>Sign in</html>"
    with pytest.raises(EssenceError, match=r"web page instead .*download it by hand"):
        fetch(server.address, tmp_path / "rows.jsonl")
    assert only(tmp_path) == []


def test_unreachable_addresses_say_what_to_do(server, tmp_path):
    for address in (f"{server.host}/missing", "http://nowhere.invalid/rows.jsonl"):
        cure = f"download it by hand from {re.escape(address)} and set data.source: path and data."
        with pytest.raises(EssenceError, match=cure):
            fetch(address, tmp_path / "rows.jsonl")
    assert only(tmp_path) == []


LOGIN = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>"
ZIP = {"Content-Disposition": 'attachment; filename="sql-llama-data.zip"'}


class Service(Server):
    """The file-sharing service, which may answer with a page."""

    page, page_headers = "", {}

    def do_GET(self):
        kind = type(self)
        kind.requests.append(self.path)
        body, headers = zipped(data__rows_jsonl=CONTENT, data__readme="hello"), ZIP
        if kind.page:
            body, headers = kind.page.encode(), kind.page_headers
        self.send_response(200)
        content = "text/html" if body[:1] == b"<" else "application/octet-stream"
        for name, value in {**headers, "Content-Type": content}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def service(serve, monkeypatch):
    """The service on loopback. gdown itself asks; only the host of its requests is replaced."""
    mine, send = serve(Service), requests.adapters.HTTPAdapter.send

    def send_to_loopback(adapter, request, **how):
        request.url = re.sub(r"^https://[a-z.]*google\.com", mine.host, request.url)
        return send(adapter, request, **how)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send_to_loopback)
    return mine


def test_the_file_sharing_service_goes_by_id(service, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    fetch("drive:1_abc", out, BLOB)
    assert out.read_bytes() == CONTENT and only(tmp_path) == ["rows.jsonl"]
    assert service.requests == ["/uc?id=1_abc"]
    assert "https://drive.google.com/file/d/1_abc/view" in capsys.readouterr().out


def test_a_page_of_the_service_is_not_taken_for_rows(service, tmp_path):
    service.page = LOGIN
    cure = "download it by hand from https://drive.google.com/file/d/1_abc/view and set data.source"
    with pytest.raises(EssenceError, match=cure) as caught:
        fetch("drive:1_abc", tmp_path / "rows.jsonl", BLOB)
    assert "\n" not in str(caught.value)
    service.page_headers = ZIP  # a page under the name of the file
    with pytest.raises(EssenceError, match=r"answered with a web page instead of the file"):
        fetch("drive:1_abc", tmp_path / "rows.jsonl", BLOB)
    assert only(tmp_path) == []


def test_no_space_is_said_as_such(tmp_path, monkeypatch):
    def download(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gdown, "download", download)
    with pytest.raises(EssenceError, match="no space left on the disk"):
        fetch("drive:1_abc", tmp_path / "rows.jsonl")


def test_a_zip_with_several_files_wants_a_name(server, tmp_path):
    server.content = zipped(a_jsonl=b"a\n", b__b_jsonl=b"b\n")
    out = tmp_path / "rows.jsonl"
    with pytest.raises(EssenceError, match=r"holds 2 files .*--member out of: a.jsonl, b/b.jsonl"):
        fetch(server.address, out)
    with pytest.raises(EssenceError, match=r"holds 0 files named c.jsonl"):
        fetch(server.address, out, member="c.jsonl")
    fetch(server.address, out, member="b.jsonl")
    assert out.read_bytes() == b"b\n"


def test_a_damaged_zip(server, tmp_path):
    content = bytearray(zipped(a_jsonl=bytes(range(256)) * 100))
    content[60:70] = b"x" * 10
    server.content = bytes(content)
    with pytest.raises(EssenceError, match="zip can't be unpacked"):
        fetch(server.address, tmp_path / "rows.jsonl")
    assert only(tmp_path) == []


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
