"""Executed once, found again by content, and never fooled by a damaged entry."""

import sqlite3

import pytest

from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.sandbox import Limits, Sandbox

SELECT = "SELECT a, b, 9e999 FROM t ORDER BY a"
ROWS = [(1, b"\x00\xff", float("inf")), (2, "é", float("inf"))]
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) FROM c"


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "d.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a, b)")
    connection.execute("INSERT INTO t VALUES (1, x'00ff'), (2, 'é')")
    connection.commit()
    connection.close()
    return path


@pytest.fixture
def open_cache(tmp_path):
    with Sandbox(Limits(seconds=5), workers=2) as sandbox:
        yield lambda: CachedSandbox(sandbox, tmp_path / "cache")


def entries(tmp_path):
    return [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_once_per_distinct_pair_in_memory_and_on_disk(open_cache, database, tmp_path):
    cache = open_cache()
    jobs = [(database, SELECT)] * 50 + [(database, "SELECT 1"), (database, "select\n1 ")] * 25
    results = list(cache.map(jobs))
    assert cache.executed == 2 and len(entries(tmp_path)) == 2
    assert results[0].rows == ROWS and results[-1].rows == [(1,)]
    again = open_cache()
    assert again.execute(database, SELECT) == results[0]
    assert again.executed == 0


def test_a_changed_database_or_limit_is_another_question(open_cache, database):
    open_cache().execute(database, SELECT)
    connection = sqlite3.connect(database)
    connection.execute("DELETE FROM t WHERE a = 1")
    connection.commit()
    connection.close()
    cache = open_cache()
    assert cache.execute(database, SELECT).rows == ROWS[1:] and cache.executed == 1
    with Sandbox(Limits(rows=1)) as strict:
        other = CachedSandbox(strict, cache.folder)
        assert other.execute(database, SELECT).ok and other.executed == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "swapped", "empty"])
def test_a_damaged_entry_is_noticed_and_made_anew(open_cache, database, tmp_path, damage):
    open_cache().execute(database, SELECT)
    (path,) = entries(tmp_path)
    data = path.read_bytes()
    if damage == "swapped":  # a whole entry, but of another statement
        open_cache().execute(database, "SELECT 666")
        (other,) = [p for p in entries(tmp_path) if p != path]
        path.write_bytes(other.read_bytes())
    else:
        spoiled = {"cut": data[:-5], "changed": data[:-1] + bytes([data[-1] ^ 1]), "empty": b""}
        path.write_bytes(spoiled[damage])
    cache = open_cache()
    assert cache.execute(database, SELECT).rows == ROWS and cache.executed == 1
    again = open_cache()
    assert again.execute(database, SELECT).rows == ROWS and again.executed == 0


def test_other_seconds_or_steps_are_another_question(open_cache, database):
    assert open_cache().execute(database, ENDLESS, 0.2).status == "timeout"
    cache = open_cache()
    assert cache.execute(database, ENDLESS, 0.2).status == "timeout" and cache.executed == 0
    assert cache.execute(database, ENDLESS, 0.3).status == "timeout" and cache.executed == 1
    stopped = cache.execute(database, ENDLESS, steps=5000)
    assert (stopped.status, cache.executed) == ("step limit", 2)
    assert stopped.error == "no answer within 5,000 steps of SQLite"
    assert open_cache().execute(database, ENDLESS, steps=5000) == stopped
    assert cache.execute(database, ENDLESS, steps=6000).status == "step limit"
    assert cache.executed == 3


def test_chance_the_clock_and_locks_are_not_kept_on_disk(open_cache, database, tmp_path):
    cache = open_cache()
    first = cache.execute(database, "SELECT random()")
    assert cache.execute(database, "SELECT random()") == first  # within a run, gold equals gold
    cache.execute(database, "SELECT date('now')")
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert "locked" in cache.execute(database, SELECT).error
    holder.execute("ROLLBACK")
    holder.close()
    assert entries(tmp_path) == [] and cache.execute(database, SELECT).ok
    assert open_cache().execute(database, SELECT).rows == ROWS


def test_refusals_and_errors_are_kept_and_missing_files_told(open_cache, database, tmp_path):
    for sql in ("DROP TABLE t", "SELECT nothing FROM t"):
        open_cache().execute(database, sql)
    cache = open_cache()
    assert cache.execute(database, "DROP TABLE t").status == "refused"
    assert cache.execute(database, "SELECT nothing FROM t").status == "error"
    assert cache.executed == 0
    assert "No such file" in cache.execute(tmp_path / "gone.sqlite", SELECT).error


def test_a_race_is_kept_with_its_times(open_cache, database):
    first = open_cache().execute(database, SELECT, rival="SELECT 1", repeat=3)
    again = open_cache()
    assert len(first.times) == 3
    assert again.execute(database, SELECT, rival="SELECT 1", repeat=3) == first
    assert again.executed == 0
