"""The questions of the Refiner's rows, which say too little on purpose.

Tables and columns get vague words that occur in no schema; the condition, the order and the
shape are left to the old SQL. Without reading that, nobody can find the gold SQL.
"""

import random

from workflow_scripts.data.twin import lexicon
from workflow_scripts.data.twin.asker import Draft
from workflow_scripts.data.twin.query import REFERENCE
from workflow_scripts.data.twin.schema import World

PATTERNS = {
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


def _pattern(draft: Draft) -> str:
    """Which of `PATTERNS` suits the query."""
    query, first = draft.query, draft.query.select[0]
    if query.group and not query.limit:
        return "group"
    if query.order:
        return "rank"
    if first == "COUNT(*)":
        return "count"
    return "value" if "(" in first else "list"


def vague_question(world: World, draft: Draft, rng: random.Random) -> str:
    found = REFERENCE.search(draft.query.select[0])
    kind = world.tables[found[1]].column(found[2]).kind if found else "int"
    words = lexicon.VAGUE_COLUMNS.get(kind, ["detail", "particulars"])
    free = [word for word in words if word not in world.text] or ["detail"]
    records = [word for word in lexicon.VAGUE_TABLES if word not in world.text]
    return rng.choice(PATTERNS[_pattern(draft)]).format(
        word=rng.choice(free), records=rng.choice(records)
    )
