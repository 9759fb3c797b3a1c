"""The Decomposer's answers as an `evaluate` metric that loads from this folder, without a hub."""

import datasets
import evaluate

from workflow_scripts.metrics.averages import averages
from workflow_scripts.metrics.decomposer.rows import decomposer_row

_DESCRIPTION = """\
fence_rate, parse_rate, known_names_rate and unknown_names (against the schema), sub_questions
and sub_questions_as_gold. Means over rows. What the final SQL returns: see the metric `execution`.
"""
_CITATION = """\
@article{wang-2023-macsql,
    title = "{MAC-SQL}: A Multi-Agent Collaborative Framework for Text-to-{SQL}",
    author = "Wang, Bing and others", year = "2023", url = "https://arxiv.org/abs/2312.11242",
}
"""


class Decomposer(evaluate.Metric):
    def _info(self):
        names = ("predictions", "references", "schemas")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description="predictions, references: answers; schemas: schema texts.",
            features=datasets.Features(dict.fromkeys(names, datasets.Value("string"))),
        )

    def _compute(self, predictions, references, schemas):
        rows = zip(predictions, references, schemas, strict=True)
        return averages([decomposer_row(*row) for row in rows])
