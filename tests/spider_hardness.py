"""Spider's hardness counted a second way, over words instead of a tree, for the tests.

Follows `evaluation.py` and the grammar of `process_sql.py` of the Spider test suite; good for the
SQL of Spider itself and no further.
"""

import re

WORD = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[\w.]+|<=|>=|!=|<>|[^\s\w]")
AGGREGATES = ("max", "min", "count", "sum", "avg")
CLAUSES = ("select", "from", "where", "group", "having", "order", "limit")


def spider_hardness(sql: str) -> str:
    words, compound = first_select(fold([w.lower() for w in WORD.findall(sql.rstrip("; \n"))]))
    part = {name: [] for name in CLAUSES}
    here = "select"
    for word in words:
        here = word if word in CLAUSES else here
        part[here].append(word)
    conditions = part["from"] + part["where"] + part["having"]
    clauses = sum(bool(part[name]) for name in ("where", "group", "order", "limit"))
    clauses += part["from"].count("join") + commas(part["from"])
    clauses += conditions.count("or") + conditions.count("like")
    joined = part["from"][part["from"].index("on") :] if "on" in part["from"] else []
    nested = compound + (joined + part["where"] + part["having"]).count("<query>")
    return level(clauses, nested, others(part))


def others(part: dict[str, list[str]]) -> int:
    aggregates = sum(word in AGGREGATES for word in starts(part["select"][1:]))
    aggregates += sum(word in AGGREGATES for word in starts(part["order"][2:]))
    negated = [w for w in part["where"] + part["having"] if w == "not"]
    aggregates += len(negated) + sum(word in ("and", "or") for word in part["having"])
    between = part["where"].count("between")
    connected = sum(word in ("and", "or") for word in part["where"]) - between
    return (
        (aggregates > 1)
        + (commas(part["select"]) > 0)
        + (connected > 0)
        + (commas(part["group"]) > 0)
    )


def level(clauses: int, nested: int, others: int) -> str:
    if clauses <= 1 and others == 0 and nested == 0:
        return "easy"
    if (others <= 2 and clauses <= 1 and nested == 0) or (
        clauses <= 2 and others < 2 and nested == 0
    ):
        return "medium"
    if (
        (others > 2 and clauses <= 2 and nested == 0)
        or (2 < clauses <= 3 and others <= 2 and nested == 0)
        or (clauses <= 1 and others == 0 and nested <= 1)
    ):
        return "hard"
    return "extra"


def fold(words: list[str]) -> list[str]:
    """Write every bracketed query as one word."""
    folded, stack = [], []
    for word in words:
        if word == "(":
            stack.append(len(folded))
        folded.append(word)
        if word == ")":
            start = stack.pop()
            if folded[start + 1] == "select":
                folded[start:] = ["<query>"]
    return folded


def first_select(words: list[str]) -> tuple[list[str], int]:
    for at, word in enumerate(words):
        if word in ("union", "intersect", "except"):
            return words[:at], 1
    return words, 0


def commas(words: list[str]) -> int:
    depth = count = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        count += word == "," and depth == 0
    return count


def starts(words: list[str]) -> list[str]:
    """First word of each item of a list, brackets and DISTINCT aside."""
    depth, fresh, found = 0, True, []
    for word in words:
        if fresh and word not in ("(", "distinct"):
            found.append(word)
            fresh = False
        depth += (word == "(") - (word == ")")
        fresh = fresh or (word == "," and depth == 0)
    return found
