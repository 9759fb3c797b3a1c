"""Exact match as an `evaluate` metric that loads from this folder, without a hub."""

import datasets
import evaluate

from .rows import exact_match_rows

_DESCRIPTION = """\
The share of predictions that equal their reference to the letter, white space at both ends aside;
or every row's 0 or 1 with use_aggregator=False.
"""
_INPUTS = "predictions, references: lists of texts; use_aggregator (True)."


class ExactMatch(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions, references, use_aggregator=True):
        values = exact_match_rows(predictions, references)
        return {"exact_match": sum(values) / len(values) if use_aggregator else values}
