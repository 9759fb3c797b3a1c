"""Random schemas for the stand-in model's pre-training: the lexicon's words in new combinations.

A table is any noun with any attributes, so that a model that has seen thousands of schemas must
read the one at hand: it cannot know it by heart. The twin's databases are not among them.
"""

import random

from tools.twin.worlds import (
    KNOWN_DOMAINS,
    Column,
    Table,
    World,
    fill,
    parse_domain,
    plural,
)
from workflow_scripts.formats.schema import quoted

words = str.split
ENTITIES = words("""
student teacher course school classroom exam book author reader loan publisher library
patient doctor nurse hospital ward treatment medicine visit clinic disease customer order
product supplier store warehouse invoice payment shipment category employee department
project task company office contract manager meeting budget flight airport airline pilot
passenger ticket hotel room guest booking tour museum artist painting exhibition visitor
film director actor studio award player team match stadium league coach season song album
singer band concert label farm field crop animal farmer harvest tractor city country region
river mountain park lake bridge car driver owner garage repair engine bank account card
branch transaction client station train route bus stop line house agent buyer sale street
tenant recipe ingredient chef restaurant dish menu table plant garden tree flower seed
sensor device reading machine factory part game level developer server user post comment
forum group message vote party candidate election district member club event sponsor ship
port cargo captain voyage crew planet star telescope mission rocket experiment sample
laboratory researcher paper journal grant museum article editor newspaper volunteer donor
charity donation shelter dog cat vet insurance policy claim lawyer case court judge
""")

# Attributes by kind: every random column is one of these, alone or behind a modifier.
ATTRIBUTES = {
    "cat": words("""
color status type level kind gender language season material shape size rank
        grade class style genre role region quality format source method condition phase
        segment priority
"""),
    "title": words("title label motto"),
    "place": words("city town location address"),
    "country": words("country nation"),
    "person": words("contact owner manager leader author founder"),
    "int": words("""
age capacity population score weight height length width distance duration
        quantity stock points goals seats pages floors rooms members visitors votes speed
        depth area balance wins losses views likes hours days credits experience rating
        calories volume power range steps lanes beds
"""),
    "real": words("price cost salary budget revenue fee tax income rent profit rate value"),
    "date": words("birth start end opening release visit delivery payment hire update"),
    "year": words("foundation construction publication launch"),
}
MODIFIERS = words("total annual daily unit base average net main first last maximum initial")

CATEGORIES = (
    """
red,green,blue,black,white,yellow|open,closed,pending|small,medium,large|low,normal,high
gold,silver,bronze|spring,summer,autumn,winter|north,south,east,west|wood,steel,stone,glass
basic,advanced,expert|public,private,mixed|new,used,damaged|English,French,German,Spanish
active,retired,suspended|morning,evening,night|drama,comedy,horror,romance|rock,jazz,pop,folk
cash,card,transfer|junior,senior,chief|planned,running,finished,cancelled|male,female
math,history,physics,art,music|wheat,corn,rice,potato|local,national,international
diesel,electric,hybrid,petrol|single,double,family|draft,final,approved,rejected
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
RANGES = {
    "int": ["1-30", "5-100", "10-300", "100-1000", "500-10000", "1000-50000"],
    "real": ["2-30", "5-100", "20-300", "100-1000"],
    "date": ["1990-2005", "2005-2023", "2015-2023"],
    "year": ["1950-2000", "1980-2015", "2000-2023"],
}
KINDS = words("cat int real date year place country coded flag person title")
KIND_WEIGHTS = [5, 6, 3, 2, 2, 2, 1, 2, 2, 1, 1]
MEANINGS = words("""
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
    set(ENTITIES)
    | {table.one for text in KNOWN_DOMAINS for table in parse_domain(text).tables.values()}
)


def random_world(rng: random.Random, rows: int = 6) -> World:
    """Two to four tables with keys, foreign keys and a few rows of values."""
    nouns = rng.sample(NOUNS, rng.choice((2, 2, 3, 3, 4)))
    plural_names = rng.random() < 0.6
    # A reserved word would need quotes, as `grant` does for sqlglot: its plural needs none.
    names = [
        plural(noun) if plural_names or quoted(noun) or noun == "grant" else noun for noun in nouns
    ]
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
        name = rng.choice(ATTRIBUTES["cat"]) if kind == "coded" else f"is_{meanings[0]}"
        codes = ",".join(f"{meaning[0].upper()}={meaning}" for meaning in meanings)
        return Column(
            name, kind, name.replace("_", " "), codes if kind == "coded" else meanings[0], nullable
        )
    name = rng.choice(ATTRIBUTES[kind])
    if kind in ("int", "real") and rng.random() < 0.35:
        name = f"{rng.choice(MODIFIERS)}_{name}"
    elif kind in ("date", "year"):
        name = f"{name}_{kind}"
    args = rng.choice(CATEGORIES) if kind == "cat" else rng.choice(RANGES.get(kind, [""]))
    return Column(name, kind, name.replace("_", " "), args, nullable)
