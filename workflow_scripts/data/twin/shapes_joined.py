"""Questions on two or three tables, joined along their foreign keys; form as in `shapes_one`.

The child always comes first in the SQL, so that the join follows from the schema.
"""

from workflow_scripts.data.twin.asker import Asker, Relation, ref
from workflow_scripts.data.twin.query import Query
from workflow_scripts.data.twin.schema import NUMBER_KINDS, Table
from workflow_scripts.data.twin.shapes_one import AGGREGATES, ask, ranking


def which(table: Table, key: str, words: str, condition: str) -> tuple[str, Query]:
    """The step before a question: which rows of a table fulfil its condition."""
    return f"Which {table.many} are {words}?", Query((key,), table.name, where=(condition,))


def child_listing(a: Asker):
    link = a.relation()
    shown = a.shown(link.child)[0]
    words, sql, _ = a.condition(link.parent)
    query = link.query(ref(link.child, shown), where=(sql,))
    what = f"the {a.say(link.child, shown)} of the {link.child.many} of {link.parent.many} {words}"
    return ask(a, what), [which(link.parent, link.key, words, sql), query]


def parent_listing(a: Asker):
    link = a.relation()
    shown = a.shown(link.parent)[0]
    words, sql, _ = a.condition(link.child)
    query = link.query(ref(link.parent, shown), where=(sql,))
    what = f"the {a.say(link.parent, shown)} of the {link.parent.many}"
    what += f" that have {link.child.many} {words}"
    return ask(a, what), [which(link.child, link.column, words, sql), query]


def child_count(a: Asker):
    link = a.relation()
    words, sql, _ = a.condition(link.parent)
    query = link.query("COUNT(*)", where=(sql,))
    question = a.pick(["How many {} belong to {} {}?", "Count the {} of {} {}."])
    question = question.format(link.child.many, link.parent.many, words)
    return question, [which(link.parent, link.key, words, sql), query]


def child_aggregate(a: Asker):
    link = a.relation()
    number, (word, function) = a.column(link.child, *NUMBER_KINDS), a.pick(AGGREGATES)
    words, sql, _ = a.condition(link.parent)
    query = link.query(f"{function}({ref(link.child, number)})", where=(sql,))
    what = f"the {word} {a.say(link.child, number)} of the {link.child.many}"
    what += f" of {link.parent.many} {words}"
    return ask(a, what), [which(link.parent, link.key, words, sql), query]


def most_children(a: Asker):
    link = a.relation()
    label = a.label(link.parent)
    query = link.query(ref(link.parent, label), group=link.key, order="COUNT(*) DESC", limit=1)
    first = (
        f"How many {link.child.many} are there for each {link.parent.one}?",
        Query((link.column, "COUNT(*)"), link.child.name, group=link.column),
    )
    what = f"the {label.phrase} of the {link.parent.one} with the most {link.child.many}"
    return ask(a, what), [first, query]


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
    return ask(a, what), [first, query]


def childless(a: Asker):
    link = a.relation()
    parent, label = link.parent, a.label(link.parent)
    inner = Query((link.column,), link.child.name)
    missing = (f"{link.key} NOT IN {{sub}}",)
    query = Query((ref(parent, label),), parent.name, where=missing, sub=inner)
    first = (f"Which {parent.many} have {link.child.many}?", inner)
    what = f"the {label.phrase} of the {parent.many} without any {link.child.many}"
    return ask(a, what), [first, query]


def two_parents(a: Asker):
    """A table with two foreign keys, or a chain of two: three tables in one query."""
    link = a.relation()
    parent, tables = link.parent, (link.child.name, link.parent.name)
    keys = [key for key in a.world.foreign_keys if key[0] in tables and key[2] not in tables]
    other = Relation.of(a.world, a.pick(keys))
    shown = a.label(parent)
    words, sql, _ = a.condition(other.parent)
    joins = (link.join, other.join)
    query = Query((ref(parent, shown),), link.child.name, joins, where=(sql,))
    way = "with {} and of" if other.child.name == parent.name else "that have {} of"
    what = f"the {shown.phrase} of the {parent.many} {way.format(link.child.many)}"
    what += f" {other.parent.many} {words}"
    return ask(a, what), [which(other.parent, other.key, words, sql), query]
