"""Running SQL that a model wrote: in processes that can be killed, reading only, within limits.

`worker.py` has the walls around a process. Whatever a statement does, the answer is a `Result`.
"""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.errors import EssenceError
from workflow_scripts.sql import worker

COMMAND = [sys.executable, "-I", "-S", worker.__file__]
KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH",)  # where some installations keep Python's own libraries
AT_ONCE = 16  # most statements for one process, which takes 30 ms to start


@dataclass(frozen=True)
class Limits:
    """What one statement may use; `seconds` are of processor time."""

    seconds: float = 30.0  # BIRD's evaluation waits as long
    rows: int = 100_000
    cell_bytes: int = 1_000_000
    sql_bytes: int = 100_000
    result_bytes: int = 20_000_000
    memory_mb: int = 512

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if not 0 < value < math.inf:
                raise EssenceError(f"limit {name}: {value!r} is not a number above 0")
        if self.memory_mb < 64:
            raise EssenceError("limit memory_mb: a worker needs at least 64 MB; give it more")


class Job(NamedTuple):
    """A statement to run, with the most steps of SQLite that it may take (None: any number)."""

    database: Path | str
    sql: str
    steps: int | None = None


@dataclass(frozen=True)
class Result:
    """The result of a statement. `rows` (tuples) and `columns` are None unless status is ok.

    Bytes that are not UTF-8 are written as \\xNN. `exception`: the class of an error of SQLite.
    `seconds` of the clock, fetching included; `steps`: instructions of SQLite's virtual machine, in
    whole thousands; 0 where the process had to be ended.
    """

    status: str
    rows: list[tuple] | None = None
    columns: list[str] | None = None
    error: str | None = None
    exception: str | None = None
    seconds: float = 0.0
    steps: int = 0

    @property
    def ok(self) -> bool:
        return self.status == "ok"


class Sandbox:
    """Runs statements, up to `workers` at a time; safe to call from several threads."""

    def __init__(self, limits: Limits | None = None, workers: int | None = None):
        self.limits = limits or Limits()
        self.workers = min(4, os.cpu_count() or 1) if workers is None else workers
        if self.workers < 1:
            raise EssenceError(f"workers: {workers} is not a number above 0")

    def execute(self, database: Path | str, sql: str, steps: int | None = None) -> Result:
        """Run one `Job`; never raises for what the SQL or the database file does."""
        return self.run([Job(database, sql, steps)])[0]

    def map(self, jobs: Iterable[tuple]) -> list[Result]:
        """Run jobs (see `Job`) and return results in order; equal jobs run once."""
        jobs = [Job(*job) for job in jobs]
        different = list(dict.fromkeys(jobs))
        size = max(1, min(AT_ONCE, len(different) // self.workers))
        parts = [different[start : start + size] for start in range(0, len(different), size)]
        with ThreadPoolExecutor(self.workers) as threads:
            results = chain.from_iterable(threads.map(self.run, parts))
        by_job = dict(zip(different, results, strict=True))
        return [by_job[job] for job in jobs]

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Run statements one after the other, equal ones too, in one process if none ends it."""
        results: list[Result] = []
        while left := jobs[len(results) :]:
            done = subprocess.run(
                [*COMMAND, json.dumps(dataclasses.asdict(self.limits)), str(os.getpid())],
                input="".join(
                    f"{json.dumps([str(Path(job.database).absolute()), job.sql, job.steps])}\n"
                    for job in left
                ).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ},
                cwd="/",
            )
            answers = done.stdout.split(b"\n")[:-1]  # the last may be cut short
            results += map(_result, answers)
            if done.returncode == -signal.SIGINT:
                raise KeyboardInterrupt
            if done.returncode in (-signal.SIGPROF, -signal.SIGALRM):
                error = f"no answer within {self.limits.seconds:g} s of processor time"
                results.append(Result("timeout", error=error, seconds=self.limits.seconds))
            elif done.returncode or not answers:
                error = f"the statement brought its process down ({done.returncode})"
                results.append(Result("error", error=error))
        return results[: len(jobs)]


def _result(line: bytes) -> Result:
    """Read the answer of a worker, where bytes are {"hex": ...}."""
    answer = json.loads(line, object_hook=lambda o: bytes.fromhex(o["hex"]) if "hex" in o else o)
    answer["rows"] = answer.get("rows") and list(map(tuple, answer["rows"]))
    return Result(**answer)


def json_rows(rows: list[tuple]) -> list[list[Any]]:
    """Write rows as strict JSON: bytes as {"hex": ...}, an infinite number as text."""

    def write(cell: Any) -> Any:
        if isinstance(cell, bytes):
            return {"hex": cell.hex()}
        return str(cell) if isinstance(cell, float) and not math.isfinite(cell) else cell

    return [list(map(write, row)) for row in rows]
