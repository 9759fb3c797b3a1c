"""The pre-training corpus of the stand-in model: questions on random schemas and their SQL.

Targets are on one line, names in double quotes, without `<`, as in the corpora the real base model
learned from. T5 has seen texts of all kinds before; so that a model this small can give an answer
that is more than one query, some examples ask for what the agents are asked for, in other words:
which tables are needed, a query step by step, or a broken query repaired.
"""

import json
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from tools.pretrain.layouts import LAYOUTS, Request, in_line
from tools.pretrain.random_world import NOUNS, random_world
from tools.twin.shapes import Draft, draft, vague_question
from tools.twin.worlds import (
    KNOWN_DOMAINS,
    NUMBERS,
    World,
    in_memory,
    parse_domain,
    plural,
)
from workflow_scripts.data.agent_rows import ShownDatabase
from workflow_scripts.data.breaking import WAYS, break_sql
from workflow_scripts.formats.prompts import CLOSING, CONSTANT
from workflow_scripts.formats.schema import Column, Schema, Table


@dataclass(frozen=True)
class Example:
    source: str
    target: str
    world: World
    draft: Draft


YEARS = range(1950, 2026)
# Kind of example -> its share.
KINDS = {"query": 0.4, "steps": 0.2, "tables": 0.2, "repair": 0.15, "restore": 0.05}


def examples(
    seed: int, count: int, kinds: Mapping[str, float] = KINDS, per_world: int = 3
) -> Iterator[Example]:
    """`count` fresh examples; the same seed gives the same ones, another seed others."""
    rng = random.Random(seed)
    made = 0
    while True:
        world = random_world(rng)
        for _ in range(per_world):
            item = draft(world, rng, vagueness=rng.choice((0.0, 0.2, 0.5)), less_than=False)
            kind = rng.choices(list(kinds), kinds.values())[0]
            request, target = _MAKERS[kind](world, item, rng)
            layout, shown = rng.choice(LAYOUTS), rng.choice((0, 0, 1, 2))
            yield Example(layout(world, request, shown), target, world, item)
            made += 1
            if made == count:
                return


def query(world: World, item: Draft, rng: random.Random) -> tuple[Request, str]:
    """Question -> SQL."""
    return Request("Query", item.question, item.evidence), in_line(item.sql)


def steps(world: World, item: Draft, rng: random.Random) -> tuple[Request, str]:
    """Question -> smaller questions with their SQL, the question itself last."""
    parts = (
        f"Step {n}: {text} SQL: {in_line(sql)};" for n, (text, sql) in enumerate(item.steps, 1)
    )
    return Request("Steps", item.question, item.evidence), " ".join(parts)


def tables(world: World, item: Draft, rng: random.Random) -> tuple[Request, str]:
    """Question -> every table: dropped, kept, or the columns that matter."""
    choices = replace(_shown(world), keep_up_to=rng.choice((6, 10))).selection(item.sql)
    words = {"drop_all": '"drop"', "keep_all": '"keep"'}
    parts = (
        f'"{table}": ' + (words[choice] if isinstance(choice, str) else json.dumps(choice))
        for table, choice in choices.items()
    )
    return Request("Tables", item.question, item.evidence), ", ".join(parts) + "."


def repair(world: World, item: Draft, rng: random.Random) -> tuple[Request, str]:
    """SQL that SQLite refuses, and its error -> the SQL that was meant."""
    columns = {table.name: [c.name for c in table.columns] for table in world.tables.values()}
    ways = list(WAYS)
    rng.shuffle(ways)
    with closing(in_memory(world)) as connection:
        broken = break_sql(connection, item.sql, columns, ways[:5], rng, world.other_number)
    if broken:
        vague = vague_question(world, item, rng)
        request = Request("Repair", vague, "", broken[1].error, in_line(broken[1].old_sql))
        return request, in_line(item.sql)
    return restore(world, item, rng)


def restore(world: World, item: Draft, rng: random.Random) -> tuple[Request, str]:
    """A question or its SQL with words masked out -> the whole of it."""
    target = rng.choice((item.question, in_line(item.sql)))
    return Request("Restore", mask(target, rng), item.evidence), target


_MAKERS = {make.__name__: make for make in (query, steps, tables, repair, restore)}


def _shown(world: World) -> ShownDatabase:
    tables = [
        Table(table.name, tuple(Column(c.name, c.phrase) for c in table.columns))
        for table in world.tables.values()
    ]
    return ShownDatabase(Path(world.db_id), Schema(tables, world.foreign_keys), pruned=True)


def mask(text: str, rng: random.Random, share: float = 0.15) -> str:
    """The text with some of its words behind sentinels <extra_id_0>, <extra_id_1>, ..."""
    words, hidden = text.split(), 0
    for place in range(len(words)):
        if rng.random() < share and hidden < 10:
            words[place] = f"<extra_id_{hidden}>"
            hidden += 1
    return " ".join(words)


# Words of the agents' answers and errors that no question holds.
ANSWER_WORDS = """Sub question Question Solved. SQL sql json keep_all drop_all Selector Decomposer
Refiner evidence error database tables keys OperationalError no such column: function: table:
near "SELECT": syntax error ambiguous name incomplete input misuse of aggregate: unrecognized token:
ON INNER JOIN LEFT ASC DESC YEAR MONTH None True False "keep_all", "drop_all", {"x": ["x"]}
'Sub' 'Question' 'SQL' 'json' 'sql'"""


def vocabulary_texts(count: int, seed: int = 1) -> Iterator[str]:
    """What the tokenizer's pieces come from: the corpus and the words of the agents' prompts.

    Words that the prompts repeat become whole pieces and the others are spelled out, as T5 splits
    rare words: the constant parts are then about as long as in T5's tokens (the Refiner's needs
    all of its words for that), and truncation at 512 cuts the rows where it cuts the real ones.
    """
    for example in examples(seed, count, {"query": 1.0}):
        yield f"{example.source} {example.target}"
        # Names also follow a point or a quote: their pieces then have no space in front.
        yield example.draft.sql.replace("\n  ", "\n").replace("`", "'")
        yield " ".join(question for question, _ in example.draft.steps)
    rng = random.Random(seed)
    words = sorted({*NOUNS, *map(plural, NOUNS), *_domain_words(), *NUMBERS, *YEARS}, key=str)
    for _ in range(5):
        rng.shuffle(words)
        yield " ".join(f"{word} '{word}' {_keywords()}" for word in words)
        yield ANSWER_WORDS
    yield from (CONSTANT["Selector"], CONSTANT["Decomposer"], CLOSING["Decomposer"]) * 2
    yield from (CONSTANT["Refiner"], CLOSING["Refiner"]) * 3


def _keywords() -> str:
    return "'SELECT' 'FROM' 'WHERE' 'ON' 'GROUP BY' 'ORDER BY' 'LIMIT' 'INNER JOIN' 'HAVING' '5'"


def _domain_words() -> set[str]:
    """Names, phrases and fixed values of the hand-made domains."""
    words = set()
    for text in KNOWN_DOMAINS:
        for table in parse_domain(text).tables.values():
            words |= {table.name, table.one, table.many}
            for column in table.columns:
                words |= {column.name, column.phrase}
                words |= set(re.findall(r"[A-Za-z]+", column.args))
    return words
