"""SQL in the agents' style: the same query, a line for each clause."""

import sqlite3

import pytest

from workflow_scripts.sql.layout import agents_sql
from workflow_scripts.sql.parse import parse

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
