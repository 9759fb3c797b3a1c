"""Text metrics against values by hand and against rouge_score, and the scores of a run."""

import dataclasses
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer

from workflow_scripts.artifacts.parquet import write_rows
from workflow_scripts.artifacts.runs import Epoch, Losses, Score, Scores, Training
from workflow_scripts.artifacts.settings import Recipe, RunSettings, Settings, TrainingSettings
from workflow_scripts.artifacts.tables import BoundedPrediction, RowAnswer
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import render_decomposer, render_selector
from workflow_scripts.metrics.ceilings import ceilings, highest_exact_match
from workflow_scripts.metrics.score_text import score_text
from workflow_scripts.text.similarity import exact_match, rouge_l

ROOT = Path(__file__).resolve().parent.parent


def test_rouge_l_by_hand():
    # "the cat sat" against "the cat is sitting": common subsequence the, cat; with stemming too.
    precision, recall = 2 / 3, 2 / 4
    expected = 2 * precision * recall / (precision + recall)
    assert rouge_l("the cat sat", "the cat is sitting") == pytest.approx(expected)
    assert rouge_l("running", "runs") == 1.0
    assert rouge_l("b a", "a b") == pytest.approx(0.5)
    assert rouge_l("", "a") == rouge_l("a", "") == rouge_l("", "") == rouge_l("`", "`") == 0.0


def test_rouge_l_does_not_see_what_the_vocabulary_lacks():
    assert rouge_l("sql SELECT a FROM t", "```sql\nSELECT `a` FROM t\n```") == 1.0


def made_pairs(count: int) -> list[tuple[str, str]]:
    """(prediction, reference): cut, shuffled, unlike and equal ones, of SQL, JSON and noise."""
    rng = random.Random(3)
    words = "select selecting selects runs running t1 t2 a b id `maker` <= é 60 İ count(*) \t ,"
    words = [*words.split(" "), "SELECT", "```sql\n", "\n```", '"keep_all"', "flies", "flying"]
    pairs = []
    for _ in range(count):
        gold = " ".join(rng.choices(words, k=rng.randrange(60)))
        if rng.random() < 0.3:
            gold = render_decomposer([(gold, f"SELECT {gold}"), ("Which flies?", gold)])
        elif rng.random() < 0.2:
            gold = render_selector({word: gold.split() for word in gold.split()[:5]})
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


def test_exact_match_is_to_the_letter():
    pairs = [(" a\n", "a"), ("A", "a"), ("a  b", "a b")]
    assert [exact_match(*pair) for pair in pairs] == [1.0, 0.0, 0.0]


def test_text_metrics_load_through_evaluate_without_a_network(tmp_path):
    """From any folder, with the caches of an empty home."""
    code = f"""
import evaluate
module = {str(ROOT / "workflow_scripts/metrics/essence.py")!r}
rouge = evaluate.load(module, "rouge_l")
print(rouge.compute(predictions=["a b", "c"], references=["a b", "d"]))
exact = evaluate.load(module, "exact_match")
print(exact.compute(predictions=["a b", "c"], references=["a b", "d"]))
"""
    home = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**home, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["{'rouge_l': 0.5}", "{'exact_match': 0.5}"], done.stderr


def test_scoring_does_not_import_torch():
    code = (
        "import sys, workflow_scripts.metrics.score_text;"
        "print([m for m in ('torch', 'transformers', 'evaluate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def prediction(
    idx: int, split: str, task: str, gold: str, decoded: str, text: str, **bounds: Any
) -> BoundedPrediction:
    bounds = {"input": idx, "reachable": True, **bounds}
    return BoundedPrediction(split, idx, task, "shop", "?", gold, decoded, text, 3, False, **bounds)


def losses(value: float) -> Losses:
    return Losses(train_loss=None, eval_loss=value, loss_per_token=value + 1)


def training() -> Training:
    recipe = Recipe(
        name="repaired", prompt="compact", source_tokens=512, target_tokens=512,
        tokenizer="lossless", padding_in_loss=False, generate_tokens=512,
    )  # fmt: skip
    run = RunSettings(
        name="r1", experiment=3, sampling="natural", rows=7, batch_size=4, learning_rate=1e-4,
        epochs=2, patience=None,
    )  # fmt: skip
    train = TrainingSettings(
        learning_rate_scale=1.0, scheduler="linear", warmup_steps=0, weight_decay=0.0,
        max_grad_norm=1.0, eval_batch_size=4, log_every=10, best_metric="eval_loss",
    )  # fmt: skip
    settings = Settings(
        recipe=recipe, run=run, training=train, seed=42, device="cpu", precision="fp32"
    )
    tasks = {"Selector": losses(2.0), "Refiner": losses(3.0)}
    epochs = [
        Epoch(epoch=number, step=5 * number, tasks=tasks, **dict(losses(loss)))
        for number, loss in ((1, 9.0), (2, 2.5))
    ]
    counts = {"all": 7, "Selector": 3, "Decomposer": 0, "Refiner": 4}
    return Training(
        recipe="repaired", run="r1", seed=42, settings=settings, epochs=epochs, best_epoch=2,
        best_step=10, best_eval_loss=2.5, best_loss_per_token=3.5, stopped_early=False,
        epochs_done=2, steps_done=10, steps_planned=10, rows={"train": counts, "val": counts},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    training().write(tmp_path / "training.json")
    learned = [RowAnswer(1, "{a b}"), RowAnswer(2, "something else")]
    write_rows(tmp_path / "train.parquet", RowAnswer, learned)
    return tmp_path


def score(folder: Path, answers: list[BoundedPrediction]) -> Scores:
    write_rows(folder / "predictions.parquet", BoundedPrediction, answers)
    files = {name: folder / f"{name}.parquet" for name in ("predictions", "train")}
    files |= {name: folder / f"{name}.json" for name in ("training", "scores")}
    score_text(recipe="repaired", run="r1", seed=42, **files)
    return Scores.read(folder / "scores.json")


def test_the_scores_of_a_run(folder):
    answers = [
        prediction(1, "val", "Selector", "{a b}", "a b", "a b"),
        prediction(2, "val", "Refiner", "x", "x", "x"),
        prediction(3, "test", "Refiner", "x", "x", "y"),
    ]
    scores = score(folder, answers)
    assert (scores.recipe, scores.run, scores.seed) == ("repaired", "r1", 42)
    found = {(s.split, s.task, s.metric): s for s in scores.scores}
    assert len(found) == len(scores.scores) == (6 + 1) * (3 + 2) + 2 * 3
    assert found["val", "all", "exact_match"].value == 0.5
    assert found["val", "all", "exact_match"].n == 2
    assert found["val", "all", "exact_match_decoded"].value == 1.0
    assert found["val", "Selector", "exact_match"].value == 0.0
    assert found["val", "Selector", "rouge_l"].value == 1.0
    assert found["test", "all", "rouge_l"].value == 0.0
    assert found["val", "all", "exact_match_at_most"].value == 0.5  # the tokenizer has no braces
    assert found["val", "all", "exact_match_decoded_at_most"].value == 1.0
    assert found["val", "Selector", "answer_in_training"].value == 1.0
    assert found["val", "all", "answer_in_training"].value == 0.5
    assert found["test", "all", "answer_in_training"].value == 0.0
    loss = {"value": 4.0, "low": None, "high": None, "n": 4}
    assert found["val", "Refiner", "loss_per_token"] == Score(
        split="val", task="Refiner", metric="loss_per_token", **loss
    )


def test_equal_inputs_bound_exact_match():
    """Whatever was learned: one answer an input, the most frequent at best."""
    golds = ("a", " a\n", "b", "c", "{d}", "e")
    shared = [
        prediction(idx, "val", "Selector", gold, gold.strip("{}"), "?", input=0)
        for idx, gold in enumerate(golds)
    ]
    assert highest_exact_match(shared, "gold") == 2 / 6
    apart = [dataclasses.replace(row, input=row.idx) for row in shared]
    assert highest_exact_match(apart, "gold") == 5 / 6
    assert highest_exact_match(apart, "gold_decoded") == 1
    too_long = [dataclasses.replace(row, reachable=row.idx > 0) for row in apart]
    assert highest_exact_match(too_long, "gold_decoded") == 5 / 6
    two_inputs = [dataclasses.replace(row, input=row.idx % 2) for row in shared]
    assert highest_exact_match(two_inputs, "gold_decoded") == 2 / 6


def test_ceilings_are_of_each_split_and_task():
    rows = [
        prediction(idx, split, task, "x", "x", "?", input=0)
        for split, task, count in (
            ("val", "Selector", 2),
            ("val", "Refiner", 1),
            ("test", "Refiner", 4),
        )
        for idx in range(count)
    ]
    found = {(s.split, s.task, s.metric): (s.value, s.n, s.low) for s in ceilings(rows)}
    assert found["val", "all", "exact_match_at_most"] == (1, 3, None)
    assert found["test", "Refiner", "exact_match_decoded_at_most"] == (1, 4, None)
    assert ("test", "Selector", "exact_match_at_most") not in found


def test_no_answers_no_scores(folder):
    with pytest.raises(EssenceError, match="no answers in it"):
        score(folder, [])
