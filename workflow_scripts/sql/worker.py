"""The process that runs untrusted SQL: it answers requests, a line each, and has no privileges.

It stands alone (standard library only) and is started by `sandbox.Sandbox` without the caller's
environment. Around a statement lie, from the outside in: limits of the operating system, timers
that kill the process, a read-only connection with SQLite's own limits, an authorizer that allows
nothing but reading, and counts of rows, bytes and steps (instructions of SQLite's virtual machine,
the same on every machine). Seconds are of processor time, so that a busy machine changes no
verdict. Requests and answers are JSON, so that nothing the worker sends can run in the parent.
"""

import contextlib
import ctypes
import json
import os
import re
import resource
import signal
import sqlite3
import stat
import sys
import time
from pathlib import Path
from urllib.parse import quote

KILL_AFTER = 0.5  # seconds past the limit before the timer ends a call that SQLite can't interrupt
CLOCK_FACTOR, GRACE_SECONDS = 4, 4.0  # the clock's limit: so many times the processor's, and more
BUSY_SECONDS = 0.5
STEPS = 1000  # steps between two looks at the limits
PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets when its parent ends

# functions.txt has the functions of SQLite 3.40 and later that only compute. Left out on purpose:
# what touches files, randomblob, zeroblob, and what reports on the connection.
USES_FILES = ["functions.txt"]
FUNCTIONS = frozenset(Path(__file__).with_name("functions.txt").read_text().split())
STATEMENT_WORDS = """
    alter analyze attach begin commit create delete detach drop end explain insert pragma reindex
    release replace rollback savepoint update vacuum
"""
LEADING = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)


class Refused(Exception):
    """The statement asks for something that no model output may do."""


class Stop:
    """Count the steps of a statement, by thousands, and say when it must stop."""

    def __init__(self, seconds: float, most_steps: int | None):
        self.end, self.steps = time.process_time() + seconds, 0
        self.most_steps = most_steps or float("inf")

    def __call__(self) -> bool:
        self.steps += STEPS
        return self.steps > self.most_steps or time.process_time() > self.end


def check_first_word(sql: str) -> None:
    """Raise Refused for a statement that is not SELECT, WITH or VALUES, ValueError for no SQL."""
    if "\0" in sql:
        raise Refused("the SQL holds a NUL byte")
    statement = sql[LEADING.match(sql).end() :]
    word = re.match(r"\w*", statement).group().lower()
    if word in STATEMENT_WORDS.split():
        raise Refused(f"only SELECT may run here, not {word.upper()}")
    if word not in ("select", "with", "values"):
        if not statement.strip("; \t\r\n"):
            raise ValueError("there is no SQL to run")
        raise ValueError(f"syntax error: a query starts with SELECT or WITH, not {word[:40]!r}")


def address(path: str) -> str:
    """Build the URI that opens a database for reading and leaves no file beside it.

    `immutable`: else one in WAL mode without its log can't be opened in a read-only folder.
    """
    file = Path(path)
    info = file.stat()
    if not stat.S_ISREG(info.st_mode):
        raise OSError("not a regular file")
    if info.st_size == 0:
        raise OSError("the database is empty (0 bytes)")
    with open(file, "rb") as handle:
        header = handle.read(20)
    if not header.startswith(b"SQLite format 3\0"):
        raise OSError("file is not a database")
    wal = Path(f"{path}-wal")
    alone = header[18:20] == b"\2\2" and not (wal.exists() and wal.stat().st_size)
    return f"file:{quote(str(file.resolve()))}?mode=ro" + ("&immutable=1" if alone else "")


def connect(path: str, limits: dict) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address(path), uri=True, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=0
    )
    connection.text_factory = lambda value: value.decode("utf-8", "backslashreplace")
    pragmas = f"""
        hard_heap_limit={limits["memory_mb"] * 2**20 // 2} trusted_schema=OFF cell_size_check=ON
        query_only=ON temp_store=MEMORY mmap_size=0 threads=0
    """
    for pragma in pragmas.split():
        connection.execute(f"PRAGMA {pragma}")
    most = {"LENGTH": limits["cell_bytes"], "SQL_LENGTH": limits["sql_bytes"], "EXPR_DEPTH": 500}
    most |= {"COMPOUND_SELECT": 100, "FUNCTION_ARG": 100, "VDBE_OP": 1_000_000, "ATTACHED": 0}
    most |= {"LIKE_PATTERN_LENGTH": 1000, "VARIABLE_NUMBER": 0, "TRIGGER_DEPTH": 1}
    for name, value in (most | {"WORKER_THREADS": 0}).items():
        connection.setlimit(getattr(sqlite3, f"SQLITE_LIMIT_{name}"), value)
    return connection


def guard(connection: sqlite3.Connection) -> list[str]:
    """Install the authorizer; the list it returns receives what was denied.

    Of the tables that SQLite makes up only json_each and json_tree may be read: the others
    (pragma_*, dbstat, ...) come into being by an update of sqlite_master and fail there.
    """
    connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")
    denied: list[str] = []
    reading = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_READ)

    def authorize(action, first, second, _database, _trigger):
        calls = action == sqlite3.SQLITE_FUNCTION
        if action in reading or (calls and (second or "").lower() in FUNCTIONS):
            return sqlite3.SQLITE_OK
        if calls:
            denied.append(f"the function {second}")
        elif action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
            denied.append("a table that SQLite makes up itself")
        else:
            denied.append(f"writing to {first}")
        return sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)
    return denied


def fetch(cursor: sqlite3.Cursor, limits: dict) -> list[list]:
    """Fetch all rows. Raises ValueError at the first row beyond the limits on rows or bytes."""
    rows, size = [], 0
    for row in cursor:
        size += sum(8 + (len(cell) if isinstance(cell, str | bytes) else 8) for cell in row)
        if len(rows) == limits["rows"]:
            raise ValueError(f"the result has more than {limits['rows']:,} rows")
        if size > limits["result_bytes"]:
            raise ValueError(f"the result is larger than {limits['result_bytes']:,} bytes")
        rows.append([{"hex": c.hex()} if isinstance(c, bytes) else c for c in row])
    return rows


def run(database: str, sql: str, limits: dict, stop: Stop) -> dict:
    """Run one statement and return {columns, rows, seconds}."""
    check_first_word(sql)
    if len(sql.encode("utf-8")) > limits["sql_bytes"]:
        raise Refused(f"the SQL is longer than {limits['sql_bytes']:,} bytes")
    with contextlib.closing(connect(database, limits)) as connection:
        denied = guard(connection)
        started = time.perf_counter()
        connection.set_progress_handler(stop, STEPS)
        try:
            cursor = connection.execute(sql)
            rows = fetch(cursor, limits)
        except sqlite3.Error as error:
            if denied:
                raise Refused(f"only reading is allowed here, not {denied[0]}") from error
            raise
        columns = [name for name, *_ in cursor.description or ()]
        return {"columns": columns, "rows": rows, "seconds": time.perf_counter() - started}


def status_of(error: Exception, database: str, limits: dict, stop: Stop) -> tuple[str, str]:
    """Describe an exception of a statement as (status, message)."""
    message = str(error)
    if isinstance(error, Refused):
        return "refused", message
    if "one statement at a time" in message:
        return "refused", "more than one statement"
    if message == "interrupted" and stop.steps > stop.most_steps:
        return "step limit", f"no answer within {stop.most_steps:,} steps of SQLite"
    if message == "interrupted":
        return "timeout", f"no answer within {limits['seconds']:g} s of processor time"
    if isinstance(error, MemoryError) or message == "out of memory":
        message = f"needs more memory than {limits['memory_mb']} MB"
    elif "locked" in message and isinstance(error, sqlite3.OperationalError):
        message = "the database is locked by another program; close it and try again"
    elif isinstance(error, OSError):
        message = f"{database}: {error.strerror or message}"
    return "error", message or type(error).__name__


def answer(database: str, sql: str, steps: int | None, limits: dict) -> str:
    """Run a statement under the timers and write what became of it as JSON."""
    started, seconds = time.perf_counter(), limits["seconds"]
    stop = Stop(seconds, steps)
    signal.setitimer(signal.ITIMER_REAL, CLOCK_FACTOR * seconds + GRACE_SECONDS)
    signal.setitimer(signal.ITIMER_PROF, seconds + KILL_AFTER)
    try:
        result = run(database, sql, limits, stop)
        return json.dumps({"status": "ok", **result, "steps": stop.steps})
    except Exception as error:
        status, message = status_of(error, database, limits, stop)
        failure = {"status": status, "error": message, "steps": stop.steps}
        failure["exception"] = str(type(error)) if isinstance(error, sqlite3.Error) else None
        return json.dumps({**failure, "seconds": time.perf_counter() - started})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def lock_down(memory_mb: int) -> None:
    """Limit the process for good: address space, files, handles."""
    limits = {"AS": memory_mb * 2**20, "FSIZE": 0, "CORE": 0, "NOFILE": 16}
    for name, most in limits.items():
        what = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    for number in (signal.SIGPROF, signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # the kernel ends us, whatever SQLite is doing


def end_with(parent: int) -> None:
    """Have the kernel end this process together with the one that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before that call
            sys.exit()


def main() -> None:
    """Answer each line; end after one that took too much memory, which may not come back."""
    limits = json.loads(sys.argv[1])
    end_with(int(sys.argv[2]))
    lock_down(limits["memory_mb"])
    for line in sys.stdin:
        text = answer(*json.loads(line), limits)
        print(text, flush=True)
        if "needs more memory" in text[:100]:
            break


if __name__ == "__main__":
    main()
