"""Ways to break a good SQL statement so that SQLite refuses it.

Each way takes the query, its SQL, the database and a random generator and gives the broken SQL,
or None where it doesn't apply. Whether SQLite really refuses is tried by the caller, who keeps
SQLite's own words.
"""

import random
import re
from collections.abc import Callable

from workflow_scripts.data.twin.query import Query
from workflow_scripts.data.twin.schema import World, quoted

Breaker = Callable[[Query, str, World, random.Random], str | None]

COLUMN = re.compile(r"(?:(T\d)\.)?`([^`]+)`")
KEYWORDS = {
    "SELECT": "SELCT",
    "FROM": "FORM",
    "WHERE": "WEHRE",
    "GROUP BY": "GRUOP BY",
    "ORDER BY": "ODER BY",
    "INNER JOIN": "INNER JION",
    "LIMIT": "LIMT",
    "DESC": "DSEC",
}
FUNCTIONS = {
    "AVG(": "MEAN(",
    "MAX(": "MAXIMUM(",
    "MIN(": "MINIMUM(",
    "SUM(": "TOTAL_OF(",
    "COUNT(*)": "NUMBER(*)",
    "STRFTIME('%Y', ": "YEAR(",
    "STRFTIME('%m', ": "MONTH(",
}


def _typo(word: str, rng: random.Random) -> str:
    place = rng.randrange(1, len(word))
    ways = [word[:place] + word[place + 1 :], word[:place] + word[place - 1] + word[place:]]
    if place + 1 < len(word):
        ways.append(word[:place] + word[place + 1] + word[place] + word[place + 2 :])
    ways.append(word[:-1] if word.endswith("s") else word + "s")
    return rng.choice(ways)


def _swap(sql: str, old: str, new: str) -> str | None:
    return sql.replace(old, new, 1) if old in sql and old != new else None


def _any_swap(sql: str, swaps: dict[str, str], rng: random.Random) -> str | None:
    fitting = [old for old in swaps if old in sql]
    if not fitting:
        return None
    old = rng.choice(fitting)
    return _swap(sql, old, swaps[old])


def _without_one(sql: str, places: list[int], rng: random.Random) -> str | None:
    """The SQL without the character at one of the places."""
    if not places:
        return None
    place = rng.choice(places)
    return sql[:place] + sql[place + 1 :]


def _any_column(sql: str, rng: random.Random) -> str:
    return rng.choice(COLUMN.findall(sql) or [("", "x")])[1]


def _any_prefixed(sql: str, rng: random.Random) -> tuple[str, str]:
    """(alias, column) of a column that has an alias in front."""
    return rng.choice([found for found in COLUMN.findall(sql) if found[0]])


def misspelt_column(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    name = _any_column(sql, rng)
    return sql.replace(f"`{name}`", f"`{_typo(name, rng)}`")


def invented_column(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    """A name that somebody might expect instead of the real one."""
    name = _any_column(sql, rng)
    head = name.split("_")[-1].split(" ")[0]
    guesses = [f"{rng.choice(query.tables)}_{head}", f"{head}_name", f"the_{head}", f"{head}_no"]
    return sql.replace(f"`{name}`", f"`{rng.choice(guesses)}`")


def other_tables_column(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    """A column of a table that is not in the query."""
    others = [t for t in world.tables.values() if t.name not in query.tables]
    if not others:
        return None
    column = rng.choice(rng.choice(others).columns).name
    name = _any_column(sql, rng)
    return _swap(sql, f"`{name}`", f"`{column}`")


def wrong_alias(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    if not query.joins:
        return None
    alias, name = _any_prefixed(sql, rng)
    other = "T2" if alias == "T1" else "T1"
    return sql.replace(f"{alias}.`{name}`", f"{other}.`{name}`")


def unknown_alias(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    if not query.joins:
        return None
    alias, name = _any_prefixed(sql, rng)
    return sql.replace(f"{alias}.`{name}`", f"T{len(query.joins) + 2}.`{name}`")


def missing_join(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    joins = re.findall(r"\n  INNER JOIN .*\n  ON .*", sql)
    return sql.replace(joins[-1], "", 1) if joins else None


def missing_on(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    """The join's condition lost half of itself."""
    return re.sub(r"(\n  ON .*) = .*", r"\1 =", sql, count=1) if query.joins else None


def misspelt_table(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    name = rng.choice(query.tables)
    return re.sub(rf"(FROM|JOIN) `?{re.escape(name)}`?", rf"\1 {_typo(name, rng)}", sql)


def singular_table(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    table = world.tables[rng.choice(query.tables)]
    guess = table.one if table.one != table.name else table.many
    return re.sub(rf"(FROM|JOIN) `?{re.escape(table.name)}`?", rf"\1 {guess}", sql)


def wrong_function(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    return _any_swap(sql, FUNCTIONS, rng)


def wrong_cast(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    found = re.search(r"CAST\((.*) AS REAL\) (\*.*|/.*)", sql)
    if not found:
        return None
    if found[2].startswith("/"):
        return sql.replace(found[0], f"DIVIDE({found[1]}, {found[2][2:]})")
    return sql.replace(found[0], f"TO_REAL({found[1]}) {found[2]}")


def missing_quote(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    return _without_one(sql, [match.start() for match in re.finditer("'", sql)][1::2], rng)


def missing_parenthesis(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    return _without_one(sql, [match.start() for match in re.finditer(r"\)", sql)], rng)


def missing_backticks(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    needy = [name for _, name in COLUMN.findall(sql) if quoted(name)]
    return sql.replace(f"`{needy[0]}`", needy[0]) if needy else None


def unquoted_value(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    """A text value without its quotes reads as a name."""
    values = re.findall(r"= '([^'%]+)'", sql)
    return sql.replace(f"'{values[0]}'", values[0]) if values else None


def ambiguous_column(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    """The alias of a column that two joined tables share is lost."""
    if not query.joins:
        return None
    names = [name for _, name in COLUMN.findall(sql)]
    name = rng.choice(names)
    shared = [t for t in query.tables if name in [c.name for c in world.tables[t].columns]]
    return re.sub(rf"T\d\.`{re.escape(name)}`", f"`{name}`", sql) if len(shared) > 1 else None


def wrong_order(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    """Two neighbouring clauses change places."""
    lines = re.split(r"\n  (?=[A-Z])", sql)
    starts = ("WHERE", "GROUP", "HAVING", "ORDER", "LIMIT")
    movable = [n for n, line in enumerate(lines) if line.startswith(starts)]
    if not movable:
        return None
    place = rng.choice(movable)
    lines[place - 1], lines[place] = lines[place], lines[place - 1]
    return "\n  ".join(lines)


def misspelt_keyword(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    return _any_swap(sql, KEYWORDS, rng)


def aggregate_in_where(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    if query.having:
        return re.sub(r"GROUP BY .*\n  HAVING", "WHERE", sql)
    if query.sub:
        found = re.search(r"\(\n    SELECT (.*)\n    FROM .*\n  \)", sql)
        return sql.replace(found[0], found[1]) if found else None
    return None


def trailing_comma(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    return _swap(sql, "\n  FROM", ",\n  FROM")


def select_top(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    """Another dialect's way to limit."""
    if not query.limit:
        return None
    return sql.replace("SELECT ", f"SELECT TOP {query.limit} ", 1).replace(
        f"\n  LIMIT {query.limit}", ""
    )


def wrong_operator(query: Query, sql: str, world: World, rng: random.Random) -> str | None:
    return _any_swap(sql, {" >= ": " => ", " > ": " >> = ", " BETWEEN ": " IS BETWEEN "}, rng)


BREAKERS: dict[str, Breaker] = {
    way.__name__: way
    for way in (
        misspelt_column,
        invented_column,
        other_tables_column,
        wrong_alias,
        unknown_alias,
        missing_join,
        missing_on,
        misspelt_table,
        singular_table,
        wrong_function,
        wrong_cast,
        missing_quote,
        missing_parenthesis,
        missing_backticks,
        unquoted_value,
        ambiguous_column,
        wrong_order,
        misspelt_keyword,
        aggregate_in_where,
        trailing_comma,
        select_top,
        wrong_operator,
    )
}
