"""The question grammar: a shape, a database and a random generator give a `Draft`.

Sub-questions follow from the shape alone and the last one is the question itself, as most are
in the real rows, so that a Decomposer's whole answer can be foreseen from its prompt.
"""

import random

from workflow_scripts.data.twin import shapes_joined, shapes_one
from workflow_scripts.data.twin.asker import Asker, CannotAsk, Draft
from workflow_scripts.data.twin.schema import World

# Shape -> its function and how often it is asked.
SHAPES = {
    "listing": (shapes_one.listing, 12),
    "everything": (shapes_one.everything, 2),
    "counting": (shapes_one.counting, 6),
    "counting_kinds": (shapes_one.counting_kinds, 2),
    "aggregate": (shapes_one.aggregate, 7),
    "spread": (shapes_one.spread, 2),
    "superlative": (shapes_one.superlative, 6),
    "top": (shapes_one.top, 4),
    "each_count": (shapes_one.each_count, 3),
    "each_aggregate": (shapes_one.each_aggregate, 4),
    "frequent": (shapes_one.frequent, 3),
    "commonest": (shapes_one.commonest, 3),
    "above_average": (shapes_one.above_average, 4),
    "share": (shapes_one.share, 4),
    "quotient": (shapes_one.quotient, 4),
    "child_listing": (shapes_joined.child_listing, 8),
    "parent_listing": (shapes_joined.parent_listing, 7),
    "child_count": (shapes_joined.child_count, 5),
    "child_aggregate": (shapes_joined.child_aggregate, 5),
    "most_children": (shapes_joined.most_children, 3),
    "each_parent": (shapes_joined.each_parent, 3),
    "child_superlative": (shapes_joined.child_superlative, 4),
    "childless": (shapes_joined.childless, 3),
    "two_parents": (shapes_joined.two_parents, 6),
}
NAMES = list(SHAPES)
WEIGHTS = [weight for _, weight in SHAPES.values()]


def draft(
    world: World, rng: random.Random, *, vagueness: float = 0.3, less_than: bool = True
) -> Draft:
    """One question on `world`, of any shape that the database allows; see `Asker`."""
    while True:
        shape = rng.choices(NAMES, WEIGHTS)[0]
        asker = Asker(world, rng, vagueness, less_than)
        try:
            question, steps = SHAPES[shape][0](asker)
        except CannotAsk:
            continue
        last = steps.pop() if isinstance(steps, list) else steps
        earlier = tuple(steps) if isinstance(steps, list) else ()
        evidence = "; ".join(dict.fromkeys(asker.evidence))
        return Draft(shape, question, evidence, last, (*earlier, (question, last)))
