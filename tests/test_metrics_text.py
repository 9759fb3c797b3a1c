"""Text metrics against values by hand and against rouge_score, and the scores of a run."""

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import report_files as made
from rouge_score.rouge_scorer import RougeScorer

from workflow_scripts.metrics.score_runs import highest_exact_match, score_runs
from workflow_scripts.runs import Training
from workflow_scripts.tables import PREDICTIONS, SCORES, TEXT, Prediction, read_table, write_table
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


def prediction(
    idx: int, split: str, task: str, gold: str, decoded: str, text: str, **bounds: Any
) -> Prediction:
    bounds = {"input": idx, "reachable": True, **bounds}
    return Prediction(split, idx, task, "shop", "?", gold, decoded, text, 3, False, **bounds)


def score(folder: Path, answers: list[Prediction]) -> dict[tuple[str, str, str], Any]:
    """(split, task, metric) -> score of a run that gave these answers."""
    run = made.make_run(folder, made.recipe("repaired"), "r1")
    write_table(run / "predictions.parquet", answers, PREDICTIONS)
    learned = pd.DataFrame({"target": ["{a b}", "other"]})
    write_table(folder / "train.parquet", learned, {"target": TEXT})
    files = [folder / f"{name}.parquet" for name in ("rows", "answers", "scores")]
    score_runs([run], *files, [folder / "train.parquet"])
    table = read_table(files[-1], SCORES)
    assert (
        set(table.recipe) == {"repaired"} and set(table.run) == {"r1"} and set(table.seed) == {42}
    )
    scores = {(each.split, each.task, each.metric): each for each in table.itertuples()}
    assert len(scores) == len(table)
    return scores


def test_the_scores_of_a_run(tmp_path):
    answers = [
        prediction(1, "val", "Selector", "{a b}", "a b", "a b"),
        prediction(2, "val", "Refiner", "x", "x", "x"),
        prediction(3, "test", "Refiner", "x", "x", "y"),
        prediction(1, "train", "Selector", "{a b}", "a b", "a b"),
    ]
    scores = score(tmp_path, answers)
    assert len(scores) == (3 + 2 + 2) * (4 + 1 + 2) - 2 + 4 * 2  # tasks x metrics, losses
    assert scores["val", "all", "exact_match"].value == 0.5
    assert scores["val", "all", "exact_match"].n == 2
    assert scores["val", "all", "exact_match_decoded"].value == 1.0
    assert scores["val", "Selector", "exact_match"].value == 0.0
    assert scores["val", "Selector", "rouge_l"].value == 1.0
    assert scores["test", "all", "rouge_l"].value == 0.0
    assert scores["val", "all", "exact_match_at_most"].value == 0.5  # the tokenizer has no braces
    assert scores["val", "all", "exact_match_decoded_at_most"].value == 1.0
    assert scores["val", "Selector", "answer_in_training"].value == 1.0
    assert scores["val", "all", "answer_in_training"].value == 0.5
    assert scores["test", "all", "answer_in_training"].value == 0.0
    assert ("train", "all", "answer_in_training") not in scores
    best = Training.read(tmp_path / "repaired/r1/seed42/training.json").best
    loss = scores["val", "Refiner", "loss_per_token"]
    assert loss.value == best.tasks["Refiner"].loss_per_token and loss.n == 12
    assert loss.low != loss.low  # a loss has no interval


def highest(rows: list[Prediction], reference: str) -> float:
    return highest_exact_match(pd.DataFrame(rows), reference)


def test_equal_inputs_bound_exact_match():
    """Whatever was learned: one answer an input, the most frequent at best."""
    golds = ("a", " a\n", "b", "c", "{d}", "e")
    shared = [
        prediction(idx, "val", "Selector", gold, gold.strip("{}"), "?", input=0)
        for idx, gold in enumerate(golds)
    ]
    assert highest(shared, "gold") == 2 / 6
    apart = [row._replace(input=row.idx) for row in shared]
    assert highest(apart, "gold") == 5 / 6
    assert highest(apart, "gold_decoded") == 1
    too_long = [row._replace(reachable=row.idx > 0) for row in apart]
    assert highest(too_long, "gold_decoded") == 5 / 6
    two_inputs = [row._replace(input=row.idx % 2) for row in shared]
    assert highest(two_inputs, "gold_decoded") == 2 / 6
    assert highest([row._replace(reachable=False) for row in shared], "gold") == 0
