"""A page on this machine to ask databases with: for its user alone, and reading only.

Bound to loopback. A request must name this address as its host, and whatever page sends it must
come from here, so that no other site in the same browser gets in. It offers the databases that it
was given and no others. One thread owns the model: questions wait for their turn.
"""

import contextlib
import errno
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

from workflow_scripts.agents.loop import read_question, read_schema
from workflow_scripts.agents.trace import Question, Trace
from workflow_scripts.errors import EssenceError
from workflow_scripts.sql.databases import list_databases

LOOPBACK = "127.0.0.1"
LONGEST_REQUEST = 100_000  # bytes
DISCARDED = 10_000_000  # bytes of a longer request that are read, so that its sender gets an answer
FOLDER = Path(__file__).parent / "page"
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def list_served(place: Path) -> dict[str, Path]:
    """Map names to files: one SQLite file, or all in a folder. Raises EssenceError for none."""
    if not place.is_dir():
        read_schema(place)  # an unusable file is reported before the page opens
        return {place.stem: place}
    databases = dict(list_databases(place))
    if not databases:
        raise EssenceError(f"{place}: no databases in it, neither NAME.sqlite nor NAME/NAME.sqlite")
    return databases


def listen(port: int) -> "PageServer":
    """Listen on loopback (port 0: any free one). Raises EssenceError when that is not possible."""
    try:
        return PageServer((LOOPBACK, port), PageHandler)
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise EssenceError(
                f"port {port} is in use on this machine. Give another with --port; 0: any free one."
            ) from error
        raise EssenceError(f"port {port} cannot be used ({error}). Give another.") from error


def serve(
    server: "PageServer", databases: dict[str, Path], answer: Callable[[Question], Trace]
) -> None:
    """Serve until interrupted. `answer` is called by one thread, for one question at a time."""
    server.databases, server.answer = databases, answer
    with ThreadPoolExecutor(1) as server.queue, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


class PageServer(ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 100
    databases: dict[str, Path]
    answer: Callable[[Question], Trace]
    queue: ThreadPoolExecutor


class PageHandler(BaseHTTPRequestHandler):
    """One request: the page's files, the names of the databases, or a question."""

    server: PageServer
    timeout = 30  # seconds of silence while a request comes in

    def do_GET(self) -> None:
        if objection := self._find_objection():
            self.send_error(403, objection)
        elif self.path == "/databases":
            self._send_json(200, sorted(self.server.databases))
        elif self.path in FILES:
            name, kind = FILES[self.path]
            self._send(200, (FOLDER / name).read_bytes(), kind)
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        content = self._read_content()
        if objection := self._find_objection():
            self.send_error(403, objection)
        elif self.path != "/ask":
            self.send_error(404)
        elif self.headers.get_content_type() != "application/json":
            self.send_error(415, "a question comes as JSON")
        elif content is None:
            self.send_error(413)
        else:
            try:
                trace = self.server.queue.submit(self._answer, content).result()
                self._send_json(200, trace.as_json())
            except EssenceError as error:
                self.send_error(400, str(error))

    def _find_objection(self) -> str | None:
        """Say why a request does not come from this page, if it does not."""
        port = self.server.server_address[1]
        hosts = {f"{name}:{port}" for name in (LOOPBACK, "localhost")}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in hosts:
            return "this page answers on this machine only"
        if origin is not None and origin.removeprefix("http://") not in hosts:
            return "a page from another site may not ask here"
        return None

    def _read_content(self) -> bytes | None:
        """Read what was sent; None for more than a question has."""
        length = self.headers.get("Content-Length", "")
        length = int(length) if length.isdecimal() else 0
        content = self.rfile.read(min(length, DISCARDED))
        return content if length <= LONGEST_REQUEST else None

    def _answer(self, content: bytes) -> Trace:
        """Answer one question, in the thread that owns the model."""
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            raise EssenceError("the question is not JSON") from None
        texts = value if isinstance(value, dict) else {}
        database, *question = (texts.get(key, "") for key in ("database", "question", "evidence"))
        if not all(isinstance(text, str) for text in (database, *question)):
            raise EssenceError("database, question and evidence must be texts")
        if database not in self.server.databases:
            raise EssenceError(f"there is no database {database!r:.60} here")
        return self.server.answer(read_question(self.server.databases[database], *question))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the page can show, also where the library refuses a request."""
        self._send_json(code, {"error": message or self.responses[code][0]})

    def _send_json(self, code: int, value: Any) -> None:
        self._send(code, json.dumps(value).encode(), "application/json")

    def _send(self, code: int, content: bytes, kind: str) -> None:
        self.send_response(code)
        for name, value in {**HEADERS, "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing: questions are their user's own."""
