"""Every metric of an answer: its name, what computes it, and of which task it is.

Tables, figures and the page take metrics from here by way of `answers` and `scores`. Values go from
0 to 1 unless docs/scoring.md says otherwise.
"""

from collections.abc import Callable
from typing import NamedTuple

from workflow_scripts.metrics.agents import (
    decomposer_metrics,
    refiner_metrics,
    selector_metrics,
)
from workflow_scripts.tables import ANSWERS, MORE, NUMBER, SEEN
from workflow_scripts.text.similarity import exact_match, rouge_l


class Metrics(NamedTuple):
    """Columns of `answers` that a function fills from others: those that its parameters name.

    The function returns {metric: value}; a metric that it leaves out does not apply to the answer.
    None: `score_runs` fills the columns itself. `task` None: answers of any task.
    """

    names: tuple[str, ...]
    compute: Callable[..., dict[str, float]] | None = None
    task: str | None = None


def text_metrics(prediction: str, gold: str, gold_decoded: str) -> dict[str, float]:
    """Compare an answer with gold as it is, and as the run's tokenizer can write it."""
    return {
        "rouge_l": rouge_l(prediction, gold),
        "exact_match": exact_match(prediction, gold),
        "rouge_l_decoded": rouge_l(prediction, gold_decoded),
        "exact_match_decoded": exact_match(prediction, gold_decoded),
    }


METRICS = (
    Metrics(("rouge_l", "exact_match", "rouge_l_decoded", "exact_match_decoded"), text_metrics),
    Metrics((SEEN,)),
    Metrics(
        (
            *("linked_rate", "sql_exact_match", "exact_match_normalised", "parse_rate"),
            *("executable_rate", "execution_accuracy", "execution_accuracy_empty_gold"),
            *("execution_accuracy_nonempty_gold", "execution_accuracy_lenient"),
            *("execution_match", "soft_f1", "ves", "r_ves"),
        )
    ),
    Metrics(
        (
            *("valid_json", "table_precision", "table_recall", "table_f1"),
            *("column_precision", "column_recall", "column_f1", "needed_recall", "compression"),
        ),
        selector_metrics,
        "Selector",
    ),
    Metrics(
        (
            *("fence_rate", "known_names_rate", "unknown_names"),
            *("sub_questions", "sub_questions_as_gold"),
        ),
        decomposer_metrics,
        "Decomposer",
    ),
    Metrics(("unchanged_rate", "fix_rate", "regression_rate"), refiner_metrics, "Refiner"),
)
NAMES = tuple(name for metrics in METRICS for name in metrics.names)
# The columns of answers.parquet, metrics included.
COLUMNS = {name: kind for name, kind in ANSWERS.items() if name != MORE}
COLUMNS |= dict.fromkeys(NAMES, NUMBER)
