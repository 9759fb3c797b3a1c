"""Questions on one table. Each shape gives (question, its query), or the question and a list of
the steps before and up to its query."""

from workflow_scripts.data.twin.asker import Asker, CannotAsk, ref
from workflow_scripts.data.twin.query import Query
from workflow_scripts.data.twin.schema import NUMBER_KINDS, Column, Table

AGGREGATES = (
    ("average", "AVG"),
    ("highest", "MAX"),
    ("lowest", "MIN"),
    ("total", "SUM"),
)


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
    table = a.table("cat", "place", "country")
    column = a.column(table, "cat", "place", "country")
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
    return ask(a, what), [(f"What is the {words} of the {table.many}?", first), query]


def top(a: Asker):
    table = a.table(*NUMBER_KINDS)
    column, label, count = a.column(table, *NUMBER_KINDS), a.label(table), a.pick([2, 3, 4, 5, 10])
    words, order, _ = ranking(a, table, column)
    query = Query((ref(table, label),), table.name, order=order, limit=count)
    return ask(a, f"the {label.phrase} of the {count} {table.many} with the {words}"), query


def _grouped(a: Asker):
    table = a.table("cat", "place", "country")
    column = a.column(table, "cat", "place", "country")
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
    return question.format(word, count, table.many), [_count_of_each(table, reference, word), query]


def commonest(a: Asker):
    table, reference, word = _grouped(a)
    most = a.rng.random() < 0.6
    order = f"COUNT(*) {'DESC' if most else 'ASC'}"
    query = Query((reference,), table.name, group=reference, order=order, limit=1)
    question = a.pick(["Which {} has the {} {}?", "Find the {} with the {} {}."])
    question = question.format(word, "most" if most else "fewest", table.many)
    return question, [_count_of_each(table, reference, word), query]


def above_average(a: Asker):
    table = a.table(*NUMBER_KINDS)
    column = a.column(table, *NUMBER_KINDS)
    shown, reference, word = a.label(table), ref(table, column), a.say(table, column)
    inner = Query((f"AVG({reference})",), table.name)
    query = Query((ref(table, shown),), table.name, where=(f"{reference} > {{sub}}",), sub=inner)
    first = (f"What is the average {word} of all {table.many}?", inner)
    what = f"the {shown.phrase} of the {table.many} whose {word} is above the average"
    return ask(a, what), [first, query]


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
    return a.pick(
        ["What percentage of the {} are those {}?", "Give the percentage of {} {}."]
    ).format(table.many, words), [first, query]


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
