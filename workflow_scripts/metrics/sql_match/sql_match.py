"""SQL by how it is written, as an `evaluate` metric that loads from this folder, without a hub."""

import datasets
import evaluate

from workflow_scripts.sql.parse import normalise, parse

_DESCRIPTION = """\
exact_match: the same text, outer white space aside. exact_match_normalised: the same after sqlglot
has given both one spelling (see `workflow_scripts.sql.parse.normalise` for what counts as equal).
parse_rate: share of predictions that sqlglot can parse.
"""
_CITATION = "sqlglot, https://github.com/tobymao/sqlglot"


class SqlMatch(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description="predictions, references: SQL.",
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://github.com/tobymao/sqlglot"],
        )

    def _compute(self, predictions, references):
        pairs = list(zip(map(str.strip, predictions), map(str.strip, references), strict=True))
        raw = [ours == theirs for ours, theirs in pairs]
        same = [
            equal or (normalise(ours) is not None and normalise(ours) == normalise(theirs))
            for equal, (ours, theirs) in zip(raw, pairs, strict=True)
        ]
        return {
            "exact_match": sum(raw) / len(raw),
            "exact_match_normalised": sum(same) / len(same),
            "parse_rate": sum(parse(ours) is not None for ours, _ in pairs) / len(pairs),
        }
