"""Tables and pages of the report on runs with known numbers."""

import json

import pyarrow.parquet as pq
import pytest
import report_files as made
from report_files import pick

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.pages import examples, html, predictions
from workflow_scripts.report.pages.answer_quality import verdict_of
from workflow_scripts.report.tables.results import over_seeds, results_table, summary_table


@pytest.mark.parametrize(("value", "text"), [(1e-4, "1e-4"), (3e-5, "3e-5"), (2.5e-4, "2.5e-4")])
def test_learning_rates_are_written_as_people_do(value, text):
    assert rate(value) == text


def test_results_hold_every_number_and_means_over_seeds(runs):
    results = results_table(runs)
    columns = ["recipe", "run", "seed", "split", "task", "metric", "value", "low", "high"]
    columns.append("n")
    assert list(results.columns) == columns
    assert len(results) == sum(len(run.scores) for run in runs)
    means = over_seeds(results).set_index(["recipe", "run", "split", "task", "metric"])
    losses = [
        run.score("eval_loss")
        for run in runs
        if (run.recipe, run.name) == ("as_written", "exp3_bs4_lr1e-4")
    ]
    line = means.loc[("as_written", "exp3_bs4_lr1e-4", "val", "all", "eval_loss")]
    assert line["seeds"] == 2 and line["mean"] == pytest.approx(sum(losses) / 2)
    summary = summary_table(runs, over_seeds(results))
    assert len(summary) == 24 and set(summary["seeds"]) == {2}


def test_verdicts_of_answers():
    row = {"gold": "```a <b```", "gold_decoded": "a b", "cut": False}
    assert verdict_of({**row, "prediction": " ```a <b```\n"})[0] == "exact"
    assert verdict_of({**row, "prediction": "a b"})[0] == "equal after loss"
    assert verdict_of({**row, "prediction": "a", "cut": True})[0] == "cut"
    assert verdict_of({**row, "prediction": "a"})[0] == "different"


def test_rows_of_experiment_4_are_drawn_by_seed(tmp_path):
    rows = pq.read_table(made.make_rows(tmp_path / "rows.parquet", dict.fromkeys(TASKS, 9)))
    drawn = examples.draw(rows, 2, seed=4)
    assert drawn["task"].to_pylist() == [task for task in TASKS for _ in range(2)]
    assert drawn.equals(examples.draw(rows, 2, seed=4))
    assert not drawn.equals(examples.draw(rows, 2, seed=5))
    with pytest.raises(EssenceError, match="10 rows of each task"):
        examples.draw(rows, 10, seed=4)


def test_what_a_model_writes_cannot_break_out_of_the_page(runs):
    collected = predictions.collect([pick(runs, "repaired", "exp1_natural")])
    assert collected["executed"] == ["error"]
    data = html.embedded(collected)
    assert "</script>" not in data
    assert "SELECT </script> a FROM t" in {a["text"] for a in json.loads(data)["answers"]}
    assert html.table(["a"], [["<b>"]]).count("&lt;b&gt;") == 1
