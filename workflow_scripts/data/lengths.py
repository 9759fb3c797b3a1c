"""Lengths of texts in words and in tokens of the base model, and what a box plot shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, pre_tokenizers

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


class TokenCounter:
    """Counts the tokens of many texts, special ones left out.

    Texts repeat their words, so where a tokenizer encodes words one by one, each word is encoded
    once. The first texts are encoded both ways; where that makes a difference, all are encoded
    whole.
    """

    LARGEST = 1_000_000  # words that are remembered

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._by_word, self._checked = encodes_words_alone(tokenizer), False
        self._of_word: dict[str, int] = {}

    def count(self, texts: Sequence[str]) -> list[int]:
        if not self._by_word:
            return self._encoded(texts)
        if len(self._of_word) > self.LARGEST:
            self._of_word.clear()
        words = [_spaced(text).split(" ") for text in texts]
        new = list({word for of_text in words for word in of_text} - self._of_word.keys())
        self._of_word.update(zip(new, self._encoded(new), strict=True))
        counts = [sum(map(self._of_word.__getitem__, of_text)) for of_text in words]
        if not self._checked:
            self._checked, whole = True, self._encoded(texts)
            self._by_word = counts == whole
            return whole
        return counts

    def _encoded(self, texts: Sequence[str]) -> list[int]:
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return list(map(len, encoded))


def _spaced(text: str) -> str:
    """With one kind of white space; what else may be some is left to the tokenizer."""
    return text.replace("\n", " ").replace("\t", " ").replace("\r", " ")


def encodes_words_alone(tokenizer: Tokenizer) -> bool:
    """Whether words that white space separates are encoded one by one, as T5 does."""
    steps = tokenizer.pre_tokenizer
    steps = list(steps) if isinstance(steps, pre_tokenizers.Sequence) else [steps]
    return any(
        isinstance(step, pre_tokenizers.WhitespaceSplit)
        or (
            isinstance(step, pre_tokenizers.Metaspace)
            and step.split
            and step.prepend_scheme == "always"
        )
        for step in steps
    )


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
