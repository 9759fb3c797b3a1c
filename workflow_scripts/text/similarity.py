"""Compare a text with its reference: exact match and ROUGE-L, each defined once."""

from functools import cache, lru_cache
from typing import Any

from rouge_score import tokenize
from rouge_score.scoring import fmeasure


def exact_match(prediction: str, reference: str) -> float:
    """Return 1.0 where the two are equal to the letter, outer white space aside, else 0.0."""
    return float(prediction.strip() == reference.strip())


def rouge_l(prediction: str, reference: str) -> float:
    """Compute ROUGE-L (Lin 2004): F1 over the longest common subsequence of words, 0 to 1.

    Words are runs of [a-z0-9] after lower-casing and Porter stemming: brackets, backticks and
    newlines never count. Every value equals that of `rouge_score`'s `RougeScorer(["rougeL"],
    use_stemmer=True)`; only the subsequence is measured otherwise, as millions of pairs are scored.
    """
    given, wanted = _words(prediction), _words(reference)
    if not given or not wanted:
        return 0.0
    common = len(given) if given == wanted else common_subsequence(given, wanted)
    return fmeasure(common / len(given), common / len(wanted))


def common_subsequence(first: list[str], second: list[str]) -> int:
    """Compute the length of the longest common subsequence (bit-parallel: Hyyrö 2004).

    Bit i of `row` is 0 where the subsequence grows by one at the word i of `first`.
    """
    places: dict[str, int] = {}  # word -> the bits where it stands in `first`
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    everywhere = (1 << len(first)) - 1
    row = everywhere
    for word in second:
        matches = row & places.get(word, 0)
        row = (row + matches | row - matches) & everywhere
    return len(first) - row.bit_count()


@cache
def _stemmer() -> Any:
    """Porter's stemmer with a cache, since SQL repeats its words."""
    from nltk.stem.porter import PorterStemmer  # here: half a second, for ROUGE alone

    stemmer = PorterStemmer()
    stemmer.stem = lru_cache(maxsize=1 << 16)(stemmer.stem)
    return stemmer


@lru_cache(maxsize=1024)  # a gold answer is compared several times in a row
def _words(text: str) -> list[str]:
    return tokenize.tokenize(text, _stemmer())
