"""Running SQL that a model wrote: in a process that can be killed, reading only, within limits.

    python -m workflow_scripts.sql.execute DATABASE "SELECT ..." --json

`Sandbox` keeps a few worker processes (see `worker.py` for the walls around them) and hands them
statements; whatever a statement does, the answer is a `Result` and its neighbours never notice.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import queue
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.sql import worker as worker_module

# The worker limits its processor time. By the clock it gets CLOCK times as much and GRACE seconds,
# for a busy machine or a slow disk, then the parent kills it.
CLOCK = 4
GRACE = 4.0
FRAME = worker_module.FRAME
KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH",)  # where some installations keep Python's own libraries


@dataclass(frozen=True)
class Limits:
    """What one statement may use.

    Seconds of processor time, rows, bytes of a cell, of the SQL and of the result, megabytes.
    """

    seconds: float = 30.0  # BIRD's evaluation waits as long
    rows: int = 100_000
    cell_bytes: int = 1_000_000
    sql_bytes: int = 100_000
    result_bytes: int = 20_000_000
    memory_mb: int = 512

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise EssenceError(f"limit {name}: {value!r} is not a number above 0")
        if self.memory_mb < 64:
            raise EssenceError("limit memory_mb: a worker needs at least 64 MB; give it more")


@dataclass(frozen=True)
class Result:
    """What became of a statement. `rows` (tuples) and `columns` are None unless status is ok.

    Text that is not UTF-8 comes with its bad bytes written as \\xNN, so that values which differ
    in the file differ here. `seconds` is what the clock said, fetching included. `times`
    are the pairs of seconds of a race (see `Sandbox.race`).
    """

    status: str
    rows: list[tuple] | None = None
    columns: list[str] | None = None
    error: str | None = None
    seconds: float = 0.0
    times: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.status == "ok"


def _result(answer: dict) -> Result:
    rows = answer.get("rows")
    if rows is not None:
        rows = [
            tuple(bytes.fromhex(c["hex"]) if isinstance(c, dict) else c for c in r) for r in rows
        ]
    return Result(
        answer["status"],
        rows,
        answer.get("columns"),
        answer.get("error"),
        answer["seconds"],
        [tuple(pair) for pair in answer.get("times", ())],
    )


class WorkerGone(Exception):
    """The worker process ended, or had to be ended, before it answered."""


class _Worker:
    """One process that runs a statement at a time."""

    def __init__(self, memory_mb: int):
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", worker_module.__file__, str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ},
            cwd="/",
            bufsize=0,
        )

    def ask(self, request: dict) -> dict:
        """Raises WorkerGone when no answer came in time or the process died."""
        data = json.dumps(request).encode()
        try:
            _write_all(self.process.stdin.fileno(), FRAME.pack(len(data)) + data)
        except OSError as error:
            raise WorkerGone from error
        end = time.monotonic() + CLOCK * request["seconds"] + GRACE
        (size,) = FRAME.unpack(self._read(FRAME.size, end))
        return json.loads(self._read(size, end + GRACE))

    def _read(self, size: int, end: float) -> bytes:
        parts, left = [], size
        while left:
            ready, _, _ = select.select(
                [self.process.stdout], [], [], max(0, end - time.monotonic())
            )
            part = os.read(self.process.stdout.fileno(), min(left, 2**20)) if ready else b""
            if not part:
                raise WorkerGone
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def stop(self) -> int:
        """End the process if it still runs; its exit code, negative for a signal."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.05)
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        return self.process.wait()


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


class Sandbox:
    """A pool of workers; use it as a context manager. Safe to call from several threads."""

    def __init__(self, limits: Limits | None = None, workers: int | None = None):
        self.limits = limits or Limits()
        self.workers = workers or min(4, os.cpu_count() or 1)
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(self.workers):
            self._idle.put(None)  # started when first needed

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for _ in range(self.workers):
            worker = self._idle.get()
            if worker is not None:
                worker.process.stdin.close()
                worker.stop()
            self._idle.put(None)

    def execute(self, database: Path | str, sql: str, seconds: float | None = None) -> Result:
        """Run one statement; never raises for what the SQL or the database file does."""
        return self._ask(self._request(database, sql, seconds))

    def race(
        self, database: Path | str, sql: str, rival: str, repeat: int, seconds: float | None = None
    ) -> Result:
        """As `execute(sql)`; then both statements by turns, `repeat` times: `Result.times`."""
        request = self._request(database, sql, seconds)
        return self._ask({**request, "rival": rival, "repeat": repeat})

    def map(self, jobs: Iterable[tuple[Path | str, str]]) -> Iterator[Result]:
        """Results of (database, sql) pairs, in order, over all workers."""
        with ThreadPoolExecutor(self.workers) as threads:
            yield from threads.map(lambda job: self.execute(*job), list(jobs))

    def _request(self, database: Path | str, sql: str, seconds: float | None) -> dict:
        limits = dataclasses.asdict(self.limits)
        default = limits.pop("seconds")
        path = str(Path(database).absolute())
        return {"database": path, "sql": sql, "seconds": seconds or default, "limits": limits}

    def _ask(self, request: dict) -> Result:
        worker = self._idle.get()
        try:
            worker = worker or _Worker(self.limits.memory_mb)
            answer = worker.ask(request)
        except WorkerGone:
            code, worker = worker.stop(), None
            return _result(_last_words(code, request))
        except BaseException:
            if worker is not None:
                worker.stop()
            worker = None
            raise
        else:
            if answer.pop("retire", False):
                worker.stop()
                worker = None
            return _result(answer)
        finally:
            self._idle.put(worker)


def _last_words(code: int, request: dict) -> dict:
    """The answer in the name of a worker that can't give one any more."""
    if code in (-signal.SIGPROF, -signal.SIGKILL):
        error = f"no answer within {request['seconds']:g} s"
        return {"status": "timeout", "error": error, "seconds": request["seconds"]}
    cause = f"signal {-code}" if code < 0 else f"exit code {code}"
    error = f"the statement brought its process down ({cause})"
    return {"status": "error", "error": error, "seconds": 0.0}


def jsonable(cell: Any) -> Any:
    """A cell as strict JSON can hold it: bytes as {"hex": ...}, an infinite number as text."""
    if isinstance(cell, bytes):
        return {"hex": cell.hex()}
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    return cell


def main() -> int:
    parser = argparse.ArgumentParser(description="Run one query, read-only and within limits.")
    parser.add_argument("database", help="a SQLite file")
    parser.add_argument("sql")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for limit in dataclasses.fields(Limits):
        flag = f"--{limit.name.replace('_', '-')}"
        parser.add_argument(flag, type=limit.type, default=limit.default)
    given = vars(parser.parse_args())
    limits = Limits(**{limit.name: given[limit.name] for limit in dataclasses.fields(Limits)})
    with Sandbox(limits, workers=1) as sandbox:
        result = sandbox.execute(given["database"], given["sql"])
    rows = result.rows and [[jsonable(cell) for cell in row] for row in result.rows]
    if given["json"]:
        answer = {
            "status": result.status,
            "columns": result.columns,
            "rows": rows if result.ok else None,
            "error": result.error,
            "seconds": result.seconds,
        }
        print(json.dumps(answer, allow_nan=False))
        return 0  # the status is in the answer
    if not result.ok:
        print(f"{result.status}: {result.error}", file=sys.stderr)
        return 1
    for row in result.rows:
        print("\t".join("NULL" if cell is None else str(cell) for cell in row))
    return 0


if __name__ == "__main__":
    run_cli(main)
