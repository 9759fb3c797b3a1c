"""Questions on two or three tables, joined along their foreign keys; form as in `shapes_one`.

The child always comes first in the SQL, so that the join follows from the schema.
"""

from workflow_scripts.data.twin.asker import Asker, ref
from workflow_scripts.data.twin.query import Query
from workflow_scripts.data.twin.schema import NUMBER_KINDS
from workflow_scripts.data.twin.shapes_one import AGGREGATES, ask


def _joined(child, column: str, parent, key: str):
    return (parent.name, f"{{{child.name}.{column}}}", f"{{{parent.name}.{key}}}")


def child_listing(a: Asker):
    child, column, parent, key = a.link()
    shown = a.shown(child)[0]
    words, sql, _ = a.condition(parent)
    select = (ref(child, shown),)
    query = Query(select, child.name, (_joined(child, column, parent, key),), where=(sql,))
    first = (
        f"Which {parent.many} are {words}?",
        Query((f"{{{parent.name}.{key}}}",), parent.name, where=(sql,)),
    )
    what = f"the {a.say(child, shown)} of the {child.many} of {parent.many} {words}"
    return ask(a, what), [first, query]


def parent_listing(a: Asker):
    child, column, parent, key = a.link()
    shown = a.shown(parent)[0]
    words, sql, _ = a.condition(child)
    query = Query(
        (ref(parent, shown),), child.name, (_joined(child, column, parent, key),), where=(sql,)
    )
    first = (
        f"Which {child.many} are {words}?",
        Query((f"{{{child.name}.{column}}}",), child.name, where=(sql,)),
    )
    what = f"the {a.say(parent, shown)} of the {parent.many} that have {child.many} {words}"
    return ask(a, what), [first, query]


def child_count(a: Asker):
    child, column, parent, key = a.link()
    words, sql, _ = a.condition(parent)
    query = Query(("COUNT(*)",), child.name, (_joined(child, column, parent, key),), where=(sql,))
    first = (
        f"Which {parent.many} are {words}?",
        Query((f"{{{parent.name}.{key}}}",), parent.name, where=(sql,)),
    )
    question = a.pick(["How many {} belong to {} {}?", "Count the {} of {} {}."])
    return question.format(child.many, parent.many, words), [first, query]


def child_aggregate(a: Asker):
    child, column, parent, key = a.link()
    number, (word, function) = a.column(child, *NUMBER_KINDS), a.pick(AGGREGATES)
    words, sql, _ = a.condition(parent)
    query = Query(
        (f"{function}({ref(child, number)})",),
        child.name,
        (_joined(child, column, parent, key),),
        where=(sql,),
    )
    first = (
        f"Which {parent.many} are {words}?",
        Query((f"{{{parent.name}.{key}}}",), parent.name, where=(sql,)),
    )
    what = f"the {word} {a.say(child, number)} of the {child.many} of {parent.many} {words}"
    return ask(a, what), [first, query]


def most_children(a: Asker):
    child, column, parent, key = a.link()
    label, own = a.label(parent), f"{{{parent.name}.{key}}}"
    query = Query(
        (ref(parent, label),),
        child.name,
        (_joined(child, column, parent, key),),
        group=own,
        order="COUNT(*) DESC",
        limit=1,
    )
    foreign = f"{{{child.name}.{column}}}"
    first = (
        f"How many {child.many} are there for each {parent.one}?",
        Query((foreign, "COUNT(*)"), child.name, group=foreign),
    )
    return ask(a, f"the {label.phrase} of the {parent.one} with the most {child.many}"), [
        first,
        query,
    ]


def each_parent(a: Asker):
    child, column, parent, key = a.link()
    label, own = a.label(parent), f"{{{parent.name}.{key}}}"
    query = Query(
        (ref(parent, label), "COUNT(*)"),
        child.name,
        (_joined(child, column, parent, key),),
        group=own,
    )
    question = a.pick(
        [
            "For each {one}, give the {label} and the number of {many}.",
            "How many {many} does each {one} have? Give the {label} too.",
        ]
    )
    return question.format(one=parent.one, label=label.phrase, many=child.many), query


def child_superlative(a: Asker):
    child, column, parent, key = a.link()
    number, shown = a.column(child, *NUMBER_KINDS), a.label(parent)
    high = a.rng.random() < 0.6
    order = f"{ref(child, number)} {'DESC' if high else 'ASC'}"
    query = Query(
        (ref(parent, shown),),
        child.name,
        (_joined(child, column, parent, key),),
        order=order,
        limit=1,
    )
    words = f"{'highest' if high else 'lowest'} {a.say(child, number)}"
    first = (
        f"Which {child.one} has the {words}?",
        Query((ref(child, child.key),), child.name, order=order, limit=1),
    )
    what = f"the {shown.phrase} of the {parent.one} whose {child.one} has the {words}"
    return ask(a, what), [first, query]


def childless(a: Asker):
    child, column, parent, key = a.link()
    label = a.label(parent)
    inner = Query((f"{{{child.name}.{column}}}",), child.name)
    query = Query(
        (ref(parent, label),),
        parent.name,
        where=(f"{{{parent.name}.{key}}} NOT IN {{sub}}",),
        sub=inner,
    )
    first = (f"Which {parent.many} have {child.many}?", inner)
    return ask(a, f"the {label.phrase} of the {parent.many} without any {child.many}"), [
        first,
        query,
    ]


def two_parents(a: Asker):
    """A table with two foreign keys, or a chain of two: three tables in one query."""
    child, column, parent, key = a.link()
    links = [k for k in a.world.foreign_keys if k[0] in (child.name, parent.name)]
    links = [k for k in links if k[2] not in (child.name, parent.name)]
    start, other_column, other, other_key = a.pick(links)
    other_table = a.world.tables[other]
    shown = a.label(parent)
    words, sql, _ = a.condition(other_table)
    query = Query(
        (ref(parent, shown),),
        child.name,
        (
            _joined(child, column, parent, key),
            (other, f"{{{start}.{other_column}}}", f"{{{other}.{other_key}}}"),
        ),
        where=(sql,),
    )
    first = (
        f"Which {other_table.many} are {words}?",
        Query((f"{{{other}.{other_key}}}",), other, where=(sql,)),
    )
    link = "with {} and of" if start == parent.name else "that have {} of"
    what = f"the {shown.phrase} of the {parent.many} {link.format(child.many)}"
    what += f" {other_table.many} {words}"
    return ask(a, what), [first, query]
