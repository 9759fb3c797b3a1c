"""Random schemas for the stand-in model's pre-training: the lexicon's words in new combinations.

A table is any noun with any attributes, so that a model that has seen thousands of schemas must
read the one at hand: it cannot know it by heart. The twin's databases are not among them.
"""

import random

from workflow_scripts.data.twin import lexicon
from workflow_scripts.data.twin.domains import KNOWN_DOMAINS
from workflow_scripts.data.twin.schema import Column, Table, World, fill, parse_domain
from workflow_scripts.formats.schema import quoted

RANGES = {
    "int": ["1-30", "5-100", "10-300", "100-1000", "500-10000", "1000-50000"],
    "real": ["2-30", "5-100", "20-300", "100-1000"],
    "date": ["1990-2005", "2005-2023", "2015-2023"],
    "year": ["1950-2000", "1980-2015", "2000-2023"],
}
KINDS = lexicon.words("cat int real date year place country coded flag person title")
KIND_WEIGHTS = [5, 6, 3, 2, 2, 2, 1, 2, 2, 1, 1]
MEANINGS = lexicon.words("""
active open closed public private new old planned running finished approved
rejected insured remote organic adopted elected premium covered accessible explicit
""")


def _pool() -> dict[str, list[Column]]:
    """Columns of the hand-made domains by kind: their words are seen in other schemas, too."""
    pool: dict[str, list[Column]] = {}
    for text in KNOWN_DOMAINS:
        for table in parse_domain(text).tables.values():
            for column in table.columns:
                if column.kind in KINDS and not quoted(column.name):
                    pool.setdefault(column.kind, []).append(column)
    return pool


POOL = _pool()
NOUNS = sorted(
    set(lexicon.ENTITIES)
    | {table.one for text in KNOWN_DOMAINS for table in parse_domain(text).tables.values()}
)


def random_world(rng: random.Random, rows: int = 6) -> World:
    """Two to four tables with keys, foreign keys and a few rows of values."""
    nouns = rng.sample(NOUNS, rng.choice((2, 2, 3, 3, 4)))
    plural_names = rng.random() < 0.6
    # A reserved word would need quotes: its plural needs none.
    names = [lexicon.plural(noun) if plural_names or quoted(noun) else noun for noun in nouns]
    tables, links = {}, []
    for number, (noun, name) in enumerate(zip(nouns, names, strict=True)):
        columns = {f"{noun}_id": Column(f"{noun}_id", "key", f"{noun} id")}
        for parent in _parents(number, rng):
            column = f"{nouns[parent]}_id"
            columns[column] = Column(column, "ref", f"{nouns[parent]} id", names[parent])
            links.append((name, column, names[parent], column))
        if rng.random() < 0.6:
            label = _label(noun, rng)
            columns[label.name] = label
        for _ in range(rng.randint(2, 6)):
            column = random_column(rng)
            columns.setdefault(column.name, column)
        tables[name] = Table(name, noun, tuple(columns.values()))
    world = World("random", tables, links)
    return fill(world, rng, dict.fromkeys(tables, rows))


def _parents(number: int, rng: random.Random) -> list[int]:
    """A table refers to one or two of the tables before it; now and then to none."""
    if number == 0 or rng.random() < 0.1:
        return []
    return rng.sample(range(number), min(number, rng.choice((1, 1, 2))))


def _label(noun: str, rng: random.Random) -> Column:
    kind = rng.choice(("person", "title"))
    name = rng.choice(
        ("name", "full_name", f"{noun}_name")
        if kind == "person"
        else ("name", "title", f"{noun}_name", f"{noun}_title")
    )
    return Column(name, kind, name.replace("_", " "))


def random_column(rng: random.Random) -> Column:
    """An attribute of the lexicon, perhaps behind a modifier, or one of the hand-made columns."""
    kind = rng.choices(KINDS, KIND_WEIGHTS)[0]
    nullable = rng.random() < 0.15
    if kind in POOL and rng.random() < 0.4:
        column = rng.choice(POOL[kind])
        return Column(column.name, kind, column.phrase, column.args, nullable)
    if kind in ("coded", "flag"):
        meanings = rng.sample(MEANINGS, 3)
        name = rng.choice(lexicon.ATTRIBUTES["cat"]) if kind == "coded" else f"is_{meanings[0]}"
        codes = ",".join(f"{meaning[0].upper()}={meaning}" for meaning in meanings)
        return Column(
            name, kind, name.replace("_", " "), codes if kind == "coded" else meanings[0], nullable
        )
    name = rng.choice(lexicon.ATTRIBUTES[kind])
    if kind in ("int", "real") and rng.random() < 0.35:
        name = f"{rng.choice(lexicon.MODIFIERS)}_{name}"
    elif kind in ("date", "year"):
        name = f"{name}_{kind}"
    args = rng.choice(lexicon.CATEGORIES) if kind == "cat" else rng.choice(RANGES.get(kind, [""]))
    return Column(name, kind, name.replace("_", " "), args, nullable)
