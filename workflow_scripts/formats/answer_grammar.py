"""The form of right answers as grammars, for decoding that keeps to them (model/constraint.py).

A grammar is a text in llguidance's dialect of Lark. It ties names to their places: in JSON each
table of the schema with columns of its own; in SQL a table after FROM and JOIN, and elsewhere only
columns of the tables that this SELECT reads, behind the right alias (t1, t2 and so on), but for the
SELECTs that `sql_grammar` names.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

from workflow_scripts.formats.schema import ForeignKey

# Words that may stand anywhere in a SELECT, and those that begin a call.
WORDS = (
    "all|and|as|asc|between|by|case|cast|collate|desc|distinct|else|end|escape|exists|false|glob|"
    "group|having|in|integer|is|like|limit|nocase|not|null|numeric|offset|or|order|over|partition|"
    "real|regexp|text|then|true|when|where|"
    "abs|avg|coalesce|count|date|datetime|group_concat|ifnull|iif|instr|julianday|length|lower|max|"
    "min|nullif|printf|rank|replace|round|row_number|strftime|substr|substring|sum|time|total|trim|"
    "upper"
)
BETWEEN = r"[\s,*+\-\/%<>=!|]"  # what parts two words, at most 40 of it: an answer must end
WITHIN = BETWEEN.replace(",", "")  # the same in the condition of a join, which is no list
JOIN = r"(\s*,|\s+((left|right|full|inner|cross|natural)\s+)?(outer\s+)?join)"
MOST_JOINED = 3  # tables of one SELECT whose columns are told apart
MOST_SCOPES = 200  # combinations of tables; with more, fewer tables are told apart
USES_FILES = ["sql_answer.lark"]
SQL = Path(__file__).with_name(USES_FILES[0]).read_text(encoding="utf-8")
for name, text in (("BETWEEN", BETWEEN), ("WITHIN", WITHIN), ("JOIN", JOIN)):
    SQL = SQL.replace(f"/{name}", f"/{text}")


def selector_grammar(tables: Mapping[str, Sequence[str]]) -> str:
    """The answers for a schema (table -> columns), as `answers.render_selector` writes them."""

    def literal(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    lines = [r'start: "\n"? "```json\n{\n" choices "\n}\n```\n" "Question Solved.\n"?']
    lines.append("choices: " + r' ",\n" '.join(f"t{number}" for number in range(len(tables))))
    for number, (table, columns) in enumerate(tables.items()):
        whole = r'"\"keep_all\"" | "\"drop_all\""'
        if columns:
            more = f'(", " c{number}){{0,{len(columns) - 1}}}'
            whole += f' | "[" c{number} {more} "]"'
            lines.append(f"c{number}: " + " | ".join(literal(literal(each)) for each in columns))
        lines.append(f"t{number}: {literal(f'  {literal(table)}: ')} ({whole})")
    return "\n".join(lines)


def sql_grammar(tables: Mapping[str, Sequence[str]], keys: Iterable[ForeignKey]) -> str:
    """Answers of the Decomposer and the Refiner for a schema (table -> columns).

    A rule for each combination of tables that a SELECT may read, in the order of its FROM. One that
    joins more (than MOST_JOINED, or fewer where these make more than MOST_SCOPES combinations),
    reads a SELECT in its FROM or calls its first table t2 or higher may name any column of the
    schema, behind any alias. An alias may be used that FROM does not give.
    """
    places = {table: number for number, table in enumerate(tables)}
    scopes = connected(tables, keys)
    longest = max(map(len, scopes))
    lines = [SQL, "select: " + " | ".join([*(f"s{n}" for n in range(len(scopes))), "any"])]
    lines += _words(tables)
    for number, scope in enumerate(scopes):
        columns = []
        for place, table in enumerate(scope, 1):
            at = places[table]
            columns += [f"C{at}", f"A{place}_{at}"] + [f"T{at}"] * (scope.count(table) == 1)
        lines += _body(str(number), list(dict.fromkeys(columns)))
        read = f"TABLE{places[scope[0]]} ALIAS1?"
        for place, table in enumerate(scope[1:], 2):
            read += f" JOINED{places[table]} ALIAS{place}? on{number}?"
        lines.append(f"s{number}: SELECT g{number}* FROM {read} (CLAUSE g{number}*)?")
    lines += _body("any", ["ANY"])
    many = "table alias? " + "join " * longest
    first = f"OPEN query CLOSE alias? | {many} | table later"
    lines.append(f"any: SELECT gany* FROM ({first}) join* (CLAUSE gany*)?")
    return "\n".join(lines)


def connected(
    tables: Mapping[str, Sequence[str]], keys: Iterable[ForeignKey]
) -> list[tuple[str, ...]]:
    """The combinations of tables, ordered, that a SELECT may read, the shorter first."""
    pairs = {frozenset((table.lower(), other.lower())) for table, _, other, _ in keys}
    columns = {table: {each.lower() for each in own} for table, own in tables.items()}

    def meet(one: str, other: str) -> bool:
        by_key = frozenset((one.lower(), other.lower())) in pairs
        return by_key or bool(columns[one] & columns[other])

    layer: list[tuple[str, ...]] = [(table,) for table in tables]
    scopes = list(layer)
    for _ in range(MOST_JOINED - 1):
        pairs_of = product(layer, tables)
        layer = [(*scope, new) for scope, new in pairs_of if any(meet(new, old) for old in scope)]
        if len(scopes) + len(layer) > MOST_SCOPES:
            break
        scopes += layer
    return scopes


def _words(tables: Mapping[str, Sequence[str]]) -> list[str]:
    """The terminals; a name ending in 1 follows nothing, others what must be parted (3: in ON)."""
    every = _names(column for columns in tables.values() for column in columns)
    qualifier = f"(t[0-9]|{_names(tables)})\\."
    number = r"[0-9]+(\.[0-9]+)?(e-?[0-9]+)?"
    forms = {
        "WORD": (WORDS, "i"),
        "VALUE": (rf"{number}|'([^'\n`]|'')*'", ""),
        "ANY": (rf"({qualifier})?({every}|\*)", "i"),
    }
    for place, (table, names) in enumerate(tables.items()):
        columns = _names(names)
        forms[f"C{place}"] = (columns, "i")
        forms[f"T{place}"] = (rf"({_names([table])})\.({columns}|\*)", "i")
        for alias in range(1, MOST_JOINED + 1):
            forms[f"A{alias}_{place}"] = (rf"t{alias}\.({columns}|\*)", "i")
    lines = []
    for end, before in ((1, r"[\s\-+]{0,40}"), (2, BETWEEN + "{1,40}"), (3, WITHIN + "{1,40}")):
        lines += [f"{name}_{end}: /{before}({text})/{flag}" for name, (text, flag) in forms.items()]
    lines += [rf"ALIAS{alias}: /\s+(as\s+)?t{alias}/i" for alias in range(1, 10)]
    lines.append("later: " + " | ".join(f"ALIAS{alias}" for alias in range(2, 10)))
    for kind, before in (("table", ""), ("joined", JOIN)):
        rules = {f"{kind.upper()}{place}": _names([table]) for place, table in enumerate(tables)}
        lines += [rf"{name}: /{before}\s+({text})/i" for name, text in rules.items()]
        lines.append(f"{kind}: " + " | ".join(rules))
    return lines


def _body(name: str, columns: Sequence[str]) -> list[str]:
    """What may stand in a SELECT that reads some tables: words, values, their columns, brackets."""
    kinds, inside = ("WORD", "VALUE", *columns), f"(e{name} | query)? CLOSE"
    return [
        f"e{name}: f{name} g{name}*",
        f"f{name}: OPEN {inside} | " + " | ".join(f"{kind}_1" for kind in kinds),
        f"g{name}: OPEN {inside} | " + " | ".join(f"{kind}_2" for kind in kinds),
        f"h{name}: OPEN_ON {inside} | " + " | ".join(f"{kind}_3" for kind in kinds),
        f"on{name}: ON h{name}+ | USING OPEN e{name} CLOSE",
    ]


def _names(names: Iterable[str]) -> str:
    """A regular expression: names in back quotes, and bare where they are one word."""
    known = sorted(set(names))
    quoted = ["`" + re.sub(r"([^\w ])", r"\\\1", name) + "`" for name in known]
    return "|".join([*quoted, *(name for name in known if re.fullmatch(r"[^\W\d]\w*", name))])
