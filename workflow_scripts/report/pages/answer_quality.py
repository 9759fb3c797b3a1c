"""What one answer is worth, in words."""

from typing import Any


def verdict_of(row: dict[str, Any]) -> tuple[str, str]:
    """(verdict, good | unsure | bad) of one line of predictions.parquet.

    "exact": equal to the raw answer but for outer white space. "equal after loss": equal to what
    the tokenizer can write of it, as the notebooks compared. "cut": the generation limit was hit.
    """
    prediction = row["prediction"].strip()
    if prediction == row["gold"].strip():
        return "exact", "good"
    if prediction == row["gold_decoded"].strip():
        return "equal after loss", "unsure"
    return ("cut", "bad") if row["cut"] else ("different", "bad")
