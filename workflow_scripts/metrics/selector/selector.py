"""The Selector's answers as an `evaluate` metric that loads from this folder, without a hub."""

import datasets
import evaluate

from workflow_scripts.metrics.averages import averages
from workflow_scripts.metrics.selector.rows import selector_row

_DESCRIPTION = """\
valid_json; precision, recall and F1 of tables and of columns against the gold answer; needed_recall
(share of the columns that the gold SQL needs and the answer keeps, where a gold SQL is given);
compression (share of the schema's columns left out). Means over rows.
"""
_CITATION = """\
@article{wang-2023-macsql,
    title = "{MAC-SQL}: A Multi-Agent Collaborative Framework for Text-to-{SQL}",
    author = "Wang, Bing and others", year = "2023", url = "https://arxiv.org/abs/2312.11242",
}
"""


class Selector(evaluate.Metric):
    def _info(self):
        names = ("predictions", "references", "schemas", "gold_sql")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description='predictions, references: answers; schemas; gold_sql: SQL or "".',
            features=datasets.Features(dict.fromkeys(names, datasets.Value("string"))),
        )

    def _compute(self, predictions, references, schemas, gold_sql):
        rows = zip(predictions, references, schemas, gold_sql, strict=True)
        return averages([selector_row(*row) for row in rows])
