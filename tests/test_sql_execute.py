"""The sandbox: hundreds of hostile or broken statements, and neighbours that never notice."""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shell import run_module

from workflow_scripts.errors import EssenceError
from workflow_scripts.sql.sandbox import Limits, Sandbox

LIMITS = Limits(
    seconds=0.15, rows=2_000, cell_bytes=200_000, sql_bytes=50_000, result_bytes=2_000_000,
    memory_mb=128,
)  # fmt: skip
STOPPED = {"refused", "timeout", "error"}
COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
BIG = "(SELECT printf('%.150000c', 'x') AS s)"

WRITES = """
INSERT INTO pet VALUES (9, 'x', 1, NULL) | INSERT OR REPLACE INTO pet SELECT * FROM pet |
REPLACE INTO pet VALUES (1, 'x', 1, NULL) | UPDATE pet SET name = 'x' |
UPDATE pet SET name = 'x' RETURNING name | DELETE FROM pet | DELETE FROM pet RETURNING * |
DROP TABLE pet | DROP TABLE IF EXISTS nothing | DROP VIEW old_pet | DROP INDEX by_name |
CREATE TABLE t (a) | CREATE TABLE t AS SELECT * FROM pet | CREATE TEMP TABLE t (a) |
CREATE TEMPORARY VIEW v AS SELECT 1 | CREATE VIEW v AS SELECT 1 | CREATE INDEX i ON pet (age) |
CREATE UNIQUE INDEX i ON pet (id) | CREATE TRIGGER g AFTER INSERT ON pet BEGIN SELECT 1; END |
CREATE VIRTUAL TABLE v USING fts5(a) | CREATE VIRTUAL TABLE v USING rtree(a, b, c) |
ALTER TABLE pet RENAME TO cat | ALTER TABLE pet ADD COLUMN x | ALTER TABLE pet DROP COLUMN age |
ALTER TABLE pet RENAME COLUMN age TO years | ANALYZE | ANALYZE pet | REINDEX | REINDEX by_name |
VACUUM | VACUUM INTO '/tmp/essence_stolen.sqlite' | BEGIN | BEGIN EXCLUSIVE |
BEGIN IMMEDIATE TRANSACTION | COMMIT | END | ROLLBACK | SAVEPOINT s | RELEASE s | ROLLBACK TO s |
ATTACH ':memory:' AS other | ATTACH DATABASE '/etc/passwd' AS other |
ATTACH 'file:/tmp/essence_new.sqlite?mode=rwc' AS other | DETACH main | DETACH DATABASE temp |
EXPLAIN SELECT 1 | EXPLAIN QUERY PLAN SELECT * FROM pet | EXPLAIN DELETE FROM pet |
PRAGMA table_info(pet) | PRAGMA journal_mode = WAL | PRAGMA writable_schema = ON |
PRAGMA query_only = OFF | PRAGMA hard_heap_limit = 0 | PRAGMA trusted_schema = ON |
PRAGMA main.user_version = 3 | PRAGMA database_list | PRAGMA temp_store_directory = '/tmp' |
PRAGMA integrity_check | PRAGMA wal_checkpoint | PRAGMA optimize | PRAGMA schema_version = 99 |
PRAGMA key = 'x' | WITH x AS (SELECT 1) DELETE FROM pet |
WITH x AS (SELECT 1) UPDATE pet SET age = 0 |
WITH x AS (SELECT 1) INSERT INTO pet SELECT 8, 'x', 1, NULL |
WITH x AS (SELECT 1) REPLACE INTO pet SELECT 1, 'x', 1, NULL |
WITH RECURSIVE c(x) AS (SELECT 1) DELETE FROM pet WHERE id IN (SELECT x FROM c)
"""
WRITES = [statement.strip() for statement in WRITES.split("|")]

# How a writing statement may try not to look like one: all must still be stopped.
DISGUISES = (
    "/* SELECT */ {}",
    "-- SELECT\n{}",
    "  \t\r\n {}",
    "SELECT 1; {}",
    "/**//**/{}",
    "; {}",
)
DISGUISES += ("SELECT 1 ; -- done\n {}", "SELECT name FROM pet;;; {} ;")

MADE_UP_TABLES = """
pragma_table_info('pet') pragma_database_list pragma_function_list pragma_module_list
pragma_compile_options pragma_hard_heap_limit(0) pragma_query_only(0) pragma_writable_schema(1)
pragma_user_version pragma_integrity_check pragma_table_list pragma_index_list('pet')
dbstat sqlite_stmt sqlite_dbpage sqlite_dbdata fts3tokenize fts4aux fts5vocab bytecode('x')
tables_used('x') generate_series(1,1000000000) fsdir('/') csv('/etc/passwd') zipfile('x')
completion('x') carray(1,1) wholenumber vtab
"""

FUNCTION_CALLS = """
load_extension('x') load_extension('/tmp/x.so','y') readfile('/etc/passwd') writefile('/tmp/x','y')
edit('x') system('id') shell('id') exec('id') fts3_tokenizer('simple')
fts3_tokenizer('simple',x'4141414141414141') randomblob(10) randomblob(1000000000) zeroblob(10)
zeroblob(1000000000) sqlite_compileoption_get(1) sqlite_compileoption_used('X') sqlite_source_id()
sqlite_version() sqlite_log(1,'x') changes() total_changes() last_insert_rowid() sqlite_offset(id)
rtreecheck('pet') fts5(1) fts5_decode(1,x'00') fts5_rowid('x') rtreedepth(x'00') rtreenode(2,x'00')
nosuchfunction(1) eval('x') sleep(100) pg_sleep(100) benchmark(1000000,1) user() version()
snippet(pet) offsets(pet) optimize(pet) matchinfo(pet) getenv('HOME') lsmode(1) sha1('x')
sqlite_dbinfo() import_csv('x') xp_cmdshell('dir') load_file('/etc/passwd') dblink('x')
"""

ENDLESS = [
    f"{COUNT} SELECT count(*) FROM c",
    f"{COUNT} SELECT max(x) FROM c",
    f"{COUNT} SELECT x FROM c WHERE x < 0",
    f"{COUNT} SELECT x FROM c ORDER BY x DESC",
    f"{COUNT} SELECT group_concat(x) FROM c",
    f"{COUNT} SELECT DISTINCT x % 3 FROM c",
    f"{COUNT} SELECT x % 7, count(*) FROM c GROUP BY 1",
    f"{COUNT} SELECT row_number() OVER (ORDER BY x) FROM c LIMIT 1",
    f"{COUNT} SELECT * FROM pet WHERE id IN (SELECT x FROM c)",
    f"{COUNT} SELECT json_group_array(x) FROM c",
    f"{COUNT} SELECT x FROM c LIMIT 1 OFFSET 9000000000000",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT random() FROM c) SELECT count(*) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT sum(x) FROM c",
    "WITH RECURSIVE c(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM c) SELECT length(s) FROM c",
    "WITH RECURSIVE c(s) AS (SELECT 'x' UNION ALL SELECT s || 'y' FROM c) SELECT max(s) FROM c",
    "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM a), "
    "b(y) AS (SELECT 1 UNION ALL SELECT y+1 FROM b) SELECT count(*) FROM a, b",
    f"SELECT ({COUNT} SELECT count(*) FROM c)",
    f"SELECT name FROM pet WHERE EXISTS ({COUNT} SELECT 1 FROM c WHERE x < 0)",
    f"SELECT name FROM pet ORDER BY ({COUNT} SELECT max(x) FROM c)",
]
ENDLESS += [
    f"SELECT {what} FROM {', '.join(f'big AS b{i}' for i in range(n))}{tail}"
    for n, what, tail in (
        (4, "count(*)", ""),
        (5, "max(b0.n)", ""),
        (6, "sum(b0.n * b1.n)", ""),
        (8, "count(DISTINCT b0.n)", ""),
        (12, "count(*)", ""),
        (5, "b0.n", " ORDER BY b1.n, b2.n"),
        (5, "b0.n, count(*)", " GROUP BY b0.n, b1.n, b2.n"),
        (6, "b0.n", " WHERE b0.n + b1.n + b2.n + b3.n < 0"),
        (4, "avg(b0.n)", " WHERE b0.n LIKE '%' || b1.n || '%' AND b2.n < b3.n"),
    )
]

BOMBS = [
    f"{COUNT} SELECT x FROM c",
    "SELECT a.n FROM big a, big b",
    "SELECT replace(replace(printf('%.9999c', 'x'), 'x', printf('%.999c', 'y')), 'y', 'zzzz')",
    "SELECT hex(hex(hex(hex(hex(hex(hex(hex(printf('%.1000c', 'x')))))))))",
    "SELECT quote(quote(quote(hex(hex(hex(hex(printf('%.20000c', '''')))))))) || 'x'",
    f"SELECT group_concat(s) FROM {BIG}, big",
    f"SELECT s || s FROM {BIG}",
    f"SELECT json_group_array(s) FROM {BIG}, big",
    f"SELECT s FROM {BIG}, big",
    f"SELECT DISTINCT s || n FROM {BIG}, big a",
    f"SELECT s || a.n FROM {BIG}, big a, big b ORDER BY 1",
    f"SELECT count(*) FROM (SELECT s || a.n || b.n FROM {BIG}, big a, big b GROUP BY 1)",
    f"SELECT {', '.join(f'(SELECT s FROM {BIG}) AS c{i}' for i in range(60))}",
    "SELECT char(" + ",".join(["1114111"] * 200) + ")",
    "SELECT json_array(" + ",".join(["'xxxxxxxxxx'"] * 150) + ")",
    "SELECT format('%.*c', 2000000000, 'x') || 1",
    "SELECT printf('%2147483647d', 1) || printf('%.2147483647f', 1) FROM nowhere",
    "SELECT strftime(replace(printf('%.9999c', 'x'), 'x', '%Y-%m-%d %H:%M:%f %j %s %w %W'))||'x'||"
    "strftime(replace(printf('%.9999c', 'x'), 'x', '%Y-%m-%d %H:%M:%f %j %s %w %W'), 'now')",
    "SELECT abs(-9223372036854775808)",
    "SELECT sum(9223372036854775807) FROM big",
    "SELECT json('" + "[" * 3000 + "]" * 3000 + "')",
    "SELECT name LIKE '" + "%a" * 2000 + "' FROM pet",
    "SELECT name GLOB '" + "*a" * 2000 + "' FROM pet",
]

DEEP = [
    *("SELECT " + "(" * n + "1" + ")" * n for n in (150, 1_000, 20_000)),
    *("SELECT " + "-" * 1 + " -" * n + " 1" for n in (2_000, 20_000)),
    *("SELECT " + "NOT " * n + "1" for n in (600, 5_000)),
    *("SELECT " + "+".join(["1"] * n) for n in (600, 5_000, 24_000)),
    *("SELECT " + "||".join(["'x'"] * n) for n in (600, 5_000)),
    *("SELECT 1" + " UNION ALL SELECT 1" * n for n in (150, 600, 2_000)),
    *("SELECT 1" + " INTERSECT SELECT 1" * n for n in (150, 600)),
    *("SELECT " + ",".join(["1"] * n) for n in (2_001, 20_000)),
    *("SELECT * FROM " + "(SELECT * FROM " * n + "pet" + ")" * n for n in (150, 1_000)),
    *("SELECT " + "(SELECT " * n + "1" + ")" * n for n in (150, 1_000)),
    *("SELECT * FROM pet WHERE " + " OR ".join(["id = 1"] * n) for n in (600, 5_000)),
    *("SELECT * FROM " + ", ".join(f"pet p{i}" for i in range(n)) for n in (65, 500)),
    *("SELECT " + "abs(" * n + "1" + ")" * n for n in (600, 5_000)),
    *("SELECT " + "CASE WHEN 1 THEN " * n + "1" + " END" * n for n in (600, 3_000)),
    *("SELECT max(" + ",".join(["1"] * n) + ")" for n in (101, 5_000)),
    "SELECT '" + "x" * 60_000 + "'",
    "SELECT 1 -- " + "x" * 60_000,
    "WITH " + ", ".join(f"a{i} AS (SELECT * FROM a{i - 1}, a{i - 1})" for i in range(1, 40))
    + " SELECT * FROM a39",
    "WITH a0 AS (SELECT 1 x), "
    + ", ".join(f"a{i} AS (SELECT a.x FROM a{i - 1} a, a{i - 1} b)" for i in range(1, 30))
    + " SELECT count(*) FROM a29",
    "SELECT " + ".".join(["pet"] * 500),
]  # fmt: skip

BROKEN = [
    *("", " ", ";", ";;;", "--", "-- SELECT 1", "/* SELECT 1", "/* SELECT 1 */", "\n\t\r", "()"),
    *("SELECT", "SELECT FROM", "SELECT *", "SELECT * FROM", "SELECT * FROM pet WHERE", "FROM pet"),
    *("SELECT * FROM pet GROUP", "SELECT * FROM pet ORDER BY", "SELECT * FROM pet LIMIT"),
    *("SELECT name, FROM pet", "SELECT , name FROM pet", "SELECT (name FROM pet", "SELECT name)"),
    *("SELECT 'x", 'SELECT "name FROM pet', "SELECT `name FROM pet", "SELECT [name FROM pet"),
    *("SELECT x'0'", "SELECT x'zz'", "SELECT 0x", "SELECT 1e", "SELECT 1.2.3", "SELECT 12abc34 5"),
    *("SELECT nothing FROM pet", "SELECT * FROM nothing", "SELECT pet.nothing FROM pet"),
    *("SELECT name FROM pet, pet b WHERE name = 1 AND nothing", "SELECT id FROM pet a, pet b"),
    *("SELECT count(*, *) FROM pet", "SELECT max() FROM pet", "SELECT sum(id, 1) FROM pet"),
    *("SELECT count(count(*)) FROM pet", "SELECT * FROM pet WHERE max(id) = 1", "SELECT ?"),
    *("SELECT ?1", "SELECT :a", "SELECT @a", "SELECT $a", "SELECT * FROM pet WHERE id = ?"),
    *("SELECT 1 UNION SELECT 1, 2", "SELECT * FROM pet UNION SELECT 1", "VALUES (1), (1, 2)"),
    *("SELECT * FROM pet JOIN", "SELECT * FROM pet JOIN pet ON", "SELECT * FROM pet NATURAL LEFT"),
    *("SELECT TOP 5 * FROM pet", "SELECT * FROM pet LIMIT 1, 2, 3", "SELECT DISTINCT ON (id) 1"),
    *("SHOW TABLES", "DESCRIBE pet", "USE main", "SET x = 1", "GRANT ALL ON pet TO me", "CALL f()"),
    *("```sql\nSELECT 1\n```", "Sub question 1: how many?", "Sure! Here is the SQL:", "null"),
    *("ＳＥＬＥＣＴ 1", "SELECT １ + name FROM ｐｅｔ", "SЕLECT 1", "SELECT\u2028x", "\ufeff"),
    *("SELECT “name” FROM pet", "SELECT 1；DROP TABLE pet", "\u200bSELECT 1", "\u202eSELECT 1"),
    *("SELECT\0 1", "\0", "SELECT 1\0; DROP TABLE pet", "SELECT 'a\0b'", "SELECT 1 --\0\nFROM pet"),
    *("SELECT 1; SELECT 2", "SELECT 1;;SELECT 2", "SELECT 1;/* */SELECT 2", "SELECT 1;\u00a0"),
    *("SELECT '\ud800'", "\udfff", "SELECT \ud83d FROM pet", "SELECT 🐶 FROM pet", "\x1b[2J"),
    *("SELECT * FROM other.pet", "SELECT * FROM temp.pet", "SELECT name COLLATE nothing FROM pet"),
    *("SELECT * FROM pet INDEXED BY nothing", "SELECT RAISE(ABORT, 'x')", "SELECT name REGEXP 'a'"),
    *("SELECT name MATCH 'a' FROM pet", "SELECT 1 FROM pet FOR UPDATE", "SELECT 1 INTO OUTFILE x"),
    *("SELECT * FROM broken_view", "SELECT * FROM (SELECT * FROM nothing)", "WITH a AS a SELECT 1"),
    *("WITH a AS (SELECT * FROM a) SELECT * FROM a", "WITH a(x, y) AS (SELECT 1) SELECT * FROM a"),
]  # fmt: skip

HOSTILE = (
    WRITES
    + [d.format(s) for d, s in itertools.product(DISGUISES, WRITES[::7])]
    + [f"SELECT * FROM {name}" for name in MADE_UP_TABLES.split()]
    + [f"SELECT {call} FROM pet" for call in FUNCTION_CALLS.split()]
    + ENDLESS
    + BOMBS
    + DEEP
    + BROKEN
)
GOOD = "SELECT name, age FROM pet ORDER BY id"
GOOD_ROWS = [("Rex", 3), ("Ünal", None), ("O'Neil", 12)]


def make_database(path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
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
            """
        )
        connection.commit()
    return path


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    return make_database(tmp_path_factory.mktemp("pets") / "pets.sqlite")


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox(LIMITS, workers=2)


def state_of(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def ran(database, sandbox):
    """Every hostile statement with a good neighbour after it, over two workers."""
    before = state_of(database.parent)
    jobs = [
        (database, sql)
        for number, hostile in enumerate(HOSTILE)
        for sql in (hostile, f"{GOOD} -- {number}")
    ]
    results = sandbox.map(jobs)
    assert state_of(database.parent) == before  # not a byte of the database changed, no new file
    return results[::2], results[1::2]


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=lambda n: f"{n}: {HOSTILE[n][:40]!a}")
def test_hostile_statement_is_stopped_and_its_neighbour_unharmed(ran, number):
    result, neighbour = ran[0][number], ran[1][number]
    assert result.status in STOPPED, f"{HOSTILE[number][:200]!r} gave {str(result.rows)[:200]}"
    assert result.error and result.rows is None
    assert result.seconds < 4 * LIMITS.seconds + 5
    assert neighbour.rows == GOOD_ROWS


def test_writing_is_refused_and_endless_ones_time_out(ran):
    statuses = dict(zip(HOSTILE, (r.status for r in ran[0]), strict=True))
    assert {statuses[sql] for sql in WRITES} == {"refused"}
    assert [s for s in ENDLESS[:9] if statuses[s] != "timeout"] == []


@pytest.mark.parametrize(
    "sql, rows",
    [
        ("SELECT 1;", [(1,)]),
        (" -- a remark\n/* another */ select 1 ; -- ; DROP TABLE pet", [(1,)]),
        ("VALUES (1, 'a'), (2, NULL)", [(1, "a"), (2, None)]),
        ("SELECT 'DROP TABLE pet; --'", [("DROP TABLE pet; --",)]),
        ("SELECT photo FROM pet WHERE id = 1", [(b"\x00\xff",)]),
        ("SELECT cast(x'ff41' AS TEXT)", [("\\xffA",)]),
        ("SELECT 9e999, -9e999", [(float("inf"), float("-inf"))]),
        ("SELECT 9223372036854775807", [(2**63 - 1,)]),
        ("SELECT '\u202e\U0001f436'", [("\u202e\U0001f436",)]),
        ("SELECT * FROM old_pet", [(3, "O'Neil", 12, None)]),
        ("SELECT count(*) FROM sqlite_master WHERE type = 'table'", [(2,)]),
        ("SELECT value FROM json_each('[1, 2]')", [(1,), (2,)]),
        (f"{COUNT} SELECT x FROM c LIMIT 3", [(1,), (2,), (3,)]),
        ("SELECT printf('%.2f', avg(n)), round(sqrt(16)), iif(1, 'y', 'n') FROM big",
         [("500.50", 4.0, "y")]),
        ("SELECT rank() OVER (ORDER BY n) r FROM big LIMIT 1", [(1,)]),
        ("SELECT strftime('%Y', '2020-01-02'), substr('abc', 2), CAST('3' AS REAL)",
         [("2020", "bc", 3.0)]),
        ("SELECT id FROM pet WHERE id < 0", []),
    ],
)  # fmt: skip
def test_honest_statements_run(sandbox, database, sql, rows):
    result = sandbox.execute(database, sql)
    assert (result.status, result.rows, result.error) == ("ok", rows, None)


def test_limits_on_rows_cells_and_bytes_say_which(database):
    limits = Limits(rows=10, cell_bytes=1_000, result_bytes=3_000)
    sandbox = Sandbox(limits, workers=1)
    assert len(sandbox.execute(database, "SELECT n FROM big LIMIT 10").rows) == 10
    assert "10 rows" in sandbox.execute(database, "SELECT n FROM big LIMIT 11").error
    assert "too big" in sandbox.execute(database, "SELECT hex(printf('%.600c', 'x'))").error
    wide = "SELECT printf('%.900c', 'x') FROM big LIMIT 9"
    assert "3,000 bytes" in sandbox.execute(database, wide).error
    with pytest.raises(EssenceError, match="memory_mb"):
        Limits(memory_mb=1)
    with pytest.raises(EssenceError, match="seconds"):
        Limits(seconds=float("nan"))


def bad_databases(folder: Path, honest: Path) -> dict[str, Path]:
    data = honest.read_bytes()
    contents = {
        "zero bytes": b"",
        "text": b"SELECT 1;\n" * 500,
        "cut": data[:700],
        "header alone": data[:100],
        "pages gone": data[: len(data) // 2],
        "noise after the header": data[:100] + random.Random(1).randbytes(len(data) - 100),
        "all zeros": bytes(4096),
    }
    paths = {name: folder / f"{name.replace(' ', '_')}.sqlite" for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    paths["missing"] = folder / "missing.sqlite"
    paths["a folder"] = folder
    paths["a device"] = Path("/dev/zero")
    return paths


def test_bad_database_files_give_a_status(tmp_path, database, sandbox):
    for name, path in bad_databases(tmp_path, database).items():
        result = sandbox.execute(path, "SELECT count(*), max(n) FROM big")
        assert result.status == "error" and result.error, name
    assert sandbox.execute(database, GOOD).rows == GOOD_ROWS
    assert not (tmp_path / "missing.sqlite").exists()


def test_an_error_of_sqlite_comes_with_its_class(database):
    sandbox = Sandbox(LIMITS, workers=1)
    refused = sandbox.execute(database, "SELECT nme FROM pet")
    assert refused.error == "no such column: nme"
    assert refused.exception == "<class 'sqlite3.OperationalError'>"
    assert sandbox.execute(database, "SELCT name FROM pet").exception is None  # not SQLite's


def test_corrupted_pages_never_harm_the_run(tmp_path, database):
    """Seeded bit flips all over the file: an answer or an error, never a hang or a crash."""
    rng, data = random.Random(7), database.read_bytes()
    jobs = []
    for number in range(40):
        spoiled = bytearray(data)
        for _ in range(rng.choice((1, 10, 200))):
            spoiled[rng.randrange(16, len(spoiled))] = rng.randrange(256)
        path = tmp_path / f"{number}.sqlite"
        path.write_bytes(spoiled)
        jobs += [(path, "SELECT * FROM pet ORDER BY name"), (database, f"{GOOD} -- {number}")]
    sandbox = Sandbox(LIMITS, workers=2)
    results = sandbox.map(jobs)
    assert {r.status for r in results[::2]} <= {"ok", "error", "timeout"}
    assert all(r.rows == GOOD_ROWS for r in results[1::2])


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


def test_call_that_sqlite_cannot_interrupt_is_killed(database):
    """Looking for half a text in itself takes a minute inside a single instruction."""
    slow = "SELECT instr(printf('%.1900000c', 'a'), printf('%.900000c', 'a') || 'b')"
    limits = dataclasses.replace(LIMITS, cell_bytes=2_000_000)
    sandbox = Sandbox(limits, workers=1)
    started = time.monotonic()
    assert sandbox.execute(database, slow).status == "timeout"
    # Not a minute; more than the limit, for a busy machine.
    assert time.monotonic() - started < 20
    assert sandbox.execute(database, GOOD).rows == GOOD_ROWS


LONG = "printf('%.900000c', 'a')"
KEYS = f"({COUNT} SELECT json_group_object('k' || x, 1) AS o FROM (SELECT x FROM c LIMIT 50000))"
FAR = "printf('%.*c', 900000000, 'x')"
LATE = f"instr({LONG}, printf('%.450000c', 'a') || 'b')"
ROW = "printf('%.*c', 900000 - a.n, 'a')"
# One call of these takes seconds, or few steps take many calls.
COSTLY = [
    f"SELECT {FAR}",
    "SELECT length(format('%.900000000c', 'x')) FROM big",
    f"SELECT {', '.join([FAR] * 50)}",
    "SELECT printf('" + "%.900000000c" * 500 + "', 'x')",
    f"SELECT n FROM big WHERE {FAR} IS NULL ORDER BY {FAR}",
    f"SELECT {LATE}",
    f"SELECT {', '.join([LATE] * 50)}",
    f"SELECT count(*) FROM big WHERE {LATE} > n",
    f"SELECT replace({LONG}, printf('%.450000c', 'a') || 'b', 'x')",
    f"SELECT json_patch(o, replace(o, 'k', 'j')) FROM {KEYS}",
    f"SELECT count(*) FROM {KEYS}, json_each(o) WHERE json_remove(o, '$.' || key) = 1",
    f"SELECT count(*) FROM {KEYS}, json_each(o) WHERE json_set(o, '$.' || key, 2) = 1",
    f"SELECT count(*) FROM big a, big b WHERE {ROW} LIKE '%{'a%' * 400}b'",
    f"SELECT count(*) FROM big WHERE {LONG} GLOB '*{'a' * 900}b'",
    f"SELECT count(*) FROM big WHERE {LONG} GLOB '*{'[^b]' * 200}b'",
    f"SELECT count(*) FROM big a, big b WHERE trim({ROW}, 'bcdefgh') > b.n",
    "SELECT count(*) FROM big a, big b WHERE hex(printf('%.*c', 400000 + a.n, 'x')) = b.n",
    f"SELECT max(soundex({ROW}) || upper({ROW})) FROM big a, big b",
    f"SELECT count(DISTINCT {LONG} || n) FROM big",
]


def worker_seconds() -> float:
    """Processor time of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture
def load():
    """Two processes that keep every core of a small machine busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for process in busy:
        process.kill()
        process.wait()


def test_costly_statements_end_within_their_limits_on_a_busy_machine(database, load):
    limits, steps, spent = Limits(seconds=0.3), 5_000_000, {}
    for sql in [*COSTLY, *ENDLESS[:11]]:
        before = worker_seconds()
        sandbox = Sandbox(limits, workers=1)
        result = sandbox.execute(database, sql, steps)
        assert sandbox.execute(database, GOOD).rows == GOOD_ROWS, sql
        spent[sql] = worker_seconds() - before, result.status
        assert result.status in {*STOPPED, "step limit"}, sql
    slowest = max(spent, key=spent.get)
    print(f"{len(spent)} statements; the slowest: {spent[slowest]} {slowest[:70]}")
    assert len(spent) == 30
    assert spent[slowest][0] < limits.seconds + 1  # a second for a call and two starts


def test_steps_are_the_same_each_time_and_end_a_statement(database, sandbox):
    everything = "SELECT count(*) FROM big a, big b"
    one, other = (sandbox.execute(database, everything) for _ in range(2))
    assert one.ok and one.steps == other.steps >= 100_000
    assert sandbox.execute(database, everything, one.steps).rows == one.rows
    ended = sandbox.execute(database, everything, one.steps - 1000)
    assert ended.status == "step limit" and f"{one.steps - 1000:,} steps" in ended.error
    assert ended.steps == one.steps, "the look that ended it is counted"


INTRUDERS = ["(", ")", "'", '"', ";", "--", "/*", "\0", "\u202e", "x'", "%", "9e999", "OVER ()"]
INTRUDERS += ["UNION", "DROP", "WITH RECURSIVE", "DISTINCT", "*"]


def mutated(rng: random.Random, statements: list[str]) -> str:
    """One statement with a few characters or words cut, doubled, shuffled or brought in."""
    words = rng.choice(statements).split(" ")
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(words))
        words[at : at + rng.randrange(2)] = rng.choice(
            (
                [],
                [words[at]] * 2,
                rng.choice(statements).split(" ")[: rng.randint(1, 9)],
                ["".join(rng.sample(words[at], len(words[at])))],
                [rng.choice(INTRUDERS)],
            )
        ) or [""]
    return " ".join(words)


def test_fuzz_over_the_hostile_ones(database, sandbox):
    rng = random.Random(11)
    short = [sql for sql in [*HOSTILE, GOOD] if len(sql) < 300]
    jobs = [(database, mutated(rng, short)) for _ in range(400)]
    for (_, sql), result in zip(jobs, sandbox.map(jobs), strict=True):
        assert result.status in ("ok", *STOPPED), sql
        assert (result.rows is None) == (result.error is not None), sql
    assert sandbox.execute(database, GOOD).rows == GOOD_ROWS


def run_command(*arguments: object) -> subprocess.CompletedProcess:
    return run_module("workflow_scripts.sql.execute", *arguments)


def test_command_line(database):
    done = run_command(str(database), "SELECT id, photo, 9e999 FROM pet LIMIT 1", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["status"] == "ok" and answer["error"] is None
    assert answer["rows"] == [[1, {"hex": "00ff"}, "inf"]] and 0 < answer["seconds"] < 1
    assert answer["steps"] == 0, "fewer than a thousand"
    done = run_command(str(database), "DROP TABLE pet", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["status"] == "refused"
    done = run_command(str(database), "DROP TABLE pet")
    assert done.returncode == 1 and done.stderr.startswith("refused: ")
    done = run_command(str(database), ENDLESS[0], "--json", "--seconds", "0.2")
    assert json.loads(done.stdout)["status"] == "timeout"
    assert "no such file" in run_command("nowhere.sqlite", "SELECT 1").stderr.lower()


def test_importing_the_executor_stays_light():
    code = "import sys, workflow_scripts.sql.execute as e; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "pyarrow", "transformers", "sqlglot"} & set(eval(done.stdout))
