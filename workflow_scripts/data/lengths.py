"""Lengths of texts in words and in tokens of the model in hand, and what a box plot shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from workflow_scripts.errors import EssenceError

FENCE = 1.5  # Tukey: beyond the quartiles by 1.5 interquartile ranges is an outlier


class TokenCounter:
    """Counts the tokens of texts, the end mark that the model reads included.

    Uses the model's tokenizer.json as it is. Raises EssenceError when there is none.
    """

    def __init__(self, model: Path | str):
        path = Path(model) / "tokenizer.json"
        if not path.is_file():
            raise EssenceError(
                f"{path}: no such file; set model.base to a folder with a tokenizer.json (a "
                "model's fast tokenizer writes one with save_pretrained)"
            )
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise EssenceError(f"{path}: no tokenizer that can be read ({error})") from error
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding) for encoding in self.tokenizer.encode_batch_fast(list(texts))]


def count_words(texts: Sequence[str]) -> list[int]:
    """Words as the report counts them: what white space separates."""
    return [len(text.split()) for text in texts]


def box(values: Sequence[int]) -> dict[str, float]:
    """What a box plot draws: quartiles (linear), whiskers, and how many points lie beyond them.

    A whisker reaches to the last value within `FENCE` interquartile ranges of its quartile.
    """
    data = np.asarray(values)
    q1, median, q3 = (float(value) for value in np.quantile(data, [0.25, 0.5, 0.75]))
    low, high = q1 - FENCE * (q3 - q1), q3 + FENCE * (q3 - q1)
    return {
        "n": len(data),
        "mean": round(float(data.mean()), 3),
        "min": int(data.min()),
        "whisker_low": int(data[data >= low].min()),
        "q1": q1,
        "median": median,
        "q3": q3,
        "whisker_high": int(data[data <= high].max()),
        "max": int(data.max()),
        "outliers_low": int((data < low).sum()),
        "outliers_high": int((data > high).sum()),
    }
