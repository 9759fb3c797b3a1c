"""ROUGE-L as an `evaluate` metric that loads from this folder, without a hub."""

import datasets
import evaluate

from .rows import rouge_l_rows

_DESCRIPTION = """\
ROUGE-L: F1 over the longest common subsequence of the words of prediction and reference, with
Porter stemming, mean over rows; or every row's value with use_aggregator=False.
"""
_CITATION = """\
@inproceedings{lin-2004-rouge,
    title = "{ROUGE}: A Package for Automatic Evaluation of Summaries",
    author = "Lin, Chin-Yew",
    booktitle = "Text Summarization Branches Out",
    year = "2004",
    url = "https://aclanthology.org/W04-1013",
}
"""
_INPUTS = "predictions, references: lists of texts; use_stemmer (True); use_aggregator (True)."


class RougeL(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
            reference_urls=["https://github.com/google-research/google-research/tree/master/rouge"],
        )

    def _compute(self, predictions, references, use_stemmer=True, use_aggregator=True):
        values = rouge_l_rows(predictions, references, use_stemmer)
        return {"rouge_l": sum(values) / len(values) if use_aggregator else values}
