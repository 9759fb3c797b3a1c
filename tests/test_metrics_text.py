"""Text metrics against values by hand and against rouge_score."""

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer

from workflow_scripts.text.similarity import exact_match, rouge_l


def test_rouge_l_and_exact_match_by_hand():
    # "the cat sat" against "the cat is sitting": common subsequence the, cat; with stemming too.
    precision, recall = 2 / 3, 2 / 4
    expected = 2 * precision * recall / (precision + recall)
    assert rouge_l("the cat sat", "the cat is sitting") == pytest.approx(expected)
    assert rouge_l("running", "runs") == 1.0
    assert rouge_l("b a", "a b") == pytest.approx(0.5)
    assert rouge_l("", "a") == rouge_l("a", "") == rouge_l("", "") == rouge_l("`", "`") == 0.0
    assert rouge_l("sql SELECT a FROM t", "```sql\nSELECT `a` FROM t\n```") == 1.0
    pairs = [(" a\n", "a"), ("A", "a"), ("a  b", "a b")]
    assert [exact_match(*pair) for pair in pairs] == [1.0, 0.0, 0.0]


def made_pairs(count: int) -> list[tuple[str, str]]:
    """(prediction, reference): cut, shuffled, unlike and equal ones."""
    rng = random.Random(3)
    words = "select selecting selects runs running t1 t2 a b id `maker` <= é 60 İ count(*) \t ,"
    words = [*words.split(" "), "SELECT", "```sql\n", "\n```", '"keep_all"', "flies", "flying"]
    pairs = []
    for _ in range(count):
        gold = " ".join(rng.choices(words, k=rng.randrange(60)))
        cut = gold[: rng.randrange(len(gold) + 1)]
        shuffled = " ".join(rng.sample(gold.split(), len(gold.split())))
        other = " ".join(rng.choices(words, k=rng.randrange(90)))
        mixed = " ".join(word for word in gold.split() if rng.random() < 0.7)
        pairs.append((rng.choice([gold, cut, cut[1:], shuffled, other, mixed, ""]), gold))
    return pairs


def test_rouge_l_is_rouge_scores_to_the_last_bit():
    score = RougeScorer(["rougeL"], use_stemmer=True).score
    pairs = made_pairs(3_000)
    expected = [score(reference, prediction)["rougeL"].fmeasure for prediction, reference in pairs]
    assert [rouge_l(*pair) for pair in pairs] == expected
    assert len(set(expected)) > 500  # not a handful of easy cases
