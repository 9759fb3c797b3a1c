"""The highest exact match that any model could reach on the rows scored, whatever it has learned.

A model gives equal inputs equal answers, so of the rows that share an input it can match those with
one and the same right answer: at best the most frequent. And an answer that the tokenizer cannot
write, or that is longer than what is generated, matches nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from workflow_scripts.artifacts.runs import Score
from workflow_scripts.artifacts.tables import BoundedPrediction
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.text.similarity import exact_match

# metric -> column of the predictions that exact match compares with
CEILINGS = {"exact_match_at_most": "gold", "exact_match_decoded_at_most": "gold_decoded"}


def highest_exact_match(rows: Iterable[BoundedPrediction], reference: str) -> float:
    """A share of the rows, 0 to 1; `reference`: the column that answers are compared with."""
    count, of_input = 0, {}
    for row in rows:
        count += 1
        answers = of_input.setdefault(row.input, Counter())
        if row.reachable and exact_match(row.gold_decoded, getattr(row, reference)):
            answers[row.gold_decoded.strip()] += 1
    return sum(max(answers.values(), default=0) for answers in of_input.values()) / count


def ceilings(rows: list[BoundedPrediction]) -> Iterator[Score]:
    """A ceiling a split and task; counted, not estimated, so without an interval."""
    for split in dict.fromkeys(row.split for row in rows):
        for metric, reference in CEILINGS.items():
            for task in ("all", *TASKS):
                own = [row for row in rows if row.split == split and task in ("all", row.task)]
                if own:
                    value = highest_exact_match(own, reference)
                    yield Score(
                        split=split, task=task, metric=metric, value=value, low=None, high=None,
                        n=len(own),
                    )  # fmt: skip
