"""The sandbox: hundreds of hostile or broken statements, and neighbours that never notice."""

import contextlib
import hashlib
import itertools
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from material import ROOT, made_database

from workflow_scripts.errors import EssenceError
from workflow_scripts.sql.sandbox import Limits, Sandbox, json_rows

LIMITS = Limits(
    seconds=0.15, rows=2_000, cell_bytes=200_000, sql_bytes=50_000, result_bytes=2_000_000,
    memory_mb=128,
)  # fmt: skip
STOPPED = {"refused", "timeout", "error"}
COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
BIG = "(SELECT printf('%.150000c', 'x') AS s)"

LISTS = yaml.safe_load(Path(__file__).with_name("hostile_sql.yaml").read_text(encoding="utf-8"))


def listed(name: str) -> list[str]:
    return [sql.replace("{COUNT}", COUNT).replace("{BIG}", BIG) for sql in LISTS[name]]


WRITES, ENDLESS = listed("writes"), listed("endless")
BOMBS = [
    *listed("bombs"),
    f"SELECT {', '.join(f'(SELECT s FROM {BIG}) AS c{i}' for i in range(60))}",
    "SELECT json('" + "[" * 3000 + "]" * 3000 + "')",
    *(
        f"SELECT name {word} '{sign * 2000}' FROM pet"
        for word, sign in ((" LIKE", "%a"), ("GLOB", "*a"))
    ),
]
DEEP = [
    *("SELECT " + "(" * n + "1" + ")" * n for n in (150, 20_000)),
    *("SELECT " + "NOT " * n + "1" for n in (600, 5_000)),
    *("SELECT " + "+".join(["1"] * n) for n in (600, 24_000)),
    *("SELECT 1" + " UNION ALL SELECT 1" * n for n in (600, 2_000)),
    *("SELECT 1" + " INTERSECT SELECT 1" * n for n in (150, 600)),
    *("SELECT " + ",".join(["1"] * n) for n in (2_001, 20_000)),
    *("SELECT * FROM " + "(SELECT * FROM " * n + "pet" + ")" * n for n in (150, 1_000)),
    *("SELECT " + "(SELECT " * n + "1" + ")" * n for n in (150, 1_000)),
    "SELECT * FROM " + ", ".join(f"pet p{i}" for i in range(65)),
    *("SELECT " + "CASE WHEN 1 THEN " * n + "1" + " END" * n for n in (600, 3_000)),
    *("SELECT max(" + ",".join(["1"] * n) + ")" for n in (101, 5_000)),
    "SELECT 1 -- " + "x" * 60_000,
    "WITH " + ", ".join(f"a{i} AS (SELECT * FROM a{i - 1}, a{i - 1})" for i in range(1, 40))
    + " SELECT * FROM a39",
    "WITH a0 AS (SELECT 1 x), "
    + ", ".join(f"a{i} AS (SELECT a.x FROM a{i - 1} a, a{i - 1} b)" for i in range(1, 30))
    + " SELECT count(*) FROM a29",
]  # fmt: skip
HOSTILE = (
    WRITES
    + [d.format(s) for d, s in itertools.product(LISTS["disguises"], WRITES[::7])]
    + [f"SELECT * FROM {name}" for name in LISTS["made_up_tables"].split()]
    + [f"SELECT {call} FROM pet" for call in LISTS["function_calls"].split()]
    + ENDLESS
    + BOMBS
    + DEEP
    + LISTS["broken"]
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


def state_of(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_hostile_statements_are_stopped_and_their_neighbours_unharmed(database, sandbox):
    """Each with a good one after it, over two workers; not a byte of the database is changed."""
    before = state_of(database.parent)
    pairs = [(sql, f"{GOOD} -- {number}") for number, sql in enumerate(HOSTILE)]
    results = sandbox.map((database, sql) for pair in pairs for sql in pair)
    assert state_of(database.parent) == before
    ran = dict(zip(HOSTILE, results[::2], strict=True))
    for sql, result in ran.items():
        assert result.status in STOPPED, f"{sql[:200]!r} gave {str(result.rows)[:200]}"
        assert result.error and result.rows is None, sql[:200]
        assert result.seconds < 4 * LIMITS.seconds + 5, sql[:200]
    assert all(result.rows == GOOD_ROWS for result in results[1::2])
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
        ("SELECT printf('%.2f', avg(n)), round(sqrt(16)), iif(1, 'y', 'n') FROM big",
         [("500.50", 4.0, "y")]),
        ("SELECT strftime('%Y', '2020-01-02'), substr('abc', 2), CAST('3' AS REAL)",
         [("2020", "bc", 3.0)]),
    ],
)  # fmt: skip
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
    bad = len(contents)
    for _ in range(40):
        spoiled = bytearray(data)
        for _ in range(rng.choice((1, 10, 200))):
            spoiled[rng.randrange(16, len(spoiled))] = rng.randrange(256)
        contents.append(bytes(spoiled))
    paths = [tmp_path / f"{number}.sqlite" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    for path in [*paths[:bad], tmp_path / "missing.sqlite", tmp_path, Path("/dev/zero")]:
        result = sandbox.execute(path, "SELECT count(*), max(n) FROM big")
        assert result.status == "error" and result.error, path
    assert not (tmp_path / "missing.sqlite").exists()
    jobs = [
        job
        for number, path in enumerate(paths[bad:])
        for job in ((path, "SELECT * FROM pet ORDER BY name"), (database, f"{GOOD} -- {number}"))
    ]
    results = sandbox.map(jobs)
    assert {result.status for result in results[::2]} <= {"ok", "error", "timeout"}
    assert all(result.rows == GOOD_ROWS for result in results[1::2])


def test_an_error_of_sqlite_comes_with_its_class(database, sandbox):
    refused = sandbox.execute(database, "SELECT nme FROM pet")
    assert refused.error == "no such column: nme"
    assert refused.exception == "<class 'sqlite3.OperationalError'>"
    assert sandbox.execute(database, "SELCT name FROM pet").exception is None  # not SQLite's


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


LONG = "printf('%.900000c', 'a')"
KEYS = f"({COUNT} SELECT json_group_object('k' || x, 1) AS o FROM (SELECT x FROM c LIMIT 50000))"
FAR = "printf('%.*c', 900000000, 'x')"
LATE = f"instr({LONG}, printf('%.450000c', 'a') || 'b')"
ROW = "printf('%.*c', 900000 - a.n, 'a')"
# One call of these takes seconds, or few steps take many calls.
COSTLY = [
    "SELECT instr(printf('%.1900000c', 'a'), printf('%.900000c', 'a') || 'b')",  # a minute
    f"SELECT {', '.join([FAR] * 50)}",
    "SELECT length(format('%.900000000c', 'x')) FROM big",
    f"SELECT n FROM big WHERE {FAR} IS NULL ORDER BY {FAR}",
    f"SELECT {', '.join([LATE] * 50)}",
    f"SELECT count(*) FROM big WHERE {LATE} > n",
    f"SELECT json_patch(o, replace(o, 'k', 'j')) FROM {KEYS}",
    f"SELECT count(*) FROM {KEYS}, json_each(o) WHERE json_set(o, '$.' || key, 2) = 1",
    f"SELECT count(*) FROM big a, big b WHERE {ROW} LIKE '%{'a%' * 400}b'",
    f"SELECT count(*) FROM big WHERE {LONG} GLOB '*{'[^b]' * 200}b'",
    f"SELECT count(*) FROM big a, big b WHERE trim({ROW}, 'bcdefgh') > b.n",
    f"SELECT max(soundex({ROW}) || upper({ROW})) FROM big a, big b",
]


def test_costly_statements_end_within_their_limits(database):
    """Those too that SQLite cannot interrupt: their process is killed, and the next one answers."""
    limits, before = (
        Limits(seconds=0.1, cell_bytes=2_000_000),
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    jobs = [(database, sql, 5_000_000) for sql in COSTLY]
    good = [(database, f"{GOOD} -- {sql[:50]}") for sql in COSTLY]
    results = Sandbox(limits, workers=2).map(
        itertools.chain.from_iterable(zip(jobs, good, strict=True))
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # processor time of those that ended
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < len(COSTLY) * (limits.seconds + 0.8)  # a call that is killed, and two starts
    assert all(result.rows == GOOD_ROWS for result in results[1::2])
    statuses = [result.status for result in results[::2]]
    assert set(statuses) <= {*STOPPED, "step limit"} and statuses.count("timeout") > 5


def test_steps_are_the_same_each_time_and_end_a_statement(database, sandbox):
    everything = "SELECT count(*) FROM big a, big b"
    one, other = (sandbox.execute(database, everything) for _ in range(2))
    assert one.ok and one.steps == other.steps >= 100_000
    assert sandbox.execute(database, everything, one.steps).rows == one.rows
    ended = sandbox.execute(database, everything, one.steps - 1000)
    assert ended.status == "step limit" and f"{one.steps - 1000:,} steps" in ended.error
    assert ended.steps == one.steps, "the look that ended it is counted"


INTRUDERS = "( ) ' \" ; -- /* \0 \u202e x' % 9e999 OVER() UNION DROP WITH RECURSIVE DISTINCT *"


def mutated(rng: random.Random, statements: list[str]) -> str:
    """One statement in which a few words are cut, shuffled or brought in."""
    words = rng.choice(statements).split(" ")
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(words) + 1)
        shuffled = ["".join(rng.sample(word, len(word))) for word in words[at : at + 1]]
        others = rng.choice(statements).split(" ")[: rng.randint(0, 9)]
        new = rng.choice((shuffled, others, [rng.choice(INTRUDERS.split(" "))]))
        words[at : at + rng.randrange(3)] = new
    return " ".join(words)


def test_fuzz_over_the_hostile_ones(database, sandbox):
    rng = random.Random(11)
    short = [sql for sql in [*HOSTILE, GOOD] if len(sql) < 300]
    jobs = [(database, mutated(rng, short)) for _ in range(400)]
    for (_, sql), result in zip(jobs, sandbox.map(jobs), strict=True):
        assert result.status in ("ok", *STOPPED), sql
        assert (result.rows is None) == (result.error is not None), sql
    assert sandbox.execute(database, GOOD).rows == GOOD_ROWS


def test_rows_are_written_as_strict_json(database, sandbox):
    result = sandbox.execute(database, "SELECT id, photo, 9e999 FROM pet LIMIT 1")
    assert json_rows(result.rows) == [[1, {"hex": "00ff"}, "inf"]]


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
