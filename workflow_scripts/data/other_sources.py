"""Rows with the source of another row of their task: a control that no question can be answered by.

Who is right more often than these rows allow has not read the question. Targets, questions and
everything else stay each row's own.
"""

import random
from collections import Counter
from collections.abc import Sequence

from workflow_scripts.data.rows import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.tables import Row


def with_other_sources(rows: Sequence[Row], seed: int) -> list[Row]:
    """The same rows in the same order, each with the source of a row that asks something else.

    Within each task sources are exchanged, so each occurs once. Raises EssenceError when more than
    half of a task's rows ask the same question: then it cannot be done.
    """
    source = {}
    for task in TASKS:
        places = [place for place, row in enumerate(rows) if row.task == task]
        source |= _exchanged(rows, places, random.Random(f"{seed} {task}"))
    return [row._replace(source=source[place]) for place, row in enumerate(rows)]


def _exchanged(rows: Sequence[Row], places: list[int], rng: random.Random) -> dict[int, str]:
    """Place -> source: rows of one question stand together, and all move by the longest run."""
    rng.shuffle(places)
    first: dict[str, int] = {}
    questions = {place: comparable_text(rows[place].question) for place in places}
    for place in places:
        first.setdefault(questions[place], len(first))
    places.sort(key=lambda place: first[questions[place]])
    step = max(Counter(questions.values()).values(), default=0)
    if 2 * step > len(places):
        task = rows[places[0]].task
        raise EssenceError(
            f"sources: other: {step} of {len(places)} {task} rows ask the same question, so not "
            "every row can be given the source of another one. Ask for more rows."
        )
    moved = places[step:] + places[:step]
    return {place: rows[other].source for place, other in zip(places, moved, strict=True)}
