"""The sandbox: hundreds of hostile or broken statements, and neighbours that never notice."""

import contextlib
import itertools
import random
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from material import ROOT, made_database

from workflow_scripts.errors import EssenceError
from workflow_scripts.sql.sandbox import Limits, Result, Sandbox, json_rows

LIMITS = Limits(
    seconds=0.15, rows=2_000, cell_bytes=200_000, sql_bytes=50_000, result_bytes=2_000_000,
    memory_mb=128,
)  # fmt: skip
STOPPED = {"refused", "timeout", "error"}
LISTS = yaml.safe_load(Path(__file__).with_name("hostile_sql.yaml").read_text(encoding="utf-8"))
COUNT = LISTS["names"]["COUNT"]


def listed(name: str) -> list[str]:
    """The statements of a list, with what its marks stand for."""
    statements = []
    for sql in LISTS[name]:
        for mark, text in LISTS["names"].items():
            sql = sql.replace(f"{{{mark}}}", text)
        statements.append(re.sub(r"\{(\d+)\*(.*?)\}", lambda each: int(each[1]) * each[2], sql))
    return statements


WRITES, ENDLESS, COSTLY = map(listed, ("writes", "endless", "costly"))
DOUBLED = ", ".join(f"a{i} AS (SELECT a.x FROM a{i - 1} a, a{i - 1} b)" for i in range(1, 30))
HOSTILE = (
    WRITES
    + [d.format(s) for d, s in itertools.product(LISTS["disguises"], WRITES[::7])]
    + [f"SELECT * FROM {name}" for name in LISTS["made_up_tables"].split()]
    + [f"SELECT {call} FROM pet" for call in LISTS["function_calls"].split()]
    + ENDLESS
    + listed("bombs")
    + listed("deep")
    + LISTS["broken"]
    + [f"WITH a0 AS (SELECT 1 x), {DOUBLED} SELECT count(*) FROM a29"]
)
GOOD = "SELECT name, age FROM pet ORDER BY id"
GOOD_ROWS = [("Rex", 3), ("Ünal", None), ("O'Neil", 12)]


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    return made_database(
        tmp_path_factory.mktemp("pets") / "pets.sqlite",
        """
        CREATE TABLE pet (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, photo BLOB);
        INSERT INTO pet VALUES (1, 'Rex', 3, x'00ff'), (2, 'Ünal', NULL, NULL),
                               (3, 'O''Neil', 12, NULL);
        CREATE INDEX by_name ON pet (name);
        CREATE VIEW old_pet AS SELECT * FROM pet WHERE age > 10;
        CREATE VIEW broken_view AS SELECT * FROM gone;
        CREATE TABLE big (n INTEGER);
        INSERT INTO big WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c
                                                LIMIT 1000) SELECT x FROM c;
        """,
    )


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox(LIMITS, workers=2)


def run_beside_good_ones(sandbox: Sandbox, database: Path, jobs: Iterable[tuple]) -> list[Result]:
    """Results of jobs, each with a good one after it, over two workers; no good one notices."""
    pairs = [(job, (database, f"{GOOD} -- {number}")) for number, job in enumerate(jobs)]
    results = sandbox.map(itertools.chain.from_iterable(pairs))
    assert all(result.rows == GOOD_ROWS for result in results[1::2])
    return results[::2]


def test_hostile_statements_are_stopped(database, sandbox):
    """Not a byte of the database is changed."""
    before = {path: path.read_bytes() for path in database.parent.iterdir()}
    results = run_beside_good_ones(sandbox, database, [(database, sql) for sql in HOSTILE])
    assert before == {path: path.read_bytes() for path in database.parent.iterdir()}
    ran = dict(zip(HOSTILE, results, strict=True))
    for sql, result in ran.items():
        assert result.status in STOPPED, f"{sql[:200]!r} gave {str(result.rows)[:200]}"
        assert result.error and result.rows is None, sql[:200]
        assert result.seconds < 4 * LIMITS.seconds + 5, sql[:200]
    assert {ran[sql].status for sql in WRITES} == {"refused"}
    assert {ran[sql].status for sql in ENDLESS[:9]} == {"timeout"}


@pytest.mark.parametrize(
    "sql, rows",
    [
        (" -- a remark\n/* another */ select 1 ; -- ; DROP TABLE pet", [(1,)]),
        ("SELECT 'DROP TABLE pet; --'", [("DROP TABLE pet; --",)]),
        ("SELECT photo FROM pet WHERE id = 1", [(b"\x00\xff",)]),
        ("SELECT cast(x'ff41' AS TEXT)", [("\\xffA",)]),
        ("SELECT 9e999, -9e999", [(float("inf"), float("-inf"))]),
        ("SELECT * FROM old_pet", [(3, "O'Neil", 12, None)]),
        ("SELECT count(*) FROM sqlite_master WHERE type = 'table'", [(2,)]),
        ("SELECT value FROM json_each('[1, 2]')", [(1,), (2,)]),
        (f"{COUNT} SELECT x FROM c LIMIT 3", [(1,), (2,), (3,)]),
        ("SELECT printf('%.2f', avg(n)), iif(1, 'y', 'n') FROM big", [("500.50", "y")]),
        ("SELECT strftime('%Y', '2020-01-02'), CAST('3' AS REAL)", [("2020", 3.0)]),
    ],
)
def test_honest_statements_run(sandbox, database, sql, rows):
    result = sandbox.execute(database, sql)
    assert (result.status, result.rows, result.error) == ("ok", rows, None)


def test_limits_on_rows_cells_and_bytes_say_which(database):
    sandbox = Sandbox(Limits(rows=10, cell_bytes=1_000, result_bytes=3_000), workers=1)
    assert len(sandbox.execute(database, "SELECT n FROM big LIMIT 10").rows) == 10
    for sql, words in (
        ("SELECT n FROM big LIMIT 11", "10 rows"),
        ("SELECT hex(printf('%.600c', 'x'))", "too big"),
        ("SELECT printf('%.900c', 'x') FROM big LIMIT 9", "3,000 bytes"),
    ):
        assert words in sandbox.execute(database, sql).error
    for name, value in (("memory_mb", 1), ("seconds", float("nan"))):
        with pytest.raises(EssenceError, match=name):
            Limits(**{name: value})


def test_bad_database_files_give_a_status(tmp_path, database, sandbox):
    """Also with seeded bit flips all over: an answer or an error, never a hang or a crash."""
    rng, data = random.Random(7), database.read_bytes()
    contents = [b"", b"SELECT 1;\n" * 500, data[:700], data[:100], data[: len(data) // 2]]
    contents += [data[:100] + rng.randbytes(len(data) - 100), bytes(4096)]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.sqlite").write_bytes(content)
    for path in [*tmp_path.iterdir(), tmp_path / "missing.sqlite", tmp_path, Path("/dev/zero")]:
        result = sandbox.execute(path, "SELECT count(*), max(n) FROM big")
        assert result.status == "error" and result.error, path
    assert not (tmp_path / "missing.sqlite").exists()
    flipped = [tmp_path / f"flipped_{number}.sqlite" for number in range(40)]
    for path in flipped:
        spoiled = bytearray(data)
        for _ in range(rng.choice((1, 10, 200))):
            spoiled[rng.randrange(16, len(spoiled))] = rng.randrange(256)
        path.write_bytes(spoiled)
    jobs = [(path, "SELECT * FROM pet ORDER BY name") for path in flipped]
    results = run_beside_good_ones(sandbox, database, jobs)
    assert {result.status for result in results} <= {"ok", "error", "timeout"}


def test_errors_have_their_class_and_rows_become_strict_json(database, sandbox):
    refused = sandbox.execute(database, "SELECT nme FROM pet")
    assert refused.error == "no such column: nme"
    assert refused.exception == "<class 'sqlite3.OperationalError'>"
    assert sandbox.execute(database, "SELCT name FROM pet").exception is None  # not SQLite's
    result = sandbox.execute(database, "SELECT id, photo, 9e999 FROM pet LIMIT 1")
    assert json_rows(result.rows) == [[1, {"hex": "00ff"}, "inf"]]


def test_locked_database_gives_a_status_and_wal_files_are_read(tmp_path, database, sandbox):
    locked = shutil.copy(database, tmp_path / "a b?mode=rwc&x#%41'é.sqlite")
    with contextlib.closing(sqlite3.connect(locked, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        result = sandbox.execute(locked, GOOD)
        assert result.status == "error" and "locked" in result.error
        holder.execute("ROLLBACK")
        assert sandbox.execute(locked, GOOD).ok
        holder.execute("PRAGMA journal_mode = WAL")
    assert sandbox.execute(locked, GOOD).rows == GOOD_ROWS
    assert sorted(p.name for p in tmp_path.iterdir()) == [locked.name]


def test_costly_statements_end_within_their_limits(database):
    """Those too that SQLite cannot interrupt: their process is killed, and the next one answers."""
    limits = Limits(seconds=0.1, cell_bytes=2_000_000)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = [(database, sql, 5_000_000) for sql in COSTLY]
    results = run_beside_good_ones(Sandbox(limits, workers=2), database, jobs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # processor time of those that ended
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < len(COSTLY) * (limits.seconds + 0.8)  # a call that is killed, and two starts
    statuses = [result.status for result in results]
    assert set(statuses) <= {*STOPPED, "step limit"} and statuses.count("timeout") > 5


def test_steps_are_the_same_each_time_and_end_a_statement(database, sandbox):
    everything = "SELECT count(*) FROM big a, big b"
    one, other = (sandbox.execute(database, everything) for _ in range(2))
    assert one.ok and one.steps == other.steps >= 100_000
    assert sandbox.execute(database, everything, one.steps).rows == one.rows
    ended = sandbox.execute(database, everything, one.steps - 1000)
    assert ended.status == "step limit" and f"{one.steps - 1000:,} steps" in ended.error
    assert ended.steps == one.steps, "the look that ended it is counted"


def test_a_statement_ends_with_the_process_that_asked(database):
    call = f"Sandbox().execute({str(database)!r}, {ENDLESS[0]!r})"
    code = f"from workflow_scripts.sql.sandbox import Sandbox; {call}"
    asking = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    children = Path(f"/proc/{asking.pid}/task/{asking.pid}/children")
    while not (workers := [Path("/proc", each) for each in children.read_text().split()]):
        time.sleep(0.01)
    time.sleep(1)  # into the statement
    asking.terminate()
    asking.wait()
    until = time.monotonic() + 5
    # What has ended is gone, or has no command any more.
    while any(each.exists() and (each / "cmdline").read_bytes() for each in workers):
        assert time.monotonic() < until
        time.sleep(0.01)
