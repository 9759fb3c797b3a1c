"""One spelling for equal SQL, what a statement names, and SQL in the agents' style."""

import sqlite3

import pytest
from material import SQL_EXAMPLES

from workflow_scripts.sql.layout import agents_sql
from workflow_scripts.sql.parse import (
    LONGEST,
    as_spider_compares,
    canonical,
    names_in,
    orders_rows,
    parse,
)


def test_one_query_in_two_spellings_and_two_queries():
    for one, other in SQL_EXAMPLES["same"]:
        assert canonical(one) == canonical(other) is not None
    for one, other in SQL_EXAMPLES["other"]:
        assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    "text",
    ["", " ", "Sub question 1: how many?", "SELECT (", "SELECT 1; SELECT 2", "DROP TABLE t",
     "SELECT '", "SELECT\0 1", "(" * 3000, "SELECT " + "(" * 4000 + "1" + ")" * 4000,
     "x" * (LONGEST + 1), "\ud800"],
)  # fmt: skip
def test_what_does_not_parse_is_no_error(text):
    assert parse(text) is None and canonical(text) is None and names_in(text) is None
    assert isinstance(as_spider_compares(text), str) and orders_rows(text) is False


def test_distinct_and_split_operators_are_found_in_the_sql_not_in_its_texts():
    sql = "SELECT DISTINCT count(distinct a) FROM t WHERE b = 'DISTINCT'"
    assert as_spider_compares(sql) == "SELECT  count( a) FROM t WHERE b = 'DISTINCT'"
    assert as_spider_compares("a > = 1 AND b ! = 2") == "a >= 1 AND b != 2"
    assert orders_rows("SELECT a FROM t ORDER  BY a")
    assert not orders_rows("SELECT 'order by' FROM t")


def test_names():
    names = names_in(
        "WITH best AS (SELECT T1.a AS top FROM t AS T1) "
        'SELECT best.top, u.*, c FROM best JOIN u ON u.x = best.top WHERE d = "val" '
        "AND e IN (SELECT f FROM v)"
    )
    assert names.tables == {"t", "u", "v"} and names.starred == {"u"}
    assert names.columns == {
        ("t", "a"), ("u", "x"), (None, "c"), (None, "d"), (None, "e"), (None, "f"),
    }  # fmt: skip
    assert names_in("SELECT * FROM t").starred == {"t"}
    assert names_in("SELECT count(*) FROM t").starred == frozenset()


@pytest.mark.parametrize("example", SQL_EXAMPLES["written"])
def test_a_query_is_written_as_the_agents_do_and_returns_the_same(example):
    written = agents_sql(parse(example["sql"]))
    assert written == example["written"]
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE t (a, `b c`); INSERT INTO t VALUES (1, 2), (2, 'x'), (3, NULL);"
        "CREATE TABLE u (d, e); INSERT INTO u VALUES (1, NULL), (2, 5), (3, 1);"
    )
    assert connection.execute(written).fetchall() == connection.execute(example["sql"]).fetchall()
