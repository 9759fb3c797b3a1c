"""Text metrics against rouge_score and values by hand."""

import random

from rouge_score.rouge_scorer import RougeScorer

from workflow_scripts.text.similarity import exact_match, rouge_l


def test_rouge_l_is_rouge_scores_to_the_last_bit():
    """On texts that are cut, shuffled, thinned out, unlike and equal."""
    rng, score = random.Random(3), RougeScorer(["rougeL"], use_stemmer=True).score
    words = "select selecting selects runs running t1 t2 a b id `maker` <= é 60 İ count(*) \t ,"
    words = [*words.split(" "), "SELECT", "```sql\n", "\n```", '"keep_all"', "flies", "flying"]
    values = set()
    for _ in range(1_000):
        gold = rng.choices(words, k=rng.randrange(60))
        shuffled, other = rng.sample(gold, len(gold)), rng.choices(words, k=rng.randrange(90))
        thinned = [word for word in gold if rng.random() < 0.7]
        given = " ".join(rng.choice([gold, shuffled, other, thinned, []]))[rng.randrange(9) :]
        expected = score(" ".join(gold), given)["rougeL"].fmeasure
        assert rouge_l(given, " ".join(gold)) == expected
        values.add(expected)
    assert len(values) > 300  # not a handful of easy cases
    assert rouge_l("sql SELECT a FROM t", "```sql\nSELECT `a` FROM t\n```") == 1.0


def test_exact_match_by_hand():
    pairs = [(" a\n", "a"), ("A", "a"), ("a  b", "a b")]
    assert [exact_match(*pair) for pair in pairs] == [1.0, 0.0, 0.0]
