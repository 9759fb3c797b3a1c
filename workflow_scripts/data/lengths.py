"""Lengths of texts in words and in tokens of the base model, and what a box plot shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from workflow_scripts.artifacts.data import Box
from workflow_scripts.errors import EssenceError

FENCE = 1.5  # Tukey: beyond the quartiles by 1.5 interquartile ranges is an outlier


def read_tokenizer(path: Path) -> Tokenizer:
    """A model's tokenizer.json, its own limits left out. Raises EssenceError without one."""
    if not path.is_file():
        raise EssenceError(
            f"{path}: no such file; set model.base to a folder with a tokenizer.json (a model's "
            "fast tokenizer writes one with save_pretrained)"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise EssenceError(f"{path}: no tokenizer that can be read ({error})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def count_tokens(texts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """Tokens of each text, with the end mark."""
    return list(map(len, tokenizer.encode_batch_fast(texts)))


def count_words(texts: Sequence[str]) -> list[int]:
    """Words as the report counts them: what white space separates."""
    return [len(text.split()) for text in texts]


def box(values: Sequence[int]) -> Box:
    """Quartiles (linear), whiskers, and how many points lie beyond them.

    A whisker reaches to the last value within `FENCE` interquartile ranges of its quartile.
    """
    data = np.asarray(values)
    q1, median, q3 = (float(value) for value in np.quantile(data, [0.25, 0.5, 0.75]))
    low, high = q1 - FENCE * (q3 - q1), q3 + FENCE * (q3 - q1)
    return Box(
        n=len(data),
        mean=round(float(data.mean()), 3),
        min=int(data.min()),
        whisker_low=int(data[data >= low].min()),
        q1=q1,
        median=median,
        q3=q3,
        whisker_high=int(data[data <= high].max()),
        max=int(data.max()),
        outliers_low=int((data < low).sum()),
        outliers_high=int((data > high).sum()),
    )
