"""Running SQL that a model wrote: in a process that can be killed, reading only, within limits.

`Sandbox` keeps a few worker processes (see `worker.py` for the walls around them) and hands them
statements; whatever a statement does, the answer is a `Result` and its neighbours never notice.
"""

import contextlib
import dataclasses
import json
import math
import os
import queue
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Self

from workflow_scripts.errors import EssenceError
from workflow_scripts.sql import worker as worker_module

# The worker limits its processor time. By the clock it gets so many times as much and a few seconds
# more, for a busy machine or a slow disk, then the parent kills it.
CLOCK_FACTOR = 4
GRACE_SECONDS = 4.0
COMMAND = [sys.executable, "-I", "-S", worker_module.__file__]
KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH",)  # where some installations keep Python's own libraries


@dataclass(frozen=True)
class Limits:
    """What one statement may use.

    Seconds of processor time, rows, bytes of a cell, of the SQL and of the result, megabytes, and
    seconds of one call inside SQLite, for statements whose steps are limited.
    """

    seconds: float = 30.0  # BIRD's evaluation waits as long
    rows: int = 100_000
    cell_bytes: int = 1_000_000
    sql_bytes: int = 100_000
    result_bytes: int = 20_000_000
    memory_mb: int = 512
    call_seconds: float = 5.0  # sorting a million rows is one call, of about a second

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if not 0 < value < math.inf:
                raise EssenceError(f"limit {name}: {value!r} is not a number above 0")
        if self.memory_mb < 64:
            raise EssenceError("limit memory_mb: a worker needs at least 64 MB; give it more")


@dataclass(frozen=True)
class Result:
    """The result of a statement. `rows` (tuples) and `columns` are None unless status is ok.

    Text that is not UTF-8 comes with its bad bytes written as \\xNN, so that values which differ
    in the file differ here. `exception` is the class of an error that SQLite raised, as Python
    writes it. `seconds` is what the clock said, fetching included; `steps` are the instructions
    that SQLite's virtual machine took, by thousands: 0 for fewer than one thousand, and where the
    process had to be ended. `times` are the pairs of seconds of a race (see `Sandbox.execute`).
    """

    status: str
    rows: list[tuple] | None = None
    columns: list[str] | None = None
    error: str | None = None
    exception: str | None = None
    seconds: float = 0.0
    steps: int = 0
    times: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.status == "ok"


def result_of(message: dict[str, Any]) -> Result:
    """Read the result that a worker sent as JSON, where bytes are {"hex": ...}."""
    rows = message.get("rows")
    if rows is not None:
        rows = [
            tuple(bytes.fromhex(c["hex"]) if isinstance(c, dict) else c for c in row)
            for row in rows
        ]
    times = [tuple(pair) for pair in message.get("times", ())]
    return Result(**{**message, "rows": rows, "times": times})


def message_of(result: Result) -> dict[str, Any]:
    """Write what `result_of` reads."""
    rows = result.rows
    if rows is not None:
        rows = [[{"hex": c.hex()} if isinstance(c, bytes) else c for c in row] for row in rows]
    return {**vars(result), "rows": rows}


class _Worker:
    """One process that runs a statement at a time."""

    def __init__(self, memory_mb: int):
        self.pipe, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno()), str(memory_mb)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ},
                cwd="/",
            )

    def ask(self, request: dict) -> dict | None:
        """Send a request; return None when no answer came in time or the process died."""
        try:
            self.pipe.send_bytes(json.dumps(request).encode())
            in_time = self.pipe.poll(CLOCK_FACTOR * request["seconds"] + GRACE_SECONDS)
            return json.loads(self.pipe.recv_bytes()) if in_time else None
        except (OSError, EOFError):
            return None

    def stop(self) -> int:
        """End the process if it still runs, and return its exit code (negative for a signal)."""
        self.pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.05)
        self.process.kill()
        return self.process.wait()


class Sandbox:
    """A pool of workers; use it as a context manager. Safe to call from several threads."""

    def __init__(self, limits: Limits | None = None, workers: int | None = None):
        self.limits = limits or Limits()
        self.workers = min(4, os.cpu_count() or 1) if workers is None else workers
        if self.workers < 1:
            raise EssenceError(f"workers: {workers} is not a number above 0")
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(self.workers):
            self._idle.put(None)  # started when first needed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for _ in range(self.workers):
            worker = self._idle.get()
            if worker is not None:
                worker.stop()
            self._idle.put(None)

    def execute(
        self,
        database: Path | str,
        sql: str,
        seconds: float | None = None,
        rival: str | None = None,
        repeat: int = 0,
        steps: int | None = None,
    ) -> Result:
        """Run one statement; never raises for what the SQL or the database file does.

        It may take `seconds` of processor time and, where given, `steps` of SQLite. With a `rival`,
        another statement, both are then run by turns, `repeat` times, and their seconds are in
        `Result.times`.
        """
        limits = dataclasses.asdict(self.limits)
        default = limits.pop("seconds")
        request = {"database": str(Path(database).absolute()), "sql": sql, "limits": limits}
        request |= {"seconds": seconds or default, "steps": steps}
        request |= {"rival": rival, "repeat": repeat}
        return self._ask(request)

    def _ask(self, request: dict) -> Result:
        worker = self._idle.get()
        try:
            worker = worker or _Worker(self.limits.memory_mb)
            answer = worker.ask(request)
            if answer is None:
                code, worker = worker.stop(), None
                answer = _last_words(code, request)
            elif answer.pop("retire", False):
                worker.stop()
                worker = None
            return result_of(answer)
        except BaseException:
            if worker is not None:
                worker.stop()
            worker = None
            raise
        finally:
            self._idle.put(worker)


def _last_words(code: int, request: dict) -> dict:
    """Answer for a worker that died."""
    if code in (-signal.SIGPROF, -signal.SIGKILL):
        error = f"no answer within {request['seconds']:g} s of processor time"
        return {"status": "timeout", "error": error, "seconds": request["seconds"]}
    if code == -signal.SIGVTALRM:
        seconds = request["limits"]["call_seconds"]
        error = f"a single step of SQLite took {seconds:g} s of processor time"
        return {"status": "step limit", "error": error, "seconds": seconds}
    cause = f"signal {-code}" if code < 0 else f"exit code {code}"
    error = f"the statement brought its process down ({cause})"
    return {"status": "error", "error": error, "seconds": 0.0}
