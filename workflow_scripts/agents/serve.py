"""A page on this machine to ask databases with: for its user alone, and reading only.

Bound to loopback. A request must name this address as its host, and whatever page sends it must
come from here, so that no other site in the same browser gets in. It offers the databases that it
was given and no others. One thread owns the model: questions wait for their turn.
"""

import asyncio
import errno
import json
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web

from workflow_scripts.agents.asking import Asker, UserQuestion
from workflow_scripts.agents.loop import read_schema
from workflow_scripts.errors import EssenceError
from workflow_scripts.sql.databases import list_databases

LOOPBACK = "127.0.0.1"
LONGEST_REQUEST = 100_000  # bytes
MOST_WAITING = 200  # questions; later ones are refused
FILES = {"/": "page.html", "/page.js": "page.js", "/page.css": "page.css"}
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


def listen(port: int) -> socket.socket:
    """Open a socket on loopback (port 0: any free one). Raises EssenceError when it is in use."""
    try:
        return socket.create_server((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise EssenceError(
                f"port {port} is in use on this machine. Give another with --port; 0: any free one."
            ) from error
        raise EssenceError(f"port {port} cannot be used ({error}). Give another.") from error


def serve(
    databases: dict[str, Path], asker: Asker, thread: ThreadPoolExecutor, at: socket.socket
) -> None:
    """Serve until interrupted. `thread` has one worker, in which the asker's model was loaded."""
    web.run_app(make_app(databases, asker, thread, at), sock=at, print=None, access_log=None)


def make_app(
    databases: dict[str, Path], asker: Asker, thread: ThreadPoolExecutor, at: socket.socket
) -> web.Application:
    port = at.getsockname()[1]
    app = web.Application(middlewares=[_reject_other_sites(port)], client_max_size=LONGEST_REQUEST)
    for path, name in FILES.items():
        app.router.add_get(path, _send_file(Path(__file__).parent / "page" / name))
    app.router.add_get("/databases", _send_names(databases))
    app.router.add_post("/ask", _QuestionQueue(databases, asker, thread).answer)
    return app


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _reject_other_sites(port: int) -> Callable:
    hosts = {f"{name}:{port}" for name in (LOOPBACK, "localhost")}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.headers.get("Host") not in hosts:
            return _refuse(403, "this page answers on this machine only")
        if origin is not None and origin.removeprefix("http://") not in hosts:
            return _refuse(403, "a page from another site may not ask here")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = _refuse(error.status, error.reason)
        response.headers.update(HEADERS)
        return response

    return check


def _refuse(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status, headers=HEADERS)


def _send_file(path: Path) -> Handler:
    async def send(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return send


def _send_names(databases: dict[str, Path]) -> Handler:
    async def send(_: web.Request) -> web.StreamResponse:
        return web.json_response(sorted(databases))

    return send


class _QuestionQueue:
    """A queue of questions, answered one at a time in their order."""

    def __init__(self, databases: dict[str, Path], asker: Asker, thread: ThreadPoolExecutor):
        self.databases, self.asker, self.thread = databases, asker, thread
        self.waiting = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            return _refuse(415, "a question comes as JSON")
        if self.waiting >= MOST_WAITING:
            return _refuse(503, "too many questions are waiting; ask again in a minute")
        self.waiting += 1
        try:
            asked = await request.json()
            work = asyncio.get_running_loop().run_in_executor(self.thread, self._ask, asked)
            return web.json_response(await work)
        except json.JSONDecodeError:
            return _refuse(400, "the question is not JSON")
        except EssenceError as error:
            return _refuse(400, str(error))
        finally:
            self.waiting -= 1

    def _ask(self, asked: Any) -> dict[str, Any]:
        """Answer one question, in the thread that owns the model."""
        texts = asked if isinstance(asked, dict) else {}
        database, question, evidence = (
            texts.get(key, "") for key in ("database", "question", "evidence")
        )
        if not all(isinstance(text, str) for text in (database, question, evidence)):
            raise EssenceError("database, question and evidence must be texts")
        if database not in self.databases:
            raise EssenceError(f"there is no database {database!r:.60} here")
        asked = UserQuestion(question, evidence)
        file = self.databases[database]
        trace = self.asker.ask(file, read_schema(file), asked)
        return {**trace.model_dump(mode="json"), "answered": trace.answered}
