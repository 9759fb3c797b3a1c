"""Keep the tables of a large schema that a question is likely about, so that a prompt holds them.

A word that the question shares with a table counts the more, the fewer tables have it: twice in the
table's name, once in a column's, half in value examples. A table without the question's words may
be needed to join those that have them, so half the score of its best neighbour by foreign key is
added. The likeliest comes first, so that a prompt that is cut loses the least likely.
`tools/narrowing_trial.py` measures how often the needed tables stay.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable

from workflow_scripts.formats.schema import Schema, Table, fold_name

NEIGHBOUR = 0.5
_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|\d+")  # list_title, listTitle, 2024
_ENDINGS = ("ies", "es", "s", "ing", "ed", "e", "y")


def narrow(schema: Schema, question: str, most: int) -> Schema:
    """Return the `most` likely tables and the keys between them; a smaller schema as it is."""
    if len(schema.tables) <= most:
        return schema
    tables = {fold_name(table.name): table for table in schema.tables}
    weights = {name: _word_weights(table) for name, table in tables.items()}
    tables_with = Counter(word for words in weights.values() for word in words)
    asked = _words([question])
    own = {
        name: sum(words[w] * math.log(len(weights) / tables_with[w]) for w in asked & words.keys())
        for name, words in weights.items()
    }
    ties = [(fold_name(a), fold_name(b)) for a, _, b, _ in schema.foreign_keys]
    best = dict.fromkeys(own, 0.0)  # of a table's neighbours
    for one, other in ties + [(b, a) for a, b in ties]:
        if one in own:
            best[one] = max(best[one], own.get(other, 0))
    ranked = sorted(own, key=lambda name: own[name] + NEIGHBOUR * best[name], reverse=True)
    kept = {name: tables[name] for name in ranked[:most]}
    keys = [key for key in schema.foreign_keys if {fold_name(key[0]), fold_name(key[2])} <= {*kept}]
    return Schema([*kept.values()], keys)


def _word_weights(table: Table) -> dict[str, float]:
    columns = [text for each in table.columns for text in (each.name, each.description)]
    values = [value for each in table.columns for value in each.examples or ()]
    parts = ((0.5, map(str, values)), (1, columns), (2, [table.name]))  # the last one counts
    return {word: weight for weight, texts in parts for word in _words(texts)}


def _words(texts: Iterable[str]) -> set[str]:
    return {_stem(word.lower()) for text in texts for word in _WORD.findall(text)}


def _stem(word: str) -> str:
    """Take an ending off, so that `cities` and `city` are one word."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word.removesuffix(ending)
    return word
