"""The page that asks: who may open it, whose turn it is, and what it is told.

The page is for its user alone: a request must name this address as its host and come from this
page, so that no other site in the same browser gets in. Questions are answered one at a time; while
one waits, its place is sent, and it is dropped when its asker has gone. SQL that a user writes runs
as a model's does. Every reply is JSON on one line, errors too; what comes before an answer has
lines of its own.
"""

import contextlib
import json
import select
import socket
import sys
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Condition
from typing import Any

from pydantic import ValidationError

from workflow_scripts.agents.loop import Trace, read_question, read_schema, result_json
from workflow_scripts.errors import EssenceError
from workflow_scripts.records import Record
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.sql.sandbox import Limits, Result

LOOPBACK = "127.0.0.1"
LONGEST_REQUEST = 10_000_000  # bytes
LOOK_SECONDS = 0.5  # between two looks whether who waits is still there
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
    """A question about a database, SQL to run on it, or its name alone, as the page sends it."""

    database: str
    question: str = ""
    evidence: str = ""
    sql: str = ""


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

    def serve(
        self,
        databases: dict[str, Path],
        answer: Callable[[Trace], Trace],
        execute: Callable[[Path, str], Result],
    ) -> None:
        """Serve until interrupted. `answer` is called for one question at a time."""
        self.databases, self.answer, self.execute = databases, answer, execute
        self.line: list[PageHandler] = []  # who waits for an answer; the first one's is being made
        self.moved = Condition()
        with contextlib.suppress(KeyboardInterrupt):
            self.serve_forever()

    def handle_error(self, *request: Any) -> None:
        """Print what went wrong, but not that someone has gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*request)


class PageHandler(SimpleHTTPRequestHandler):
    """One request: a file of the page, or what the page asks for as JSON."""

    server: PageServer
    timeout = 30  # seconds of silence while a request comes in
    replying = False

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
            self._reply(sorted(self.server.databases))
        else:
            super().do_GET()

    def do_POST(self) -> None:
        makers = {"/schema": self._describe, "/ask": self._ask, "/run": self._run}
        if self.path not in makers:
            return self.send_error(404)
        try:
            self._reply(self._make(makers[self.path]))
        except EssenceError as error:
            self.send_error(400, str(error))
        except ConnectionError:
            raise
        except Exception:  # a fault of the program's: the page must not wait for ever
            self.send_error(500, "the program failed; the terminal that it runs in says how")
            raise

    def _make(self, maker: Callable[[Path, Sent], dict[str, Any]]) -> dict[str, Any]:
        """Make what is sent back. Raises EssenceError without any path of this machine."""
        try:
            sent = Sent.model_validate_json(self.content)
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            raise EssenceError(f"the request cannot be read: {message}") from error
        database = self.server.databases.get(sent.database)
        if not database:
            raise EssenceError(f"there is no database {sent.database!r:.60} here")
        try:
            return maker(database, sent)
        except EssenceError as error:
            raise EssenceError(str(error).replace(str(database), sent.database)) from error

    def _describe(self, database: Path, _: Sent) -> dict[str, dict[str, list[str]]]:
        """Map tables to their columns with examples of values."""
        return {
            table.name: {
                column.name: [str(each) for each in column.examples or () if each is not None]
                for column in table.columns
            }
            for table in read_schema(database).tables
        }

    def _run(self, database: Path, sent: Sent) -> dict[str, Any]:
        result = result_json(self.server.execute(database, sent.sql), Limits.rows)
        error = (result["error"] or "").replace(str(database.absolute()), sent.database)
        return result | {"error": error or None}

    def _ask(self, database: Path, sent: Sent) -> dict[str, Any]:
        question = read_question(database, sent.question, sent.evidence)
        line, moved, place = self.server.line, self.server.moved, 0
        with moved:
            line.append(self)
        try:
            with moved:
                while ahead := line.index(self):
                    if ahead != place:
                        self._reply({"ahead": ahead})
                    place = ahead
                    moved.wait(LOOK_SECONDS)
                    self._check_asker()
            self._check_asker()
            return self.server.answer(question).as_json()
        finally:
            with moved:
                line.remove(self)
                moved.notify_all()

    def _check_asker(self) -> None:
        """Raise ConnectionError when who asked has closed the connection."""
        readable = select.select([self.connection], [], [], 0)[0]
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionAbortedError

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the page can show, also where the library refuses a request."""
        self._reply({"error": message or self.responses[code][0]}, code)

    def _reply(self, value: Any, code: int = 200) -> None:
        """Send a line of JSON, after the headers if it is the first."""
        if not self.replying:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
        self.replying = True
        self.wfile.write(json.dumps(value).encode() + b"\n")

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing: questions are their user's own."""
