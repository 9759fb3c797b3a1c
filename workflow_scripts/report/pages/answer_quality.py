"""What one answer is worth, in words."""

from workflow_scripts.artifacts.tables import Prediction

QUALITIES = {"exact": "good", "exact as decoded": "unsure", "cut off": "bad", "different": "bad"}


def quality_of(answer: Prediction) -> str:
    """One of QUALITIES, whose values say how it is coloured.

    "exact": equal to the raw answer but for outer white space. "exact as decoded": equal to what
    the tokenizer can write of it, as the notebooks compared. "cut off": the generation limit was
    hit.
    """
    prediction = answer.prediction.strip()
    if prediction == answer.gold.strip():
        return "exact"
    if prediction == answer.gold_decoded.strip():
        return "exact as decoded"
    return "cut off" if answer.cut else "different"
