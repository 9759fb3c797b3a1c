"""ROUGE-L of single rows: F1 over the longest common subsequence of words.

Words are runs of [a-z0-9] after lower-casing (and Porter stemming): brackets, backticks and
newlines never count. Definition and code: the `rouge_score` package.
"""

from rouge_score import rouge_scorer


def rouge_l_rows(
    predictions: list[str], references: list[str], use_stemmer: bool = True
) -> list[float]:
    """One value in 0 to 1 a row."""
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=use_stemmer)
    return [
        scorer.score(reference, prediction)["rougeL"].fmeasure
        for prediction, reference in zip(predictions, references, strict=True)
    ]
