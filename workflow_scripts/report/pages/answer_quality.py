"""What one answer is worth, in words."""

from workflow_scripts.artifacts.tables import Prediction

QUALITIES = {"exact": "good", "equal after loss": "unsure", "cut": "bad", "different": "bad"}


def quality_of(answer: Prediction) -> str:
    """One of QUALITIES, whose values say how it is coloured.

    "exact": equal to the raw answer but for outer white space. "equal after loss": equal to what
    the tokenizer can write of it, as the notebooks compared. "cut": the generation limit was hit.
    """
    prediction = answer.prediction.strip()
    if prediction == answer.gold.strip():
        return "exact"
    if prediction == answer.gold_decoded.strip():
        return "equal after loss"
    return "cut" if answer.cut else "different"
