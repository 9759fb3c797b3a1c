"""The steps of a Decomposer's answer: which queries they are, and their words."""

import pytest

from workflow_scripts.data.sub_questions import in_words, steps_before
from workflow_scripts.sql.parse import parse

WORDS = {("", "name"): "full name", ("singer", "name"): "full name"}
STEPS = {
    "SELECT name FROM singer WHERE age > (SELECT avg(age) FROM singer)": [
        ("What is the average age in singer?", "SELECT AVG(age) FROM singer")
    ],
    "SELECT name FROM singer EXCEPT SELECT DISTINCT name FROM singer WHERE town LIKE '%x%'": [
        ("Find the full name in singer.", "SELECT name FROM singer"),
        (
            "Find the different full name in singer where town contains 'x'.",
            "SELECT DISTINCT name FROM singer WHERE town LIKE '%x%'",
        ),
    ],
    "SELECT T2.name FROM concert AS T1 JOIN singer AS T2 ON T1.singer = T2.id WHERE T1.year = 1": [
        ("Find the singer in concert where year is 1.", "SELECT singer FROM concert WHERE year = 1")
    ],
    # both tables have conditions
    "SELECT a.x FROM a JOIN b ON a.i = b.j WHERE a.x = 1 AND b.y = 2": [],
    # not on their own, or no words for them
    "SELECT x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.i = a.i)": [],
    "WITH c AS (SELECT x FROM a) SELECT x FROM b WHERE x = (SELECT max(x) FROM c)": [
        ("Find the x in a.", "SELECT x FROM a")
    ],
    "SELECT x FROM a WHERE x = (SELECT y FROM b WHERE z LIKE 'p_q')": [],
}


@pytest.mark.parametrize("sql", STEPS)
def test_steps_of_a_query(sql):
    steps = steps_before(parse(sql), WORDS)
    assert [(said, query.sql(dialect="sqlite")) for said, query in steps] == STEPS[sql]


PHRASES = {
    "SELECT count(*) FROM a": "What is the number of rows in a?",
    "SELECT count(DISTINCT x), sum(y) FROM a": (
        "What is the number of different x and total y in a?"
    ),
    "SELECT x, max(y) FROM a GROUP BY x HAVING count(*) >= 2": (
        "Find the x and highest y in a for each x, where number of rows is at least 2."
    ),
    "SELECT x FROM big_town WHERE x IS NULL OR NOT y IN (1, 'q', 3)": (
        "Find the x in big town where x is unknown or y is not 1, 'q' or 3."
    ),
    "SELECT x FROM a WHERE x BETWEEN -1 AND 2 AND y NOT LIKE 'p%' AND z IS NOT NULL": (
        "Find the x in a where x is between -1 and 2 and y does not begin with 'p' and z is known."
    ),
    "SELECT x FROM a ORDER BY count(*) DESC LIMIT 1": (
        "Find the x in a with the highest number of rows."
    ),
    "SELECT x FROM a ORDER BY y, z DESC LIMIT 3": (
        "Find the x in a in the order of y from low to high and z from high to low, the first 3."
    ),
    "SELECT x FROM a WHERE NOT y LIKE '%p' OR NOT z NOT LIKE 'q'": (
        "Find the x in a where y does not end with 'p' or z is 'q'."
    ),
    "SELECT x FROM a WHERE y NOT IN (SELECT y FROM b)": (
        "Find the x in a where y is not among the y in b."
    ),
}


@pytest.mark.parametrize("sql", PHRASES)
def test_a_query_in_words(sql):
    assert in_words(parse(sql), {}) == PHRASES[sql]
