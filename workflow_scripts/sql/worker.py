"""The process that runs untrusted SQL: it answers requests over a pipe and has no privileges.

It stands alone (standard library only) and is started by `sandbox.Sandbox` without the caller's
environment. What keeps it harmless, from the outside in: resource limits of the operating system
(memory, no file may grow, few handles), a timer that kills the process when a statement stays too
long, a read-only connection with SQLite's own limits, an authorizer that lets nothing through but
reading, and a count of rows and bytes. A statement may also be given a number of steps, the
instructions of SQLite's virtual machine: they are the same on every machine. A second timer then
ends a statement that does not come to its next thousand steps, because one of them is a call that
looks for a long text in another or prints a number with a billion digits. The time limits are of
processor time, so that a busy machine changes no verdict; the parent watches the clock. Requests
and answers are JSON, so that nothing which the worker sends can run in the parent.
"""

import contextlib
import json
import re
import resource
import signal
import sqlite3
import stat
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import quote

KILL_AFTER = 0.5  # seconds past the limit before the timer ends a call that SQLite can't interrupt
BUSY_SECONDS = 0.5
STEPS = 1000  # steps between two looks at the limits

# The functions of SQLite 3.40 and later that only compute. Left out on purpose: load_extension,
# readfile, writefile, edit, fts3_tokenizer, randomblob, zeroblob, sqlite_* and what reports on the
# connection. An unknown name is refused.
FUNCTION_NAMES = """
    abs avg char coalesce concat concat_ws count cume_dist current_date current_time
    current_timestamp date datetime dense_rank first_value format glob group_concat hex ifnull iif
    instr json json_array json_array_length json_extract json_group_array json_group_object
    json_object json_patch json_quote json_remove json_replace json_set json_type json_valid
    julianday lag last_value lead length like likelihood likely lower ltrim max min nth_value ntile
    nullif octet_length percent_rank printf quote random rank replace round row_number rtrim sign
    soundex strftime string_agg substr substring sum time timediff total trim typeof unicode unistr
    unixepoch unlikely upper -> ->>
    acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2
    mod pi pow power radians sin sinh sqrt tan tanh trunc
"""
FUNCTIONS = frozenset(FUNCTION_NAMES.split())
STATEMENT_WORDS = """
    alter analyze attach begin commit create delete detach drop end explain insert pragma reindex
    release replace rollback savepoint update vacuum
"""
STATEMENTS = frozenset(STATEMENT_WORDS.split())
LEADING = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
ACTIONS = {
    getattr(sqlite3, name): name.removeprefix("SQLITE_").replace("_", " ")
    for name in dir(sqlite3)
    if re.fullmatch(
        r"SQLITE_(ALTER_TABLE|ANALYZE|ATTACH|CREATE_\w+|DELETE|DETACH|DROP_\w+|FUNCTION|INSERT"
        r"|PRAGMA|READ|REINDEX|SAVEPOINT|TRANSACTION|UPDATE)",
        name,
    )
}


class Refused(Exception):
    """The statement asks for something that no model output may do."""


class TooMuch(Exception):
    """The result is larger than the limits allow."""


class StepCounter:
    """Count the steps of a statement, by thousands, and say when it must stop.

    Where steps are limited, `call_seconds` between two calls of `must_stop` end the process.
    """

    def __init__(self, seconds: float, most_steps: int | None, call_seconds: float):
        self.end = time.process_time() + seconds
        self.most_steps = most_steps
        self.steps = 0
        self.call_seconds = 0.0 if most_steps is None else call_seconds
        self.next_start = 0.0

    def start_call_timer(self) -> None:
        """Set the timer back, but not at each call: it is a call of the operating system."""
        if self.call_seconds and (now := time.process_time()) >= self.next_start:
            signal.setitimer(signal.ITIMER_VIRTUAL, self.call_seconds)
            self.next_start = now + self.call_seconds / 5

    def out_of_steps(self) -> bool:
        return self.most_steps is not None and self.steps > self.most_steps

    def out_of_time(self) -> bool:
        return time.process_time() > self.end

    def must_stop(self) -> bool:
        self.steps += STEPS
        self.start_call_timer()
        return self.out_of_steps() or self.out_of_time()


def check_first_word(sql: str) -> None:
    """Check that a statement is SELECT, WITH or VALUES.

    Raises Refused for another statement, ValueError for no SQL.
    """
    if "\0" in sql:
        raise Refused("the SQL holds a NUL byte")
    statement = sql[LEADING.match(sql).end() :]
    word = re.match(r"\w*", statement).group().lower()
    if word in STATEMENTS:
        raise Refused(f"only SELECT may run here, not {word.upper()}")
    if word not in ("select", "with", "values"):
        if not statement.strip("; \t\r\n"):
            raise ValueError("there is no SQL to run")
        raise ValueError(f"syntax error: a query starts with SELECT or WITH, not {word[:40]!r}")


def address(path: str) -> str:
    """Build the URI that opens a database for reading and leaves no file beside it.

    A database in WAL mode whose log is gone can't be opened read-only in a folder that is not
    writable, unless SQLite may assume that nobody will change it (`immutable`).
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
    for pragma in (
        f"hard_heap_limit = {limits['memory_mb'] * 2**20 // 2}",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "query_only = ON",
        "temp_store = MEMORY",
        "mmap_size = 0",
        "threads = 0",
    ):
        connection.execute(f"PRAGMA {pragma}")
    for name, value in (
        ("LENGTH", limits["cell_bytes"]),
        ("SQL_LENGTH", limits["sql_bytes"]),
        ("EXPR_DEPTH", 500),
        ("COMPOUND_SELECT", 100),
        ("FUNCTION_ARG", 100),
        ("VDBE_OP", 1_000_000),
        ("LIKE_PATTERN_LENGTH", 1000),
        ("ATTACHED", 0),
        ("VARIABLE_NUMBER", 0),
        ("TRIGGER_DEPTH", 1),
        ("WORKER_THREADS", 0),
    ):
        connection.setlimit(getattr(sqlite3, f"SQLITE_LIMIT_{name}"), value)
    return connection


def guard(connection: sqlite3.Connection) -> list[str]:
    """Install the authorizer; the list it returns receives what was denied.

    Reading is allowed from every table of the database, from subqueries and from json_each and
    json_tree. The other tables that SQLite makes up (pragma_*, dbstat, sqlite_stmt, ...) come into
    being by an update of sqlite_master and fail there.
    """
    connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')")
    denied: list[str] = []

    def authorize(action, first, second, _database, _trigger):
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_READ):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            denied.append(f"the function {second}")
        elif action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
            denied.append("a table that SQLite makes up itself")
        else:
            denied.append(f"{ACTIONS.get(action, f'action {action}')} {first or ''}".strip())
        return sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)
    return denied


def size_of(row: tuple) -> int:
    return sum(len(cell) if isinstance(cell, str | bytes) else 8 for cell in row) + 8 * len(row)


def fetch(cursor: sqlite3.Cursor, limits: dict) -> list[list]:
    """Fetch all rows. Raises TooMuch at the first row beyond the limits on rows or bytes."""
    rows, size = [], 0
    for row in cursor:
        size += size_of(row)
        if len(rows) == limits["rows"]:
            raise TooMuch(f"the result has more than {limits['rows']:,} rows")
        if size > limits["result_bytes"]:
            raise TooMuch(f"the result is larger than {limits['result_bytes']:,} bytes")
        rows.append([{"hex": c.hex()} if isinstance(c, bytes) else c for c in row])
    return rows


def run(request: dict, counter: StepCounter) -> dict:
    """Run one statement: {database, sql, limits} -> {status, columns, rows, seconds}.

    With `rival` (another SQL) and `repeat`, the two are run by turns that many times more and
    `times` holds the pairs of seconds: what VES needs, measured in one process.
    """
    limits, sql = request["limits"], request["sql"]
    check_first_word(sql)
    if len(sql.encode("utf-8")) > limits["sql_bytes"]:
        raise Refused(f"the SQL is longer than {limits['sql_bytes']:,} bytes")
    connection = connect(request["database"], limits)
    denied: list[str] = []
    try:
        denied = guard(connection)
        started = time.perf_counter()
        connection.set_progress_handler(counter.must_stop, STEPS)
        cursor = connection.execute(sql)
        rows = fetch(cursor, limits)
        seconds = time.perf_counter() - started
        columns = [name for name, *_ in cursor.description or ()]
        answer = {"status": "ok", "columns": columns, "rows": rows, "seconds": seconds}
        if request.get("rival"):
            connection.set_progress_handler(counter.out_of_time, STEPS)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            answer["times"] = race(connection, request, limits)
        return answer
    except sqlite3.Error as error:
        if denied:
            raise Refused(f"only reading is allowed here, not {denied[0]}") from error
        raise
    finally:
        connection.close()


def race(connection: sqlite3.Connection, request: dict, limits: dict) -> list[list[float]]:
    """Time (sql, rival), run by turns; fewer pairs than requested when the time is up."""
    times: list[list[float]] = []
    for _ in range(request["repeat"]):
        pair = []
        for sql in (request["sql"], request["rival"]):
            started = time.perf_counter()
            try:
                fetch(connection.execute(sql), limits)
            except sqlite3.OperationalError:  # the time is up: keep what was measured
                return times
            pair.append(time.perf_counter() - started)
        times.append(pair)
    return times


def status_of(error: Exception, request: dict, counter: StepCounter) -> tuple[str, str]:
    """Describe an exception of a statement as (status, message)."""
    message = str(error)
    if isinstance(error, Refused):
        return "refused", message
    if message == "interrupted" and counter.out_of_steps():
        return "step limit", f"no answer within {counter.most_steps:,} steps of SQLite"
    if message == "interrupted":
        return "timeout", f"no answer within {request['seconds']:g} s of processor time"
    if "one statement at a time" in message:
        return "refused", "more than one statement"
    if isinstance(error, MemoryError) or message == "out of memory":
        return "error", f"needs more memory than {request['limits']['memory_mb']} MB"
    if "locked" in message and isinstance(error, sqlite3.OperationalError):
        return "error", "the database is locked by another program; close it and try again"
    if isinstance(error, OSError):
        return "error", f"{request['database']}: {error.strerror or message}"
    return "error", message or type(error).__name__


def handle_request(request: dict) -> dict:
    started = time.perf_counter()
    counter = StepCounter(
        request["seconds"], request.get("steps"), request["limits"]["call_seconds"]
    )
    signal.setitimer(signal.ITIMER_PROF, request["seconds"] + KILL_AFTER)
    counter.start_call_timer()
    try:
        return run(request, counter) | {"steps": counter.steps}
    except Exception as error:
        status, message = status_of(error, request, counter)
        return {
            "status": status,
            "error": message,
            "steps": counter.steps,
            "exception": str(type(error)) if isinstance(error, sqlite3.Error) else None,
            "seconds": time.perf_counter() - started,
            # Memory that Python took may not come back: the next statement gets a new process.
            "retire": isinstance(error, MemoryError) or "memory" in message,
        }
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def lock_down(memory_mb: int) -> None:
    """Limit the process for good: address space, no growing file, few handles, no core dump."""
    space = memory_mb * 2**20
    for what, most in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    for timer in (signal.SIGPROF, signal.SIGVTALRM):
        signal.signal(timer, signal.SIG_DFL)  # the kernel ends us, whatever SQLite is doing
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle


def main() -> None:
    """Answer until the parent closes its end."""
    pipe = Connection(int(sys.argv[1]))
    lock_down(int(sys.argv[2]))
    with contextlib.suppress(EOFError):
        while True:
            answer = handle_request(json.loads(pipe.recv_bytes()))
            try:
                data = json.dumps(answer).encode()
            except MemoryError:
                data = b'{"status": "error", "error": "out of memory", "retire": true}'
            pipe.send_bytes(data)


if __name__ == "__main__":
    main()
