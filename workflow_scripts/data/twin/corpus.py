"""The pre-training corpus of the stand-in model: questions on random schemas and their SQL.

Targets are plain one-line SQL without backticks and without `<`, as in the corpora the real
base model learned from. A share of the examples restores a question with words masked out, as
T5's own pre-training did.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from workflow_scripts.data.twin.asker import Draft
from workflow_scripts.data.twin.domains import DOMAINS
from workflow_scripts.data.twin.lexicon import NUMBERS, YEARS, plural
from workflow_scripts.data.twin.query import agent_sql, plain_sql
from workflow_scripts.data.twin.questions import draft
from workflow_scripts.data.twin.random_world import NOUNS, random_world
from workflow_scripts.data.twin.schema import TEXT_KINDS, World, parse_domain


@dataclass(frozen=True)
class Example:
    source: str
    target: str
    world: World
    draft: Draft


def source_of(world: World, question: str, evidence: str, examples: int = 2) -> str:
    """Question, evidence, schema and keys on one line, much as in the compact prompt.

    Columns of words show up to `examples` of their values.
    """
    parts = [f"Query: {question}"]
    if evidence:
        parts.append(f"evidence: {evidence}")
    tables = (f"{t.name}: {', '.join(_columns(world, t, examples))}" for t in world.tables.values())
    parts.append("tables: " + " | ".join(tables))
    if world.foreign_keys:
        keys = (f"{a}.{x} = {b}.{y}" for a, x, b, y in world.foreign_keys)
        parts.append("keys: " + ", ".join(keys))
    return " | ".join(parts)


def _columns(world: World, table, examples: int) -> Iterator[str]:
    for column in table.columns:
        shown = ""
        if column.kind in TEXT_KINDS and examples:
            values = list(dict.fromkeys(world.values(table.name, column.name)))[:examples]
            shown = f" ({', '.join(repr(value) for value in values)})" if values else ""
        elif column.kind == "coded" and examples > 1:
            notes = (f"{code}: {meaning}" for code, meaning in column.codes.items())
            shown = f" ({', '.join(map(repr, column.codes))}) - {'. '.join(notes)}"
        elif column.kind == "flag" and examples > 1:
            shown = f" (0, 1) - 1: {column.args}"
        yield column.name + shown


def examples(seed: int, count: int, denoise: float = 0.1, per_world: int = 3) -> Iterator[Example]:
    """`count` fresh examples; the same seed gives the same ones, another seed others."""
    rng = random.Random(seed)
    made = 0
    while True:
        world = random_world(rng)
        for _ in range(per_world):
            item = draft(world, rng, loose=rng.choice((0.0, 0.2, 0.5)), less=False)
            source = source_of(world, item.question, item.evidence, rng.choice((0, 0, 1, 2)))
            target = plain_sql(item.query)
            if rng.random() < denoise:
                masked = mask(item.question, rng)
                source = source_of(world, masked, item.evidence, 0).replace("Query", "Restore", 1)
                target = item.question
            yield Example(source, target, world, item)
            made += 1
            if made == count:
                return


def mask(question: str, rng: random.Random, share: float = 0.15) -> str:
    """The question with some of its words behind sentinels <extra_id_0>, <extra_id_1>, ..."""
    words, hidden = question.split(), 0
    for place in range(len(words)):
        if rng.random() < share and hidden < 10:
            words[place] = f"<extra_id_{hidden}>"
            hidden += 1
    return " ".join(words)


# Words of the agents' answers and errors that no question holds.
ANSWER_WORDS = """Sub question Question Solved. SQL sql json keep_all drop_all Selector Decomposer
Refiner evidence error database tables keys OperationalError no such column: function: table:
near "SELECT": syntax error ambiguous name incomplete input misuse of aggregate: unrecognized token:
ON INNER JOIN LEFT ASC DESC YEAR MONTH None True False "keep_all", "drop_all", {"x": ["x"]}"""


def vocabulary_texts(count: int, seed: int = 1) -> Iterator[str]:
    """Text that the stand-in's tokenizer gathers its pieces from."""
    for example in examples(seed, count, denoise=0.0):
        yield f"{example.source} {example.target}"
        # Names also follow a point or a quote: their pieces then have no space in front.
        yield agent_sql(example.draft.query).replace("\n  ", "\n").replace("`", "'")
        yield " ".join(question for question, _ in example.draft.steps)
    rng = random.Random(seed)
    words = sorted({*NOUNS, *map(plural, NOUNS), *_domain_words(), *NUMBERS, *YEARS}, key=str)
    for _ in range(5):
        rng.shuffle(words)
        yield " ".join(f"{word} '{word}' {_keywords()}" for word in words)
        yield ANSWER_WORDS


def _keywords() -> str:
    return "'SELECT' 'FROM' 'WHERE' 'ON' 'GROUP BY' 'ORDER BY' 'LIMIT' 'INNER JOIN' 'HAVING' '5'"


def _domain_words() -> set[str]:
    """Names, phrases and fixed values of the hand-made domains."""
    words = set()
    for text in DOMAINS:
        for table in parse_domain(text).tables.values():
            words |= {table.name, table.one, table.many}
            for column in table.columns:
                words |= {column.name, column.phrase}
                words |= set(re.findall(r"[A-Za-z]+", column.args))
    return words
