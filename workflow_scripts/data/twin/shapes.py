"""The question grammar: a shape, a database and a random generator give a `Draft`.

Each shape is a function that gives a question, the steps before it and its query. The steps follow
from the shape alone and the question itself comes last, as in most of the real rows, so that a
Decomposer's whole answer can be foreseen from its prompt.
"""

import random
from dataclasses import dataclass

from workflow_scripts.data.twin import lexicon
from workflow_scripts.data.twin.asker import Asker, CannotAsk, ref
from workflow_scripts.data.twin.query import REFERENCE, Query
from workflow_scripts.data.twin.worlds import NUMBER_KINDS, Column, Table, World

GROUP_KINDS = ("cat", "place", "country")
AGGREGATES = (("average", "AVG"), ("highest", "MAX"), ("lowest", "MIN"), ("total", "SUM"))


def ask(a: Asker, what: str) -> str:
    """A request for `what`: 'the price of the orders ...'."""
    opening = a.pick(["What is", "Show", "List", "Give", "Find", "Tell me"])
    return f"{opening} {what}{'?' if opening == 'What is' else '.'}"


def _conditions(a: Asker, table, count: int) -> tuple[str, tuple[str, ...], bool]:
    words, sql, name = a.condition(table)
    if count == 1:
        return words, (sql,), False
    more, other, _ = a.condition(table, but=(name,))
    either = a.rng.random() < 0.3
    return f"{words} {'or' if either else 'and'} {more}", (sql, other), either


def ranking(a: Asker, table: Table, column: Column) -> tuple[str, str, str]:
    """('highest price', the ORDER BY that puts it first, 'MAX'), or lowest and 'MIN'."""
    word, direction, function = (
        ("highest", "DESC", "MAX") if a.rng.random() < 0.6 else ("lowest", "ASC", "MIN")
    )
    return f"{word} {a.say(table, column)}", f"{ref(table, column)} {direction}", function


def listing(a: Asker):
    table = a.table()
    columns = a.shown(table, a.pick([1, 1, 2]))
    words, where, either = _conditions(a, table, a.pick([1, 1, 2]))
    what = " and ".join(a.say(table, c) for c in columns)
    query = Query(tuple(ref(table, c) for c in columns), table.name, where=where, either=either)
    return ask(a, f"the {what} of the {table.many} {words}"), query


def everything(a: Asker):
    table = a.table()
    column = a.shown(table)[0]
    query = Query((ref(table, column),), table.name, distinct=a.rng.random() < 0.6)
    word = a.say(table, column)
    what = f"the different {word} values" if query.distinct else f"the {word}"
    return ask(a, f"{what} of all {table.many}"), query


def counting(a: Asker):
    table = a.table()
    words, where, either = _conditions(a, table, a.pick([1, 1, 2]))
    query = Query(("COUNT(*)",), table.name, where=where, either=either)
    question = a.pick(
        ["How many {} {} are there?", "Count the {} {}.", "What is the number of {} {}?"]
    )
    return question.format(table.many, words), query


def counting_kinds(a: Asker):
    table = a.table(*GROUP_KINDS)
    column = a.column(table, *GROUP_KINDS)
    query = Query((f"COUNT(DISTINCT {ref(table, column)})",), table.name)
    question = a.pick(
        ["How many different {} values do the {} have?", "Count the distinct {} values of the {}."]
    )
    return question.format(a.say(table, column), table.many), query


def aggregate(a: Asker):
    table = a.table(*NUMBER_KINDS)
    column, (word, function) = a.column(table, *NUMBER_KINDS), a.pick(AGGREGATES)
    select = (f"{function}({ref(table, column)})",)
    said = a.say(table, column)
    if a.rng.random() < 0.4:
        return ask(a, f"the {word} {said} of all {table.many}"), Query(select, table.name)
    words, sql, _ = a.condition(table, but=(column.name,))
    return ask(a, f"the {word} {said} of the {table.many} {words}"), Query(
        select, table.name, where=(sql,)
    )


def spread(a: Asker):
    table = a.table(*NUMBER_KINDS)
    column = a.column(table, *NUMBER_KINDS)
    reference, said = ref(table, column), a.say(table, column)
    a.evidence.append(f"spread = MAX({column.name}) - MIN({column.name})")
    query = Query((f"MAX({reference}) - MIN({reference})",), table.name)
    return ask(a, f"the spread of the {said} of all {table.many}"), query


def superlative(a: Asker):
    table = a.table(*NUMBER_KINDS)
    column = a.column(table, *NUMBER_KINDS)
    shown = a.pick(c for c in a.shown(table, 2) if c != column)
    words, order, function = ranking(a, table, column)
    query = Query((ref(table, shown),), table.name, order=order, limit=1)
    first = Query((f"{function}({ref(table, column)})",), table.name)
    what = f"the {a.say(table, shown)} of the {table.one} with the {words}"
    return ask(a, what), (f"What is the {words} of the {table.many}?", first), query


def top(a: Asker):
    table = a.table(*NUMBER_KINDS)
    column, label, count = a.column(table, *NUMBER_KINDS), a.label(table), a.pick([2, 3, 4, 5, 10])
    words, order, _ = ranking(a, table, column)
    query = Query((ref(table, label),), table.name, order=order, limit=count)
    return ask(a, f"the {label.phrase} of the {count} {table.many} with the {words}"), query


def _grouped(a: Asker):
    table = a.table(*GROUP_KINDS)
    column = a.column(table, *GROUP_KINDS)
    return table, ref(table, column), a.say(table, column)


def _count_of_each(table: Table, reference: str, word: str) -> tuple[str, Query]:
    """The step before a question about groups."""
    query = Query((reference, "COUNT(*)"), table.name, group=reference)
    return f"How many {table.many} are there for each {word}?", query


def each_count(a: Asker):
    table, reference, word = _grouped(a)
    query = Query((reference, "COUNT(*)"), table.name, group=reference)
    question = a.pick(
        ["How many {many} are there for each {word}?", "For each {word}, count the {many}."]
    )
    return question.format(many=table.many, word=word), query


def each_aggregate(a: Asker):
    table, reference, word = _grouped(a)
    column, (kind, function) = a.column(table, *NUMBER_KINDS), a.pick(AGGREGATES)
    query = Query((reference, f"{function}({ref(table, column)})"), table.name, group=reference)
    said = a.say(table, column)
    return ask(a, f"the {kind} {said} of the {table.many} for each {word}"), query


def frequent(a: Asker):
    table, reference, word = _grouped(a)
    count = a.pick([1, 2, 3, 4, 5])
    query = Query((reference,), table.name, group=reference, having=f"COUNT(*) > {count}")
    question = a.pick(
        ["Which {} values have more than {} {}?", "List each {} with more than {} {}."]
    )
    return question.format(word, count, table.many), _count_of_each(table, reference, word), query


def commonest(a: Asker):
    table, reference, word = _grouped(a)
    most = a.rng.random() < 0.6
    order = f"COUNT(*) {'DESC' if most else 'ASC'}"
    query = Query((reference,), table.name, group=reference, order=order, limit=1)
    question = a.pick(["Which {} has the {} {}?", "Find the {} with the {} {}."])
    question = question.format(word, "most" if most else "fewest", table.many)
    return question, _count_of_each(table, reference, word), query


def above_average(a: Asker):
    table = a.table(*NUMBER_KINDS)
    column = a.column(table, *NUMBER_KINDS)
    shown, reference, word = a.label(table), ref(table, column), a.say(table, column)
    inner = Query((f"AVG({reference})",), table.name)
    query = Query((ref(table, shown),), table.name, where=(f"{reference} > {{sub}}",), sub=inner)
    first = (f"What is the average {word} of all {table.many}?", inner)
    what = f"the {shown.phrase} of the {table.many} whose {word} is above the average"
    return ask(a, what), first, query


def share(a: Asker):
    table = a.table()
    words, sql, _ = a.condition(table)
    part = f"SUM(CASE WHEN {sql} THEN 1 ELSE 0 END)"
    query = Query((f"CAST({part} AS REAL) * 100 / COUNT(*)",), table.name)
    first = (
        f"How many {table.many} {words} are there?",
        Query(("COUNT(*)",), table.name, where=(sql,)),
    )
    a.evidence.append("percentage = CAST(SUM(condition) AS REAL) * 100 / COUNT(*)")
    return (
        a.pick(["What percentage of the {} are those {}?", "Give the percentage of {} {}."]).format(
            table.many, words
        ),
        first,
        query,
    )


def quotient(a: Asker):
    table = a.table(*NUMBER_KINDS)
    columns = table.of_kind(*NUMBER_KINDS)
    if len(columns) < 2:
        raise CannotAsk
    over, under = a.rng.sample(columns, 2)
    term = a.pick(w for w in ("rate", "ratio", "yield", "index") if w not in a.world.text)
    a.evidence.append(f"{term} = {over.name} / {under.name}")
    formula = f"CAST({ref(table, over)} AS REAL) / {ref(table, under)}"
    if a.rng.random() < 0.5:
        words, sql, _ = a.condition(table, but=(over.name, under.name))
        return ask(a, f"the {term} of the {table.many} {words}"), Query(
            (formula,), table.name, where=(sql,)
        )
    label = a.label(table)
    query = Query((ref(table, label),), table.name, order=f"{formula} DESC", limit=1)
    return ask(a, f"the {label.phrase} of the {table.one} with the highest {term}"), query


def which(table: Table, key: str, words: str, condition: str) -> tuple[str, Query]:
    """The step before a question: which rows of a table fulfil its condition."""
    return f"Which {table.many} are {words}?", Query((key,), table.name, where=(condition,))


def child_listing(a: Asker):
    link = a.relation()
    shown = a.shown(link.child)[0]
    words, sql, _ = a.condition(link.parent)
    query = link.query(ref(link.child, shown), where=(sql,))
    what = f"the {a.say(link.child, shown)} of the {link.child.many} of {link.parent.many} {words}"
    return ask(a, what), which(link.parent, link.key, words, sql), query


def parent_listing(a: Asker):
    link = a.relation()
    shown = a.shown(link.parent)[0]
    words, sql, _ = a.condition(link.child)
    query = link.query(ref(link.parent, shown), where=(sql,))
    what = f"the {a.say(link.parent, shown)} of the {link.parent.many}"
    what += f" that have {link.child.many} {words}"
    return ask(a, what), which(link.child, link.column, words, sql), query


def child_count(a: Asker):
    link = a.relation()
    words, sql, _ = a.condition(link.parent)
    query = link.query("COUNT(*)", where=(sql,))
    question = a.pick(["How many {} belong to {} {}?", "Count the {} of {} {}."])
    question = question.format(link.child.many, link.parent.many, words)
    return question, which(link.parent, link.key, words, sql), query


def child_aggregate(a: Asker):
    link = a.relation()
    number, (word, function) = a.column(link.child, *NUMBER_KINDS), a.pick(AGGREGATES)
    words, sql, _ = a.condition(link.parent)
    query = link.query(f"{function}({ref(link.child, number)})", where=(sql,))
    what = f"the {word} {a.say(link.child, number)} of the {link.child.many}"
    what += f" of {link.parent.many} {words}"
    return ask(a, what), which(link.parent, link.key, words, sql), query


def most_children(a: Asker):
    link = a.relation()
    label = a.label(link.parent)
    query = link.query(ref(link.parent, label), group=link.key, order="COUNT(*) DESC", limit=1)
    first = (
        f"How many {link.child.many} are there for each {link.parent.one}?",
        Query((link.column, "COUNT(*)"), link.child.name, group=link.column),
    )
    what = f"the {label.phrase} of the {link.parent.one} with the most {link.child.many}"
    return ask(a, what), first, query


def each_parent(a: Asker):
    link = a.relation()
    label = a.label(link.parent)
    query = link.query(ref(link.parent, label), "COUNT(*)", group=link.key)
    question = a.pick(
        [
            "For each {one}, give the {label} and the number of {many}.",
            "How many {many} does each {one} have? Give the {label} too.",
        ]
    )
    words = {"one": link.parent.one, "label": label.phrase, "many": link.child.many}
    return question.format(**words), query


def child_superlative(a: Asker):
    link = a.relation()
    child, parent = link.child, link.parent
    number, shown = a.column(child, *NUMBER_KINDS), a.label(parent)
    words, order, _ = ranking(a, child, number)
    query = link.query(ref(parent, shown), order=order, limit=1)
    first = (
        f"Which {child.one} has the {words}?",
        Query((ref(child, child.key),), child.name, order=order, limit=1),
    )
    what = f"the {shown.phrase} of the {parent.one} whose {child.one} has the {words}"
    return ask(a, what), first, query


def childless(a: Asker):
    link = a.relation()
    parent, label = link.parent, a.label(link.parent)
    inner = Query((link.column,), link.child.name)
    missing = (f"{link.key} NOT IN {{sub}}",)
    query = Query((ref(parent, label),), parent.name, where=missing, sub=inner)
    first = (f"Which {parent.many} have {link.child.many}?", inner)
    what = f"the {label.phrase} of the {parent.many} without any {link.child.many}"
    return ask(a, what), first, query


def two_parents(a: Asker):
    """A table with two foreign keys, or a chain of two: three tables in one query."""
    link = a.relation()
    parent = link.parent
    other = a.relation(beside=link)
    shown = a.label(parent)
    words, sql, _ = a.condition(other.parent)
    joins = (link.join, other.join)
    query = Query((ref(parent, shown),), link.child.name, joins, where=(sql,))
    way = "with {} and of" if other.child.name == parent.name else "that have {} of"
    what = f"the {shown.phrase} of the {parent.many} {way.format(link.child.many)}"
    what += f" {other.parent.many} {words}"
    return ask(a, what), which(other.parent, other.key, words, sql), query


# How often each shape is asked.
SHAPES = {
    listing: 12, everything: 2, counting: 6, counting_kinds: 2, aggregate: 7, spread: 2,
    superlative: 6, top: 4, each_count: 3, each_aggregate: 4, frequent: 3, commonest: 3,
    above_average: 4, share: 4, quotient: 4, child_listing: 8, parent_listing: 7, child_count: 5,
    child_aggregate: 5, most_children: 3, each_parent: 3, child_superlative: 4, childless: 3,
    two_parents: 6,
}  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """A question and its query; `steps` are (sub-question, SQL), the last being the whole."""

    shape: str
    question: str
    evidence: str
    query: Query
    steps: list[tuple[str, str]]


def draft(
    world: World, rng: random.Random, *, vagueness: float = 0.3, less_than: bool = True
) -> Draft:
    """Ask one question on `world`, of any shape that the database allows; see `Asker`."""
    while True:
        (shape,) = rng.choices(list(SHAPES), SHAPES.values())
        asker = Asker(world, rng, vagueness, less_than)
        try:
            question, *before, query = shape(asker)
        except CannotAsk:
            continue
        steps = [(text, step.sql) for text, step in (*before, (question, query))]
        evidence = "; ".join(dict.fromkeys(asker.evidence))
        return Draft(shape.__name__, question, evidence, query, steps)


# How a Refiner is asked: too little on purpose, in words that occur in no schema. Condition, order
# and shape are left to the old SQL; nobody can guess the gold SQL without reading that.
VAGUE_QUESTIONS = {
    "count": [
        "How many {records} meet what was required?",
        "What tally of {records} did we mean?",
        "Tally the {records} in question.",
    ],
    "value": [
        "What does the {word} come to for the {records} in question?",
        "Work out the {word} that was wanted for these {records}.",
        "Give the computed {word} of the chosen {records}.",
    ],
    "rank": [
        "Which {word} ends up on top when the {records} are put in that sequence?",
        "Give the {word} that wins among these {records}.",
        "Put the {records} in sequence and give the {word} as before.",
    ],
    "group": [
        "Break the {records} down by {word} as was meant.",
        "Show the {word} breakdown of the {records} that we were after.",
        "How do the {records} fall apart by {word}?",
    ],
    "list": [
        "Give the {word} of the {records} that were picked.",
        "What is the {word} of the {records} that fit?",
        "Fix the search for the {word} of some {records}.",
        "We still need the {word} of the {records} in question.",
    ],
}


def vague_question(world: World, query: Query, rng: random.Random) -> str:
    kinds = {ref(t, c): c.kind for t in world.tables.values() for c in t.columns}
    column = REFERENCE.search(query.select[0])
    kind = kinds[column[0]] if column else "int"
    words = lexicon.VAGUE_COLUMNS.get(kind, ["detail", "particulars"])
    free = [word for word in words if word not in world.text] or ["detail"]
    records = [word for word in lexicon.VAGUE_TABLES if word not in world.text]
    return rng.choice(VAGUE_QUESTIONS[_kind_of_request(query)]).format(
        word=rng.choice(free), records=rng.choice(records)
    )


def _kind_of_request(query: Query) -> str:
    if query.group and not query.limit:
        return "group"
    if query.order:
        return "rank"
    if query.select[0] == "COUNT(*)":
        return "count"
    return "value" if "(" in query.select[0] else "list"
