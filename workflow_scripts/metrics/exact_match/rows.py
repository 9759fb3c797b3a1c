"""Exact match of single rows."""


def exact_match_rows(predictions: list[str], references: list[str]) -> list[float]:
    """1.0 where prediction and reference are equal to the letter, white space around them aside."""
    return [
        float(prediction.strip() == reference.strip())
        for prediction, reference in zip(predictions, references, strict=True)
    ]
