"""Tables and pages of the report on runs with known numbers."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import report_files as made
from report_files import pick

from workflow_scripts.artifacts.csv import read_csv
from workflow_scripts.artifacts.parquet import read_rows, write_rows
from workflow_scripts.artifacts.published import Published
from workflow_scripts.artifacts.report import Mean, Result, RunSummary
from workflow_scripts.artifacts.runs import BestRun, BestRuns, Ranked
from workflow_scripts.artifacts.tables import AgentOutcome, Prediction, Row
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.pages import html, predictions
from workflow_scripts.report.pages.answer_quality import quality_of
from workflow_scripts.report.pages.draw_examples import draw
from workflow_scripts.report.pages.examples import show_examples
from workflow_scripts.report.tables.models import tabulate_models
from workflow_scripts.report.tables.results import all_results, over_seeds, tabulate_results
from workflow_scripts.report.tables.runs import tabulate_runs
from workflow_scripts.report.tables.summary import summary_lines, summary_page

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(("value", "text"), [(1e-4, "1e-4"), (3e-5, "3e-5"), (2.5e-4, "2.5e-4")])
def test_learning_rates_are_written_as_people_do(value, text):
    assert rate(value) == text


def test_results_hold_every_number_and_means_over_seeds(tmp_path, runs):
    files = {name: tmp_path / f"{name}.csv" for name in ("results", "means", "summary")}
    page = html.render(tabulate_results(runs, **files))
    results = read_csv(Result, files["results"])
    assert len(results) == sum(len(run.scores) for run in runs)
    chosen = ("as_written", "exp3_bs4_lr1e-4")
    losses = [run.score("eval_loss") for run in runs if (run.recipe, run.name) == chosen]
    [mean] = [
        line
        for line in read_csv(Mean, files["means"])
        if (line.recipe, line.run, line.metric, line.task) == (*chosen, "eval_loss", "all")
    ]
    assert mean.seeds == 2 and mean.mean == pytest.approx(fmean(losses))
    assert mean.low <= mean.mean <= mean.high
    summaries = read_csv(RunSummary, files["summary"])
    assert len(summaries) == 24 and {line.seeds for line in summaries} == {2}
    columns = files["summary"].read_text().splitlines()[0].split(",")
    assert {"eval_loss", "eval_loss_low", "execution_accuracy_test"} <= set(columns)
    assert f"{mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}]" in page


def test_what_was_not_measured_has_no_column(runs):
    means = [mean for mean in over_seeds(all_results(runs)) if mean.split == "val"]
    assert list(summary_lines(runs, means)[0])[-1] == "exact_match_at_most_val_high"


def test_test_rows_of_all_kinds_stand_side_by_side(runs):
    run = pick(runs, "repaired", "exp3_bs4_lr1e-4")
    key = ("repaired", run.name)
    means = [
        Mean(*key, split, task, metric, 1, value, None, None, None)
        for split, value in (("val", 0.5), ("test", 0.25), ("unseen", 0.125))
        for task in ("all", *TASKS)
        for metric in ("exact_match", "answer_in_training")
    ]
    lines = summary_lines([run], means)
    assert lines[0]["exact_match_test"] == 0.25 and lines[0]["exact_match_unseen"] == 0.125
    *_, by_task = summary_page(lines, means).values["tables"].values()
    assert by_task.columns[3] == "exact match Selector"
    assert by_task.columns[6] == "answer also in training rows Selector"
    assert [row[:4] for row in by_task.rows] == [[*key, "test", "0.250"], [*key, "unseen", "0.125"]]


def outcomes(path, right):
    """outcomes.parquet of questions of which so many were answered rightly, by all agents."""
    lines = [
        AgentOutcome(
            "all agents", "test", idx, "shop", "?", "SELECT 1", None, "", None, False, 0, value
        )
        for idx, value in enumerate([1.0] * right + [0.0] * (4 - right))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, AgentOutcome, lines)
    return path


@pytest.fixture
def compared(tmp_path, runs):
    """The lines of models.csv by feature, and the page: one model behind an endpoint."""
    quoted = Published.read(ROOT / "resources/published.json")
    remote = tmp_path / "gpt"
    outcomes(remote / "agents/outcomes.parquet", right=3)
    known = {"seconds": 24.0, "input_tokens": 2000, "output_tokens": 300, "cost": 1.25}
    made.answering(12, **known).write(remote / "answering.json")
    made.answering(4, **known).write(remote / "agents/answering.json")
    for name in ("scores.json", "sql_scores.json"):
        shutil.copy(pick(runs, "repaired", "exp1_natural").folder / name, remote)
    page = tabulate_models(
        runs,
        quoted,
        dict.fromkeys(made.RECIPES, "standin"),
        "repaired",
        tmp_path / "models.csv",
        outcomes(tmp_path / "outcomes.parquet", right=1),
        [remote],
        {"gpt": None},
    )
    lines = list(csv.DictReader((tmp_path / "models.csv").read_text().splitlines()))
    return quoted, {line["feature"]: line for line in lines}, html.render(page)


def test_measured_models_stand_beside_the_quoted_ones(compared):
    quoted, features, page = compared
    columns = list(features["Parameters"])
    names = quoted.models.columns
    assert columns[: len(names) + 1] == ["feature", *names]
    assert columns[-2:] == ["repaired: exp3_bs4_lr1e-4", "gpt"]
    assert page.count("measured here<") == 4
    end_to_end = features["End to end, execution accuracy (test rows)"]
    assert end_to_end["GPT-4"] == "not quoted"
    assert end_to_end["repaired: exp3_bs4_lr1e-4"].startswith("0.250 [")
    assert end_to_end["gpt"].startswith("0.750 [") and end_to_end["gpt"].endswith("n = 4")
    others = [text for name, text in end_to_end.items() if name.startswith("as_")]
    assert others == ["asked of the best run of repaired alone"] * 2
    exact = features["All tasks, exact match (test rows)"]["repaired: exp3_bs4_lr1e-4"]
    assert exact == "0.250 [0.200, 0.300], n = 12"


def test_what_a_comparison_costs_and_what_is_missing_is_said(compared):
    _, features, _ = compared
    of_run, of_endpoint = (
        {feature: line[name] for feature, line in features.items()}
        for name in ("repaired: exp3_bs4_lr1e-4", "gpt")
    )
    cost = "2.50: 16 answers, 4,000 tokens read and 600 written"
    assert of_endpoint["Cost of the answers"] == cost
    assert of_run["Cost of the answers"] == "none: it runs here"
    assert (of_run["Seconds an answer"], of_endpoint["Seconds an answer"]) == (
        "0.5, in batches",
        "2, several at once",
    )
    assert of_endpoint["Answers cut, empty or refused"] == "2 length of 16"
    assert of_run["Answers cut, empty or refused"] == "2 length of 24", "two seeds"
    assert of_endpoint["Parameters"] == "not known here"
    assert of_run["Selector, F1 of columns (test rows)"] == "not measured: no database"
    assert not any(text == "" for line in features.values() for text in line.values())


def test_what_all_runs_share_is_told_once(tmp_path, runs):
    table = tmp_path / "runs.csv"
    page = html.render(tabulate_runs(runs[:2], table))
    lines = list(csv.DictReader(table.read_text().splitlines()))
    assert [line["run"] for line in lines] == [run.name for run in runs[:2]]
    assert (
        lines[0]["versions"] == "torch 2.13.0 transformers 5.23.0"
        and lines[0]["epochs"] == "4 of 20"
    )
    assert page.count("torch 2.13.0") == 1


@pytest.mark.parametrize(
    ("prediction", "cut", "quality"),
    [
        (" ```a <b```\n", False, "exact"),
        ("a b", False, "exact as decoded"),
        ("a", True, "cut off"),
        ("a", False, "different"),
    ],
)
def test_an_answer_is_exact_exact_as_decoded_cut_off_or_different(runs, prediction, cut, quality):
    path = pick(runs, "repaired", "exp1_natural").folder / "predictions.parquet"
    answer = replace(read_rows(Prediction, path)[0], gold="```a <b```", gold_decoded="a b")
    assert quality_of(replace(answer, prediction=prediction, cut=cut)) == quality


def test_rows_of_experiment_4_are_drawn_by_seed(tmp_path):
    rows = read_rows(Row, made.make_rows(tmp_path / "rows.parquet", dict.fromkeys(TASKS, 9)))
    drawn = draw(rows, 2, seed=4)
    assert [row.task for row in drawn] == [task for task in TASKS for _ in range(2)]
    assert drawn == draw(rows, 2, seed=4)
    assert drawn != draw(rows, 2, seed=5)
    with pytest.raises(EssenceError, match="10 rows of each task"):
        draw(rows, 10, seed=4)


def best_of(recipes, run: str) -> BestRuns:
    ranking = [Ranked(run=run, value=0.25), Ranked(run="other", value=0.5)]
    return BestRuns(
        recipes={name: BestRun(recipe=name, run=run, seed=1, ranking=ranking) for name in recipes}
    )


def test_examples_stand_side_by_side_and_say_where_each_run_met_the_row(tmp_path, runs):
    files = []
    for recipe in ("as_written", "repaired"):
        run = pick(runs, recipe, "exp1_natural")
        answers = [
            answer
            for answer in read_rows(Prediction, run.folder / "predictions.parquet")
            if (answer.split, answer.idx) in (("test", 100), ("val", 0), ("val", 1), ("val", 2))
        ]
        files.append(tmp_path / f"{recipe}.parquet")
        write_rows(files[-1], Prediction, answers)
    rows = read_rows(Row, made.make_rows(tmp_path / "rows.parquet", {"Selector": 2}))
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    write_rows(first, Row, rows[:1])
    write_rows(second, Row, rows[1:])
    best = best_of(["as_written", "repaired"], "<b>")
    page = show_examples(
        ["as_written", "repaired"], files, train=[first, second], val=[second, first], best=best
    )
    text = html.render(page, "generated & small")
    row = text[text.index("row 0,") : text.index("row 1,")]
    assert row.index("as_written <small>(training row)") < row.index(
        "repaired <small>(validation row)"
    )
    assert text.count("(not used in this run)") == 4  # rows 100 and 2, of both recipes
    assert "<strong>as_written</strong>: &lt;b&gt;, seed 1" in text and "other with 0.500" in text
    assert "generated &amp; small" in text and "<script" not in text


def test_what_a_model_writes_cannot_break_out_of_the_page(tmp_path, runs):
    chosen = [pick(runs, name, "exp1_natural") for name in ("as_written", "repaired")]
    best = best_of(["as_written", "repaired"], "exp1_natural")
    collected = predictions.collect(chosen, best)
    assert collected["executed"] == ["error"] and collected["splits"] == ["test", "val"]
    assert len(collected["answers"]) == 2 * len(collected["rows"])
    assert "SELECT </script> a FROM t" in {each["prediction"] for each in collected["answers"]}
    table = tmp_path / "predictions.csv"
    text = html.render(predictions.browse_predictions(chosen, best, table))
    assert text.count("</script>") == 1
    data = re.search(r"const DATA = (.*), PAGE = 20", text).group(1)
    assert json.loads(data)["answers"] == collected["answers"]
    lines = list(csv.DictReader(table.read_text().splitlines()))
    assert len(lines) == len(collected["answers"])
    assert {line["quality"] for line in lines} <= set(collected["qualities"])
    page = html.tables("A table", "<em>How</em>", {"": html.Table(["a"], [["<b>"]])})
    assert "&lt;b&gt;" in html.render(page) and "<em>How</em>" in html.render(page)
