"""Fetching rows: whole and checked, or nothing and a message with the cure."""

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
from shell import run_module

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
def server():
    """A class to set `content` and `cut` on, with the `address` of a file and the requests."""

    Mine = type("Mine", (Server,), {"requests": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mine) as listening:
        threading.Thread(target=listening.serve_forever, args=[0.01], daemon=True).start()
        Mine.address = f"http://127.0.0.1:{listening.server_port}/rows.jsonl"
        yield Mine
        listening.shutdown()


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


def test_http(server, tmp_path, capsys):
    out = tmp_path / "new" / "rows.jsonl"
    fetch(server.address, out, BLOB)
    said = capsys.readouterr().out
    assert out.read_bytes() == CONTENT
    assert "2,200,000 bytes" in said
    assert server.address in said
    assert only(out.parent) == ["rows.jsonl"]


def test_a_file_that_is_there_and_agrees_is_kept(server, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    out.write_bytes(CONTENT)
    fetch(server.address, out, BLOB.upper())
    assert "already there" in capsys.readouterr().out
    assert server.requests == []
    out.write_bytes(b"old")
    fetch(server.address, out, BLOB)
    assert out.read_bytes() == CONTENT


def test_without_a_checksum_it_is_always_fetched(server, tmp_path):
    out = tmp_path / "rows.jsonl"
    out.write_bytes(b"old")
    fetch(server.address, out)
    assert out.read_bytes() == CONTENT


def test_a_broken_download_is_resumed_by_the_same_command(server, tmp_path):
    server.cut = 1_500_000
    fetch(server.address, tmp_path / "rows.jsonl", BLOB)
    assert (tmp_path / "rows.jsonl").read_bytes() == CONTENT
    assert max(server.requests) > 0
    assert only(tmp_path) == ["rows.jsonl"]


@pytest.mark.parametrize("checksum", [BLOB, ""])
def test_a_download_that_stays_broken_publishes_nothing(server, tmp_path, checksum):
    out = tmp_path / "rows.jsonl"
    out.write_bytes(b"old")
    server.cut = 0
    with pytest.raises(EssenceError, match=r"could not be fetched .*set data.source: path"):
        fetch(server.address, out, checksum)
    assert out.read_bytes() == b"old" and only(tmp_path) == ["rows.jsonl"]
    server.cut = None
    fetch(server.address, out, checksum)
    assert out.read_bytes() == CONTENT


def test_a_wrong_checksum_keeps_nothing(server, tmp_path):
    out = tmp_path / "rows.jsonl"
    with pytest.raises(EssenceError, match=r"expected 00.*Nothing was kept"):
        fetch(server.address, out, "00" * 20)
    assert only(tmp_path) == []


def test_a_web_page_is_not_taken_for_rows(server, tmp_path):
    server.content = b"\n<!DOCTYPE html><html>Sign in</html>"
    with pytest.raises(EssenceError, match=r"web page instead .*download it by hand"):
        fetch(server.address, tmp_path / "rows.jsonl")
    assert only(tmp_path) == []


@pytest.mark.parametrize("end", ["missing", "offline"])
def test_unreachable_addresses_say_what_to_do(server, tmp_path, end):
    address = server.address.replace("rows", "missing").removesuffix(".jsonl")
    if end == "offline":
        address = "http://nowhere.invalid/rows.jsonl"
    cure = f"download it by hand from {re.escape(address)} and set data.source: path and data.path"
    with pytest.raises(EssenceError, match=cure):
        fetch(address, tmp_path / "rows.jsonl")
    assert only(tmp_path) == []


# The pages of the service, as far as they matter here.
CONFIRM = """<!DOCTYPE html><html><head><title>Virus scan warning</title></head><body>
<p class="uc-warning-caption">Google Drive can't scan this file for viruses.</p>
<form id="download-form" action="https://drive.usercontent.google.com/download" method="get"> \
<input type="submit" value="Download anyway"/><input type="hidden" name="id" value="1_abc"> \
<input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t"> \
<input type="hidden" name="uuid" value="8a1f"></form></body></html>"""
QUOTA = """<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-caption">Sorry, you can't view or download this file at this time.</p>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p>
</body></html>"""
LOGIN = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>"
ZIP = {"Content-Disposition": 'attachment; filename="sql-llama-data.zip"'}


class Service(Server):
    """The file-sharing service: `page`, if there is one, comes first, then the confirmed file."""

    page, page_headers = "", {}

    def do_GET(self):
        kind = type(self)
        kind.requests.append(self.path)
        body, headers = zipped(data__rows_jsonl=CONTENT, data__readme="hello"), ZIP
        if kind.page and "confirm=t" not in self.path:
            body, headers = kind.page.encode(), kind.page_headers
        self.send_response(200)
        content = "text/html" if body[:1] == b"<" else "application/octet-stream"
        for name, value in {**headers, "Content-Type": content}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def service(monkeypatch):
    """The service on loopback. gdown itself asks; only the host of its requests is replaced."""
    Mine = type("Mine", (Service,), {"requests": []})
    send = requests.adapters.HTTPAdapter.send

    def send_to_loopback(adapter, request, **how):
        host = f"http://127.0.0.1:{listening.server_port}"
        request.url = re.sub(r"^https://[a-z.]*google\.com", host, request.url)
        return send(adapter, request, **how)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mine) as listening:
        threading.Thread(target=listening.serve_forever, args=[0.01], daemon=True).start()
        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send_to_loopback)
        yield Mine
        listening.shutdown()


@pytest.mark.parametrize("page", ["", CONFIRM])
def test_the_file_sharing_service_goes_by_id(service, tmp_path, capsys, page):
    service.page, out = page, tmp_path / "rows.jsonl"
    fetch("drive:1_abc", out, BLOB)
    assert out.read_bytes() == CONTENT and only(tmp_path) == ["rows.jsonl"]
    assert service.requests[0] == "/uc?id=1_abc"
    assert len(service.requests) == (2 if page else 1)
    assert "https://drive.google.com/file/d/1_abc/view" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (QUOTA, "Too many users have viewed or downloaded this file recently"),
        (LOGIN, "Cannot retrieve the public link of the file"),
    ],
)
def test_a_page_of_the_service_is_not_taken_for_rows(service, tmp_path, page, said):
    service.page, out = page, tmp_path / "rows.jsonl"
    cure = "download it by hand from https://drive.google.com/file/d/1_abc/view and set data.source"
    with pytest.raises(EssenceError, match=cure) as caught:
        fetch("drive:1_abc", out, BLOB)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert only(tmp_path) == []
    service.page = ""
    fetch("drive:1_abc", out, BLOB)
    assert out.read_bytes() == CONTENT


def test_a_page_under_the_name_of_the_file_is_not_taken_for_rows(service, tmp_path):
    service.page, service.page_headers = LOGIN, ZIP
    with pytest.raises(EssenceError, match=r"answered with a web page instead of the file"):
        fetch("drive:1_abc", tmp_path / "rows.jsonl", BLOB)
    assert only(tmp_path) == []


def test_no_space_is_said_as_such(tmp_path, monkeypatch):
    def download(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gdown, "download", download)
    with pytest.raises(OSError, match="No space left"):
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


def test_a_file_address(tmp_path):
    (tmp_path / "with space.jsonl").write_bytes(CONTENT)
    address = (tmp_path / "with space.jsonl").as_uri()
    fetch(address, tmp_path / "out", BLOB)
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert (tmp_path / "with space.jsonl").exists()
    with pytest.raises(EssenceError, match=r"is not a file; correct the path"):
        fetch("file:///nowhere/rows.jsonl", tmp_path / "out")


@pytest.mark.parametrize("address", ["rows.jsonl", "ftp://host/rows.jsonl"])
def test_other_addresses_are_refused(tmp_path, address):
    with pytest.raises(EssenceError, match=r"data.url: .* not an address that can be fetched"):
        fetch(address, tmp_path / "out")


def test_the_command(tmp_path):
    (tmp_path / "in").write_bytes(CONTENT)
    given = ["--out", tmp_path / "out", "--address", (tmp_path / "in").as_uri()]
    done = run_module("workflow_scripts.data.fetch", *given, "--git-blob", BLOB)
    assert done.stdout.startswith("Fetched "), done.stderr
    failed = run_module("workflow_scripts.data.fetch", *given, "--git-blob", "0")
    assert (failed.returncode, failed.stderr[:7]) == (2, "error: ")
    assert (tmp_path / "out").read_bytes() == CONTENT
