"""One spelling for equal SQL, what a statement names, and SQL in the agents' style."""

import sqlite3

import pytest

from workflow_scripts.sql.layout import agents_sql
from workflow_scripts.sql.parse import (
    LONGEST,
    as_spider_compares,
    canonical,
    names_in,
    orders_rows,
    parse,
)
from workflow_scripts.sql.sandbox import Limits, Sandbox


@pytest.mark.parametrize(
    "one, other",
    [
        ("SELECT name FROM t;", "select  NAME\nfrom T"),
        ("SELECT T1.a FROM t AS T1 JOIN u AS T2 ON T1.x = T2.y",
         "select t.a from t join u on t.x=u.y"),
        ("SELECT t.a FROM t WHERE t.b <> 1", "SELECT a FROM t WHERE b != 1"),
        ("SELECT `a b` FROM t", "SELECT [A B] FROM t"),
        ('SELECT a FROM t WHERE b = "It\'s"', "SELECT a FROM t WHERE b = 'It''s'"),
        ('SELECT a FROM t WHERE b IN ("x", "y")', "SELECT a FROM t WHERE b IN ('x', 'y')"),
        ('SELECT a FROM t WHERE b BETWEEN "x" AND "y"',
         "SELECT a FROM t WHERE b BETWEEN 'x' AND 'y'"),
        ("SELECT p.a FROM t p, t q WHERE p.x = q.y", "SELECT t.a FROM t, t AS r WHERE t.x = r.y"),
        ("SELECT count(*) AS n FROM t", "SELECT COUNT ( * ) n FROM t"),
        ("SELECT a FROM t -- all of them", "SELECT a /* the name */ FROM t"),
    ],
)  # fmt: skip
def test_same_query_in_another_spelling(one, other):
    assert canonical(one) == canonical(other) is not None


@pytest.mark.parametrize(
    "one, other",
    [
        ("SELECT a FROM t", "SELECT b FROM t"),
        ("SELECT a FROM t WHERE b = 'X'", "SELECT a FROM t WHERE b = 'x'"),
        ('SELECT a FROM t WHERE b = "X"', 'SELECT a FROM t WHERE b = "x"'),
        ("SELECT p.a FROM t p, t q", "SELECT q.a FROM t p, t q"),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a DESC"),
        ("SELECT DISTINCT a FROM t", "SELECT a FROM t"),
        ("SELECT a FROM t JOIN u ON t.x = u.x", "SELECT a FROM t LEFT JOIN u ON t.x = u.x"),
        ("SELECT count(a) FROM t", "SELECT count(*) FROM t"),
        ("SELECT `a, b` FROM t", "SELECT a, b FROM t"),
    ],
)
def test_other_query(one, other):
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


def test_normalised_queries_return_the_same_rows(real_databases):
    rows = real_databases.sample(300, 8)
    paths = [real_databases.path(row["db_id"]) for row in rows]
    sandbox, queries = Sandbox(Limits(seconds=5), workers=2), [row["query"] for row in rows]
    gold = sandbox.map(zip(paths, queries, strict=True))
    ours = sandbox.map(zip(paths, map(canonical, queries), strict=True))
    for sql, one, other in zip(queries, gold, ours, strict=True):
        assert one.rows == other.rows, sql


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


WRITTEN = {
    'select T1.a, count(distinct "b c") from t as T1 join u on T1.a = u.d where T1.a not in '
    "(select d from u where e is not null) group by 1 having count(*) > 0 order by 1 desc limit 2":
    """SELECT T1.`a`, COUNT(DISTINCT `b c`)
  FROM t AS T1
  INNER JOIN u
  ON T1.`a` = u.`d`
  WHERE T1.`a` NOT IN (
    SELECT `d`
    FROM u
    WHERE `e` IS NOT NULL
  )
  GROUP BY 1
  HAVING COUNT(*) > 0
  ORDER BY COUNT(*) DESC
  LIMIT 2""".replace("ORDER BY COUNT(*)", "ORDER BY 1"),
    "SELECT a FROM t WHERE a NOT LIKE 'x%' UNION SELECT d FROM u ORDER BY 1": """SELECT `a`
  FROM t
  WHERE `a` NOT LIKE 'x%'
  UNION
  SELECT `d`
  FROM u
  ORDER BY 1""",
    "WITH w AS (SELECT a FROM t) SELECT sum(a) OVER (ORDER BY a) FROM w": """WITH w AS (
    SELECT `a`
    FROM t
  )
  SELECT SUM(`a`) OVER (ORDER BY `a`)
  FROM w""",
    "SELECT a FROM t WHERE a = (SELECT max(d) FROM u WHERE d < (SELECT max(d) FROM u))":
    """SELECT `a`
  FROM t
  WHERE `a` = (
    SELECT MAX(`d`)
    FROM u
    WHERE `d` < (
        SELECT MAX(`d`)
        FROM u
      )
  )""",
}  # fmt: skip


@pytest.mark.parametrize("sql", WRITTEN)
def test_a_query_is_written_as_the_agents_do_and_returns_the_same(sql):
    written = agents_sql(parse(sql))
    assert written == WRITTEN[sql]
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE t (a, `b c`); INSERT INTO t VALUES (1, 2), (2, 'x'), (3, NULL);"
        "CREATE TABLE u (d, e); INSERT INTO u VALUES (1, NULL), (2, 5), (3, 1);"
    )
    assert connection.execute(written).fetchall() == connection.execute(sql).fetchall()
