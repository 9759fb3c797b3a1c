"""A page on this machine to ask databases with: for its user alone, and reading only.

A request must name this address as its host and come from this page, so that no other site in the
same browser gets in. Questions wait for their turn.
"""

import contextlib
import json
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Lock
from typing import Any

from pydantic import ValidationError

from workflow_scripts.agents.loop import read_question, read_schema
from workflow_scripts.agents.trace import Trace
from workflow_scripts.errors import EssenceError
from workflow_scripts.records import Record
from workflow_scripts.sql.databases import list_databases

LOOPBACK = "127.0.0.1"
LONGEST_REQUEST = 10_000_000  # bytes
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Sent(Record):
    """A question as the page sends it."""

    database: str
    question: str
    evidence: str = ""


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
        raise EssenceError(
            f"port {port} cannot be used ({error}). Give another with --port; 0: any free one."
        ) from error


class PageServer(ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 100

    def serve(self, databases: dict[str, Path], answer: Callable[[Trace], Trace]) -> None:
        """Serve until interrupted. `answer` is called for one question at a time."""
        self.databases, self.answer, self.turn = databases, answer, Lock()
        with contextlib.suppress(KeyboardInterrupt):
            self.serve_forever()


class PageHandler(SimpleHTTPRequestHandler):
    """One request: a file of the page, the names of the databases, or a question."""

    server: PageServer
    timeout = 30  # seconds of silence while a request comes in

    def __init__(self, *args: Any):
        super().__init__(*args, directory=str(Path(__file__).with_name("page")))

    def parse_request(self) -> bool:
        """Read a request, and refuse it where it does not come from this page."""
        if not super().parse_request():
            return False
        length = self.headers.get("Content-Length", "")
        length = int(length) if length.isdecimal() else 0
        self.content = self.rfile.read(min(length, LONGEST_REQUEST))  # else none hears an answer
        host = self.headers.get("Host")
        origin = self.headers.get("Origin", f"http://{host}").removeprefix("http://")
        port = self.server.server_address[1]
        if {host, origin} <= {f"{LOOPBACK}:{port}", f"localhost:{port}"}:
            return True
        self.send_error(403, "this page answers on this machine only, and no page of another site")
        return False

    def do_GET(self) -> None:
        if self.path == "/databases":
            self._send_json(200, sorted(self.server.databases))
        else:
            super().do_GET()

    def do_POST(self) -> None:
        try:
            self._send_json(200, self._answer().as_json())
        except ValidationError as error:
            self.send_error(400, f"the question cannot be read: {error.errors()[0]['msg']}")
        except EssenceError as error:
            self.send_error(400, str(error))

    def _answer(self) -> Trace:
        sent = Sent.model_validate_json(self.content)
        database = self.server.databases.get(sent.database)
        if not database:
            raise EssenceError(f"there is no database {sent.database!r:.60} here")
        with self.server.turn:
            return self.server.answer(read_question(database, sent.question, sent.evidence))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the page can show, also where the library refuses a request."""
        self._send_json(code, {"error": message or self.responses[code][0]})

    def _send_json(self, code: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing: questions are their user's own."""
