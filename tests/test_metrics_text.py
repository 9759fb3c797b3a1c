"""Text metrics against values by hand, their intervals, and the scores of a run."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import write_json, write_parquet
from workflow_scripts.metrics.exact_match.rows import exact_match_rows
from workflow_scripts.metrics.rouge_l.rows import rouge_l_rows
from workflow_scripts.metrics.score_run import score_run

ROOT = Path(__file__).resolve().parent.parent


def test_rouge_l_by_hand():
    # "the cat sat" against "the cat is sitting": common subsequence the, cat; with stemming too.
    precision, recall = 2 / 3, 2 / 4
    expected = 2 * precision * recall / (precision + recall)
    assert rouge_l_rows(["the cat sat"], ["the cat is sitting"]) == [pytest.approx(expected)]
    assert rouge_l_rows(["running"], ["runs"]) == [1.0]
    assert rouge_l_rows(["running"], ["runs"], use_stemmer=False) == [0.0]
    assert rouge_l_rows(["b a"], ["a b"]) == [pytest.approx(0.5)]
    assert rouge_l_rows([""], ["a"]) == [0.0]


def test_rouge_l_does_not_see_what_the_vocabulary_lacks():
    assert rouge_l_rows(["sql SELECT a FROM t"], ["```sql\nSELECT `a` FROM t\n```"]) == [1.0]


def test_exact_match_is_to_the_letter():
    assert exact_match_rows([" a\n", "A", "a  b"], ["a", "a", "a b"]) == [1.0, 0.0, 0.0]


def test_both_load_through_evaluate_without_a_network(tmp_path):
    """From any folder, with the caches of an empty home."""
    code = f"""
import evaluate
folder = {str(ROOT / "workflow_scripts/metrics")!r}
rouge = evaluate.load(folder + "/rouge_l")
print(rouge.compute(predictions=["a b", "c"], references=["a b", "d"]))
print(rouge.compute(predictions=["a b", "c"], references=["a b", "d"], use_aggregator=False))
exact = evaluate.load(folder + "/exact_match/exact_match.py")
print(exact.compute(predictions=["a b", "c"], references=["a b", "d"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        "{'rouge_l': 0.5}",
        "{'rouge_l': [1.0, 0.0]}",
        "{'exact_match': 0.5}",
    ], done.stderr


def test_scoring_does_not_import_torch():
    code = (
        "import sys, workflow_scripts.metrics.score_run;"
        "print([m for m in ('torch', 'transformers', 'evaluate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def prediction(split, task, gold, decoded, answer):
    names = ("split", "task", "gold", "gold_decoded", "prediction")
    return dict(zip(names, (split, task, gold, decoded, answer), strict=True))


def losses(value):
    return {"eval_loss": value, "loss_per_token": value + 1}


def test_the_scores_of_a_run(tmp_path):
    rows = [
        prediction("val", "Selector", "{a b}", "a b", "a b"),
        prediction("val", "Refiner", "x", "x", "x"),
        prediction("test", "Refiner", "x", "x", "y"),
    ]
    write_parquet(tmp_path / "p.parquet", pa.Table.from_pylist(rows))
    tasks = {"Selector": losses(2.0), "Refiner": losses(3.0)}
    epochs = [{"step": 5, **losses(9.0), "tasks": {}}, {"step": 10, **losses(2.5), "tasks": tasks}]
    counts = {"val": {"all": 7, "Selector": 3, "Decomposer": 0, "Refiner": 4}}
    write_json(tmp_path / "t.json", {"best_step": 10, "epochs": epochs, "rows": counts})
    scores = score_run(tmp_path / "p.parquet", tmp_path / "t.json")
    found = {(s["split"], s["task"], s["metric"]): s for s in scores}
    assert len(found) == len(scores) == 4 * (3 + 2) + 2 * 3
    assert found["val", "all", "exact_match"]["value"] == 0.5
    assert found["val", "all", "exact_match_decoded"]["value"] == 1.0
    assert found["val", "Selector", "exact_match"]["value"] == 0.0
    assert found["val", "Selector", "rouge_l"]["value"] == 1.0
    assert found["test", "all", "rouge_l"]["value"] == 0.0
    assert found["val", "all", "exact_match"] | {"low": 0, "high": 0} == {
        "split": "val",
        "task": "all",
        "metric": "exact_match",
        "value": 0.5,
        "low": 0,
        "high": 0,
        "n": 2,
    }
    loss = found["val", "Refiner", "loss_per_token"]
    assert (loss["value"], loss["low"], loss["high"], loss["n"]) == (4.0, None, None, 4)


def test_no_answers_no_scores(tmp_path):
    empty = pa.table({"split": pa.array([], pa.string())})
    write_parquet(tmp_path / "p.parquet", empty)
    with pytest.raises(EssenceError, match="no answers in it"):
        score_run(tmp_path / "p.parquet", tmp_path / "t.json")
