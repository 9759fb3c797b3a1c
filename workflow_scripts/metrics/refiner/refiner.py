"""The Refiner's repairs as an `evaluate` metric that loads from this folder, without a hub."""

from pathlib import Path

import datasets
import evaluate

from workflow_scripts.metrics.averages import averages
from workflow_scripts.metrics.execution_verdicts import Case, judge
from workflow_scripts.metrics.refiner.rows import refiner_row
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.execute import Limits, Sandbox

_DESCRIPTION = """\
fix_rate (right now, of those that were wrong), regression_rate (wrong now, of those that were
right), executable_rate and unchanged_rate. Right and wrong are execution accuracy's (BIRD).
"""
_CITATION = """\
@article{wang-2023-macsql,
    title = "{MAC-SQL}: A Multi-Agent Collaborative Framework for Text-to-{SQL}",
    author = "Wang, Bing and others", year = "2023", url = "https://arxiv.org/abs/2312.11242",
}
"""


class Refiner(evaluate.Metric):
    def _info(self):
        names = ("predictions", "references", "old_sql", "databases")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description="predictions, references, old_sql: SQL; databases: SQLite files.",
            features=datasets.Features(dict.fromkeys(names, datasets.Value("string"))),
        )

    def _compute(self, predictions, references, old_sql, databases, seconds=30.0):
        def cases(statements):
            rows = zip(statements, references, databases, strict=True)
            return [Case(database, "", gold, sql, Path(database)) for sql, gold, database in rows]

        with Sandbox(Limits(seconds=seconds)) as sandbox:
            verdicts = judge(cases(predictions) + cases(old_sql), CachedSandbox(sandbox), repeat=0)
        half = len(predictions)
        pairs = zip(verdicts[:half], verdicts[half:], strict=True)
        return averages([refiner_row(new, old) for new, old in pairs])
