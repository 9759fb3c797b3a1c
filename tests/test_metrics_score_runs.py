"""Scoring a run by its SQL: the tables in, the scores and verdicts out; and the command beside."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import report_files as made
from material import SQL_EXAMPLES, made_database
from test_metrics_sql import ENDLESS, SCHEMA, SHOP

from workflow_scripts import tables
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_jsonl, write_jsonl
from workflow_scripts.formats.answers import render_decomposer, render_refiner, render_selector
from workflow_scripts.metrics.score import score
from workflow_scripts.metrics.score_runs import METRICS, highest_exact_match, score_runs
from workflow_scripts.runs import Training
from workflow_scripts.tables import PREDICTIONS, ROWS, Prediction, Row, write_table

GOLD = "SELECT name FROM item WHERE price > 2"
NOBODY = "SELECT name FROM item WHERE price > 99"


def row(
    idx, task, answer, gold_sql=None, question=None, old_sql=None, database="shop", how="schema"
) -> Row:
    return Row(
        idx, idx + 1, task, "shop" if task == "Selector" else None, question or f"Question {idx}?",
        None, SCHEMA, "", old_sql, None, None, gold_sql, "source", answer, database, how,
    )  # fmt: skip


SELECTION = render_selector({"item": ["name", "price"]})
GIVEN = [
    row(0, "Selector", SELECTION, question="Which are dear?"),
    row(1, "Decomposer", render_decomposer([("?", GOLD)]), GOLD, "Which are dear?"),
    row(2, "Refiner", render_refiner(GOLD), GOLD, old_sql="SELECT nam FROM item"),
    row(3, "Decomposer", render_decomposer([("?", NOBODY)]), NOBODY),
    row(4, "Decomposer", render_decomposer([("?", GOLD)]), GOLD, database=None, how="ambiguous"),
    row(5, "Selector", SELECTION, database=None, how="ambiguous"),
]


@pytest.fixture
def folder(tmp_path) -> Path:
    made_database(tmp_path / "databases/shop/shop.sqlite", SHOP)
    write_table(tmp_path / "rows.parquet", GIVEN, ROWS)
    return tmp_path


def predictions(answers: dict[int, str]) -> list[Prediction]:
    """What a run answered to all rows, twice; gold where `answers` says nothing else."""
    return [
        Prediction(
            split, row.idx, row.task, row.db_id, row.question, row.target, row.target,
            answers.get(row.idx, row.target), 9, False, row.idx, True,
        )
        for split in ("val", "test")
        for row in GIVEN
    ]  # fmt: skip


def run_stage(folder: Path, answered: list[Prediction], repeat: int = 0, **options: Any) -> dict:
    """(split, task, metric) -> score of a run that gave these answers."""
    run = made.make_run(folder, made.recipe("repaired"), "r1")
    write_table(run / "predictions.parquet", answered, PREDICTIONS)
    rows, answers, scores = (folder / f"{name}.parquet" for name in ("rows", "answers", "scores"))
    options = {"train": [rows], "databases": folder / "databases", **options}
    score_runs([run], rows, answers, scores, seconds=0.5, repeat=repeat, **options)
    table = tables.read_table(scores, tables.SCORES)
    assert set(table.recipe) == {"repaired"} and set(table.seed) == {42}
    by_key = {(each.split, each.task, each.metric): each for each in table.itertuples()}
    assert len(by_key) == len(table)
    return by_key


def judged_answers(folder: Path) -> list[dict[str, Any]]:
    table = tables.read_table(folder / "answers.parquet", tables.ANSWERS)
    return table.astype(object).where(table.notna(), None).to_dict("records")


def test_gold_against_gold_is_perfect_and_repeats_to_the_byte(folder):
    scores = run_stage(folder, predictions({}), repeat=10)
    imperfect = {metric for (*_, metric), each in scores.items() if each.value != 1}
    counts = {"linked_rate", "compression", "unknown_names", "sub_questions", "unchanged_rate"}
    assert imperfect <= {*counts, "eval_loss", "loss_per_token"}
    assert scores["val", "all", "execution_accuracy"].n == 3 == scores["val", "all", "ves"].n
    assert scores["val", "all", "linked_rate"].value == pytest.approx(4 / 6)
    assert scores["val", "Decomposer", "execution_accuracy_empty_gold"].n == 1
    assert scores["val", "Selector", "needed_recall"].n == 1  # question 0 has a gold SQL
    files = [(folder / f"{name}.parquet").read_bytes() for name in ("scores", "answers")]
    run_stage(folder, predictions({}), repeat=10)
    assert files == [(folder / f"{name}.parquet").read_bytes() for name in ("scores", "answers")]
    without = {metric for *_, metric in run_stage(folder, predictions({}), databases=None)}
    executed = {*METRICS["any"][5:], "valid_json", "fence_rate"}
    assert "exact_match" in without and not without & executed, "none of an earlier run stays"


def test_verdicts_and_scores_of_bad_answers(folder):
    answers = {
        0: "no idea",
        1: render_decomposer([("?", "SELECT ghost FROM item")]),
        2: render_refiner("SELECT nam  FROM item;"),
        3: f"Sub question 1: ?\nSQL\n```sql\n{ENDLESS}\n```",
        4: "sql SELECT name FROM item",
        5: render_selector({"item": "keep_all"}),
    }
    scores = run_stage(folder, predictions(answers))
    judged = judged_answers(folder)[:6]
    assert [each["verdict"] for each in judged] == [
        "no json", "error", "error", "timeout", "not linked", "wrong",
    ]  # fmt: skip
    facts = {"database": "shop", "hardness": "easy", "prediction": "no idea", "schema": SCHEMA}
    assert facts.items() <= judged[0].items()
    facts = {"predicted_sql": None, "database": None, "how": "ambiguous"}
    assert facts.items() <= judged[4].items()
    for task, metric, value in (
        ("all", "execution_accuracy", 0),
        ("Refiner", "unchanged_rate", 1),
        ("Refiner", "fix_rate", 0),
        ("Decomposer", "fence_rate", 2 / 3),
        ("Selector", "valid_json", 0.5),
    ):
        assert scores["test", task, metric].value == pytest.approx(value), metric
    intervals = [each for each in scores.values() if each.low == each.low]
    assert len(intervals) > 50
    assert all(each.n > 0 and each.low <= each.value <= each.high for each in intervals)


def test_rows_of_another_file_are_judged_on_their_own_databases(folder):
    """Row 1 of the other file has the idx of a row, and another question, gold and database."""
    mine = folder / "mine"
    script = "CREATE TABLE pencil (hard TEXT); INSERT INTO pencil VALUES ('2B');"
    made_database(mine / "databases/desk/desk.sqlite", script)
    gold = "SELECT hard FROM pencil"
    answer, schema = render_decomposer([("?", gold)]), "# Table: pencil\n[\n  (hard, hard.)\n]"
    other = row(1, "Decomposer", answer, gold, "How hard?", database="desk")
    other = other._replace(schema=schema)
    write_table(mine / "rows.parquet", [other], ROWS)
    own = predictions({1: render_decomposer([("?", "SELECT 0")])})
    asked = own[1]._replace(split="other", question="How hard?", gold=other.target)
    answered = [*own, asked._replace(prediction=other.target)]
    with pytest.raises(EssenceError, match="have the split other: give --other-rows"):
        run_stage(folder, answered)
    with pytest.raises(EssenceError, match="row idx 99"):
        run_stage(folder, [own[0]._replace(idx=99)])
    with pytest.raises(EssenceError, match="no answers in it"):
        run_stage(folder, [])
    source = {"other_rows": mine / "rows.parquet", "other_databases": mine / "databases"}
    scores = run_stage(folder, answered, **source)
    assert scores["other", "Decomposer", "execution_accuracy"].value == 1
    assert scores["test", "Decomposer", "execution_accuracy"].value == 0.5
    facts = {"split": "other", "database": "desk", "gold_sql": gold}
    assert facts.items() <= judged_answers(folder)[-1].items()


def test_scores_of_text_and_losses(tmp_path):
    def answer(idx, split, task, gold, decoded, text):
        return Prediction(split, idx, task, "shop", "?", gold, decoded, text, 3, False, idx, True)

    answers = [
        answer(1, "val", "Selector", "{a b}", "a b", "a b"),
        answer(2, "val", "Refiner", "x", "x", "x"),
        answer(3, "test", "Refiner", "x", "x", "y"),
        answer(1, "train", "Selector", "{a b}", "a b", "a b"),
    ]
    write_table(tmp_path / "train.parquet", [{"target": "{a b}"}], {"target": tables.TEXT})
    scores = run_stage(tmp_path, answers, train=[tmp_path / "train.parquet"], databases=None)
    assert len(scores) == (3 + 2 + 2) * (4 + 1 + 2) - 2 + 4 * 2  # tasks x metrics, losses
    assert scores["val", "all", "exact_match"].n == 2
    expected = {
        ("val", "all", "exact_match"): 0.5,
        ("val", "all", "exact_match_decoded"): 1,
        ("val", "Selector", "exact_match"): 0,
        ("val", "Selector", "rouge_l"): 1,
        ("test", "all", "rouge_l"): 0,
        ("val", "all", "exact_match_at_most"): 0.5,  # the tokenizer has no braces
        ("val", "all", "exact_match_decoded_at_most"): 1,
        ("val", "Selector", "answer_in_training"): 1,
        ("val", "all", "answer_in_training"): 0.5,
        ("test", "all", "answer_in_training"): 0,
    }
    assert {key: scores[key].value for key in expected} == expected
    assert ("train", "all", "answer_in_training") not in scores
    best = Training.read(tmp_path / "repaired/r1/seed42/training.json").best
    loss = scores["val", "Refiner", "loss_per_token"]
    assert loss.value == best.tasks["Refiner"].loss_per_token and loss.n == 12
    assert loss.low != loss.low  # a loss has no interval


def test_equal_inputs_bound_exact_match():
    """Whatever was learned: one answer an input, the most frequent at best."""
    gold = pd.Series(["a", " a\n", "b", "c", "{d}", "e"])

    def highest(reference="gold", **columns):
        table = {"gold": gold, "gold_decoded": gold.str.strip("{}"), "reachable": True}
        return highest_exact_match(pd.DataFrame(table | columns), reference)

    assert highest(input=0) == 2 / 6
    assert highest(input=range(6)) == 5 / 6
    assert highest("gold_decoded", input=range(6)) == 1
    assert highest("gold_decoded", input=range(6), reachable=gold.index > 0) == 5 / 6
    assert highest("gold_decoded", input=gold.index % 2) == 2 / 6
    assert highest(input=range(6), reachable=False) == 0


ANSWERS = [render_refiner("SELECT name FROM item WHERE price = 4"), f"sql {GOLD}", ""]
ANSWERS += [f"```sql\n{sql}\n```" for sql in (ENDLESS, "DROP TABLE item", "SELECT (")]
ANSWERS += [example["answer"] for example in SQL_EXAMPLES["answers"]]
SQL_METRICS = ("exact_match", "exact_match_normalised", "parse_rate", "executable_rate")
SQL_METRICS += ("execution_accuracy", "execution_match", "soft_f1", "ves", "r_ves")


def test_the_command_and_the_pipeline_agree_to_the_last_verdict(folder, capsys):
    asked = [GIVEN[1 + at % 2] for at in range(len(ANSWERS))]
    answered = [
        Prediction("test", row.idx, row.task, None, "?", "", "", text, 9, False, at, True)
        for at, (row, text) in enumerate(zip(asked, ANSWERS, strict=True))
    ]
    accuracy = run_stage(folder, answered)["test", "all", "execution_accuracy"].value
    judged = judged_answers(folder)
    lines, out = folder / "lines.jsonl", folder / "out.jsonl"
    pairs = zip([row.gold_sql for row in asked], ANSWERS, strict=True)
    write_jsonl(
        lines, ({"db_id": "shop", "gold": gold, "prediction": text} for gold, text in pairs)
    )

    def by_the_command(strict: bool) -> tuple[list[dict], dict]:
        capsys.readouterr()
        options = {"strict": strict, "seconds": 0.5, "repeat": 0, "json": True, "rows": out}
        score(folder / "databases", [lines], **options)
        return list(read_jsonl(out)), json.loads(capsys.readouterr().out)["metrics"]

    strict, metrics = by_the_command(strict=True)
    assert metrics["execution_accuracy"]["value"] == accuracy
    names = {"gold": "gold_sql", "prediction": "predicted_sql", "exact_match": "sql_exact_match"}
    facts = ("gold", "prediction", "verdict", "error", "hardness", "gold_rows", *SQL_METRICS)
    for answer, ours, theirs in zip(ANSWERS, judged, strict, strict=True):
        mine = {fact: ours[names.get(fact, fact)] for fact in facts}
        assert mine == {fact: theirs.get(fact) for fact in facts}, answer
    verdicts = {each["verdict"] for each in judged}
    assert verdicts == {"right", "wrong", "refused", "timeout", "error", "no sql"}
    lenient, metrics = by_the_command(strict=False)
    assert metrics["execution_accuracy_strict"]["value"] == accuracy
    assert metrics["execution_accuracy"]["value"] > accuracy
    accuracies = [ours["execution_accuracy_lenient"] for ours in judged]
    assert accuracies == [theirs["execution_accuracy"] for theirs in lenient]
