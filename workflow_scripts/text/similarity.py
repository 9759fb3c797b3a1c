"""How near to its gold answer a text comes: exact match and ROUGE-L, cheap where they can be.

The audit compares every gold answer with what is left of it. Nearly all of these pairs are the
same words, or the same words cut short, and for those the longest common subsequence is known
without searching for it; the rest is left to `rouge_score`.
"""

import re
from functools import lru_cache

from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer, tokenize


class _Words:
    """rouge_score's own stemming word splitter, with a memory for stems (SQL repeats its words)."""

    def __init__(self) -> None:
        self.stem = lru_cache(maxsize=1 << 16)(PorterStemmer().stem)

    def tokenize(self, text: str) -> list[str]:
        return tokenize.tokenize(text, self)


_WORD = re.compile("[a-z0-9]")
_WORDS = _Words()
_SCORER = rouge_scorer.RougeScorer(["rougeL"], tokenizer=_WORDS)


def exact(reference: str, text: str) -> bool:
    """Equal but for outer white space."""
    return reference.strip() == text.strip()


def rouge_l(reference: str, text: str) -> float:
    """ROUGE-L F measure with stemming, equal to rouge_score's."""
    if reference == text or _plain(reference) == _plain(text):
        return float(_WORD.search(reference.lower()) is not None)
    gold, words = _WORDS.tokenize(reference), _WORDS.tokenize(text)
    whole = len(words) - 1
    if words and whole < len(gold) and words[:whole] == gold[:whole]:
        # A beginning of the reference, its last word perhaps cut: no search needed.
        common = whole + (words[whole] in gold[whole:])
        return 2 * common / (len(gold) + len(words))
    return _SCORER.score(reference, text)["rougeL"].fmeasure


def _plain(text: str) -> str:
    return tokenize.NON_ALPHANUM_RE.sub(" ", text.lower())
