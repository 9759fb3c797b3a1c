"""The SQL metrics against their definitions, and gold against gold."""

import itertools
import json
import math
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from material import ROOT, SQL_EXAMPLES, made_database

from tools.scoring_agreement import agreement
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_jsonl
from workflow_scripts.formats.answers import render_decomposer, render_selector
from workflow_scripts.metrics import execution
from workflow_scripts.metrics.agents import decomposer_metrics, refiner_metrics, selector_metrics
from workflow_scripts.metrics.execution import Case, judge
from workflow_scripts.metrics.hardness import LEVELS, hardness
from workflow_scripts.metrics.score import score, summary
from workflow_scripts.sql.parse import canonical, schema_names, unknown_names
from workflow_scripts.sql.sandbox import Sandbox

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) FROM c"
NAMES, PAIRS = "SELECT name FROM item", "SELECT name, price FROM item"
SHOP = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, kind TEXT);
INSERT INTO item VALUES (1, 'pen', 1.5, 'a'), (2, 'ink', 4, 'a'), (3, 'pad', 4, 'b');
"""


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox(workers=2)  # a busy machine slows down real gold SQL


@pytest.fixture
def shop(tmp_path) -> Path:
    return made_database(tmp_path / "shop/shop.sqlite", SHOP)


def verdict(sandbox, path: Path, gold: str, prediction: str | None, repeat: int = 0):
    """The judged case, as attributes."""
    return SimpleNamespace(**judge([Case(gold, prediction, path)], sandbox, repeat)[0])


def test_our_accuracy_is_birds(real_databases, capsys):
    """Everywhere but for text that is not UTF-8, which is an error there (docs/scoring.md)."""
    agreement(real_databases.questions, real_databases.folder, count=150)
    bird = json.loads(capsys.readouterr().out)["BIRD, execution accuracy"]
    differences = {(each["db_id"], each["ours"], each["theirs"]) for each in bird["differences"]}
    assert differences <= {("kennel_1", True, False)}
    counts = bird["ours / theirs"]
    assert counts["True / True"] > 40 < counts["False / False"]  # the changes make both kinds


def test_gold_in_its_canonical_spelling_is_perfect_on_real_databases(sandbox, real_databases):
    rows, path = real_databases.sample(120, 1), real_databases.path
    cases = [Case(r["query"], canonical(r["query"]), path(r["db_id"])) for r in rows]
    scores = summary(pd.DataFrame(judge(cases, sandbox, repeat=0)))
    of_text = {"exact_match", "exact_match_normalised"}
    assert {name for name, score in scores.items() if score["value"] != 1.0} <= of_text
    assert scores["execution_accuracy"]["n"] == len(rows)
    assert scores["execution_accuracy_empty_gold"]["n"] > 0


@pytest.mark.parametrize(("of_gold", "of_prediction"), [("", ""), (" ;", ""), ("", ";\n")])
def test_gold_is_perfect_by_every_metric_whatever_its_end(
    sandbox, real_databases, of_gold, of_prediction
):
    queries = [(row, row["query"].rstrip("; ")) for row in real_databases.sample(60, 2)]
    cases = [
        Case(sql + of_gold, sql + of_prediction, real_databases.path(row["db_id"]))
        for row, sql in queries
    ]
    scores = summary(pd.DataFrame(judge(cases, sandbox, repeat=0)))
    assert {name: score["value"] for name, score in scores.items() if score["value"] != 1.0} == {}
    assert scores["exact_match"]["n"] == len(cases) == scores["execution_accuracy"]["n"]


@pytest.mark.parametrize("gold, prediction, word, accuracy, match", SQL_EXAMPLES["verdicts"])
def test_verdicts(sandbox, shop, monkeypatch, gold, prediction, word, accuracy, match):
    monkeypatch.setattr(execution, "LEAST_STEPS", 1_000_000)
    found = verdict(sandbox, shop, gold, prediction)
    assert found.verdict == word
    assert (found.execution_accuracy, found.execution_match) == (accuracy, match)
    assert (found.error is None) == (word in ("right", "wrong"))


def test_a_lucky_answer_does_not_match_on_a_further_instance(sandbox, shop):
    gold = "SELECT count(*) FROM item WHERE id < 3"
    lucky = "SELECT count(*) FROM item WHERE kind = 'a'"
    assert verdict(sandbox, shop, gold, lucky).execution_match == 1
    other = Path(shutil.copy(shop, shop.with_name("other.sqlite")))
    made_database(other, "UPDATE item SET kind = 'b'")
    matches = [verdict(sandbox, shop, gold, sql).execution_match for sql in (lucky, gold)]
    assert matches == [0, 1]


def test_a_slow_prediction_may_take_many_times_the_steps_of_its_gold(sandbox, shop, monkeypatch):
    """The limit is the larger of a number and a multiple of what gold takes, the same each time."""
    monkeypatch.setattr(execution, "LEAST_STEPS", 20_000)
    monkeypatch.setattr(execution, "TIMES_GOLD", 50)

    def counted(most):
        steps = f"WITH c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {most})"
        return f"{steps} SELECT 1 FROM c WHERE x = {most}"

    quick, slow, slower = map(counted, (5, 2_000, 200_000))
    for gold, prediction, word in (
        ("SELECT 1", quick, "right"),
        ("SELECT 1", slow, "step limit"),
        (counted(3_000), slow, "right"),
        (slow, slower, "step limit"),
        (slower, slower, "right"),  # gold itself has no limit
    ):
        assert verdict(sandbox, shop, gold, prediction).verdict == word, (gold, prediction)


def plain_match(predicted: list, gold: list, ordered: bool) -> bool:
    """The test suite's question asked of every order of the columns."""
    keep = list if ordered else sorted
    return not gold or any(
        keep(tuple(row[i] for i in order) for row in predicted) == keep(gold)
        for order in itertools.permutations(range(len(gold[0])))
    )


def test_execution_match_agrees_with_trying_every_order():
    rng, matched = random.Random(9), 0
    for _ in range(2_000):
        width, height = rng.randint(1, 4), rng.randint(0, 4)
        gold = [tuple(rng.randrange(3) for _ in range(width)) for _ in range(height)]
        order = rng.sample(range(width), width)
        rows = [tuple(row[i] for i in order) for row in rng.sample(gold, height)]
        if rows and rng.random() < 0.4:
            at = rng.randrange(height)
            rows[at] = tuple(rng.randrange(3) for _ in range(width))
        ordered = rng.random() < 0.3
        expected = plain_match(rows, gold, ordered)
        assert execution.execution_match(rows, gold, ordered) == expected, (rows, gold, ordered)
        matched += expected
    assert 500 < matched < 1_800
    gold = [tuple(rng.randrange(2) for _ in range(12)) for _ in range(40)]  # too wide for trying
    given = [row[::-1] for row in gold]
    assert execution.execution_match(given, gold, ordered=True)
    assert not execution.execution_match([*given[:-1], (7,) * 12], gold, ordered=False)


@pytest.mark.parametrize("predicted, gold, expected", SQL_EXAMPLES["soft_f1"])
def test_soft_f1_by_hand(predicted, gold, expected):
    rows = (list(map(tuple, each)) for each in (predicted, gold))
    assert execution.soft_f1(*rows) == pytest.approx(expected, abs=1e-4)


def test_time_ratio_drops_outliers_and_r_ves_goes_by_steps():
    steady = [(1.0, 2.0)] * 30
    assert execution.time_ratio(steady) == 2
    assert execution.time_ratio([*steady, (1.0, 1000.0)]) == 2
    assert execution.ves(4) == 2
    steps = [(9, 1.25), (2, 1.25), (1.99, 1), (1, 1), (0.5, 0.75), (0.25, 0.5), (0.01, 0.25)]
    assert [execution.r_ves(ratio) for ratio, _ in steps] == [math.sqrt(r) for _, r in steps]
    with pytest.raises(ValueError, match="no times"):
        execution.time_ratio([])


def test_ves_of_a_slow_right_answer_is_below_gold_and_a_wrong_one_scores_nothing(sandbox, shop):
    gold = "SELECT count(*) FROM item"
    slow = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 20000) "
    slow += "SELECT (SELECT count(*) FROM item) FROM c"
    found = verdict(sandbox, shop, gold, slow, repeat=3)
    assert found.verdict == "right" and 0 < found.ves < 0.5 and found.r_ves == math.sqrt(0.25)
    assert verdict(sandbox, shop, gold, "SELECT 99", repeat=3).ves == 0
    assert not hasattr(verdict(sandbox, shop, gold, gold), "ves"), "not timed is not 0"


@pytest.mark.parametrize("level", LEVELS)
def test_hardness_of_known_queries(level):
    queries = SQL_EXAMPLES["hardness"][level]
    assert {sql: hardness(sql) for sql in queries} == dict.fromkeys(queries, level)
    assert hardness("SELECT FROM WHERE") is None


SCHEMA = """# Table: item
[
  (id, id.),
  (name, name. Value examples: ['pen'].),
  (price, price.),
  (kind, kind.)
]
# Table: sale
[
  (item_id, item id.),
  (day, day.)
]"""
GOLD_SQL = "SELECT T1.name FROM item AS T1 JOIN sale AS T2 ON T1.id = T2.item_id"


def test_selector_by_hand():
    gold = render_selector({"item": ["id", "name"], "sale": "keep_all"})
    perfect = selector_metrics(gold, gold, SCHEMA, GOLD_SQL)
    assert perfect.pop("compression") == pytest.approx(2 / 6)
    assert set(perfect.values()) == {1.0} and len(perfect) == 8
    choice = render_selector({"item": ["ID", "price"], "sale": "drop_all", "ghost": "keep_all"})
    row = selector_metrics(choice, gold, SCHEMA, GOLD_SQL)
    assert row["valid_json"] == 1
    assert (row["table_precision"], row["table_recall"]) == (1 / 2, 1 / 2)
    assert (row["column_precision"], row["column_recall"]) == (1 / 3, 1 / 4)  # item.id alone
    assert row["column_f1"] == pytest.approx(2 / 7)
    assert row["needed_recall"] == pytest.approx(1 / 3)  # of name, id and item_id
    assert row["compression"] == pytest.approx(4 / 6)
    row = selector_metrics("item: keep all", gold, SCHEMA)
    assert "compression" not in row and set(row.values()) == {0.0}
    schema = SCHEMA.replace("# Table: item", "# Table: `Item`")  # backticks and case are no part
    gold, quoted = (render_selector({name: "keep_all"}) for name in ("item", "`ITEM`"))
    assert selector_metrics(quoted, gold, schema)["column_f1"] == 1


def test_names_that_are_not_in_the_schema():
    for sql, unknown in (
        (GOLD_SQL, set()),
        ('SELECT "name" FROM item WHERE kind = "a"', set()),
        ("WITH x AS (SELECT id AS k FROM item) SELECT x.k, rowid FROM x", set()),
        ("SELECT T1.nam, b FROM item T1 JOIN c T2 ON T1.id = T2.a", {"item.nam", "b", "c", "c.a"}),
    ):
        assert unknown_names(sql, schema_names(SCHEMA)) == unknown, sql


def test_decomposer_by_hand():
    gold = render_decomposer([("What is sold?", "SELECT item_id FROM sale"), ("Names?", GOLD_SQL)])
    row = decomposer_metrics(gold, gold, SCHEMA)
    assert row.pop("sub_questions") == 2 and row.pop("unknown_names") == 0
    assert set(row.values()) == {1.0}
    given = "Sub question 1: ?\nSQL\n```sql\nSELECT ghost FROM item\n```"
    row = decomposer_metrics(given, gold, SCHEMA)
    assert (row["sub_questions"], row["sub_questions_as_gold"], row["unknown_names"]) == (1, 0, 1)
    assert (row["parse_rate"], row["known_names_rate"]) == (1, 0)
    row = decomposer_metrics("sql SELECT name FROM item", gold, SCHEMA)  # no fence: no SQL
    assert set(row.values()) == {0.0} and "unknown_names" not in row


def test_refiner_by_hand():
    right, broken, wrong = NAMES, "SELECT nam FROM item", "SELECT id FROM item"
    for new, old, accuracies, expected in (
        (right, broken, (1, 0), {"unchanged_rate": 0, "fix_rate": 1}),
        (wrong, broken, (0, 0), {"unchanged_rate": 0, "fix_rate": 0}),
        ("select NAM from item;", broken, (0, 0), {"unchanged_rate": 1, "fix_rate": 0}),
        (wrong, right, (0, 1), {"unchanged_rate": 0, "regression_rate": 1}),
        (right, right, (1, 1), {"unchanged_rate": 1, "regression_rate": 0}),
        (None, broken, (0, 0), {"unchanged_rate": 0, "fix_rate": 0}),
        (right, right, (None, None), {"unchanged_rate": 1}),
    ):
        assert refiner_metrics(new, old, *accuracies) == expected


def write_lines(path: Path, lines: list) -> Path:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n")
    return path


GOOD_LINE = {"db_id": "shop", "question": "?", "gold": "SELECT 1", "prediction": "SELECT 1"}


def line(prediction: str, *gold: str) -> dict:
    return GOOD_LINE | {"gold": list(gold), "prediction": prediction}


def test_score_command(shop, tmp_path, capsys, monkeypatch):
    lines = [line(NAMES, NAMES), line("So:\n```sql\nselect NAME from item;\n```", NAMES)]
    lines += [line("DROP TABLE item", NAMES), line(ENDLESS, NAMES)]
    lines += [line("SELECT 1", "SELECT ghost FROM item")]
    lines += [line(f"{NAMES} WHERE kind = 'z'", f"{NAMES} WHERE price > 100")]
    predictions, rows = write_lines(tmp_path / "p.jsonl", lines), tmp_path / "rows.jsonl"
    options = {"rows": rows, "seconds": 0.5, "max_failing_golds": 0.2}
    assert score(tmp_path, [predictions], json=True, **options) == 0
    out, err = capsys.readouterr()
    assert err.startswith("WARNING: 1 of 6 gold queries can't be run")
    answer = json.loads(out)
    metrics = answer["metrics"]
    accuracy = metrics["execution_accuracy"]
    assert accuracy["low"] <= accuracy["value"] == 0.6 <= accuracy["high"] and accuracy["n"] == 5
    for name, value in (
        ("execution_accuracy_empty_gold", 1),  # wrong, and right by EX
        ("execution_accuracy_nonempty_gold", 0.5),
        ("exact_match", 1 / 6),
        ("exact_match_normalised", 2 / 6),
    ):
        assert metrics[name]["value"] == value, name
    assert {"execution_match", "soft_f1", "ves", "r_ves", "parse_rate"} <= set(metrics)
    assert answer["by_hardness"]["easy"]["execution_accuracy"]["n"] == 5
    assert answer["counts"] == {
        "rows": 6, "gold_empty": 1, "right": 3, "refused": 1, "timeout": 1, "gold_fails": 1,
    }  # fmt: skip
    verdicts = [each["verdict"] for each in read_jsonl(rows)]
    assert verdicts == ["right", "right", "refused", "timeout", "gold fails", "right"]
    assert score(tmp_path, [predictions], repeat=0, seconds=2) == 1, "too many gold queries fail"
    printed = capsys.readouterr().out
    assert printed.startswith("WARNING: 1 of 6") and "no such column: ghost" in printed
    assert "execution_accuracy" in printed and "\nves " not in printed
    monkeypatch.setattr(execution, "time_ratio", lambda times: 1.44)
    score(tmp_path, [write_lines(predictions, [line("SELECT name from item", NAMES)])], repeat=1)
    [ves] = [text for text in capsys.readouterr().out.splitlines() if text.startswith("ves ")]
    assert ves.split()[1:] == ["1.200", "-", "-", "1"], "a single time has no interval"


@pytest.mark.parametrize(
    "changes, options, message",
    [
        ({"db_id": "nowhere"}, {}, "line 2.*unknown db_id 'nowhere'"),
        ({"db_id": "../shop"}, {}, "line 2.*not the name of a database"),
        ({"gold": []}, {}, "line 2: gold: there is no SQL in it"),
        ({}, {"databases": Path("gone")}, "no such folder"),
        ({}, {"predictions": [Path("gone")]}, "no such file"),
        ({}, {"predictions": []}, "nothing to score: give --predictions"),
        ({}, {"workers": 0}, "workers"),
        ({}, {"max_failing_golds": float("nan")}, "max.failing.golds"),
    ],
)
def test_what_cannot_be_scored(shop, tmp_path, changes, options, message):
    file = write_lines(tmp_path / "p.jsonl", [GOOD_LINE, GOOD_LINE | changes])
    with pytest.raises(EssenceError, match=message):
        score(**{"databases": tmp_path, "predictions": [file], **options})


def test_one_of_several_gold_queries_is_enough(shop, tmp_path, capsys):
    """The metrics are those under the query that it agrees with best; failing ones come last."""
    swapped, ghost = "SELECT price, name FROM item", "SELECT x"
    lines = [line(swapped, PAIRS, swapped), line(PAIRS, ghost, PAIRS), line("SELECT 7", ghost)]
    lines += [line("SELECT 7", PAIRS, ghost), line(swapped, PAIRS, "SELECT 7")]
    rows = tmp_path / "rows.jsonl"
    score(tmp_path, [write_lines(tmp_path / "p.jsonl", lines)], rows=rows, json=True, repeat=0)
    answer = json.loads(capsys.readouterr().out)
    assert answer["counts"] == {
        "rows": 5, "gold_empty": 0, "right": 2, "gold_fails": 1, "wrong": 2,
    }  # fmt: skip
    assert answer["metrics"]["execution_match"]["value"] == 0.75
    assert [each["gold"] for each in read_jsonl(rows)] == [swapped, PAIRS, ghost, PAIRS, PAIRS]


def test_what_a_corrected_gold_query_changes(shop, tmp_path, capsys):
    """Two models change their ranks; the one whose prediction becomes right leads."""
    ids = "SELECT id FROM item"
    old = write_lines(tmp_path / "old.txt", [f"{sql}\tshop" for sql in (NAMES, ids, "SELECT x")])
    new = write_lines(tmp_path / "new.txt", [f"{NAMES}\tshop"] * 3)
    one = write_lines(tmp_path / "one.txt", [NAMES, ids, ids])
    other = write_lines(tmp_path / "two.jsonl", [line(NAMES, "")] * 3)
    files, rows = ([one, other], [old, new]), tmp_path / "rows.jsonl"
    assert score(tmp_path, *files, json=True, rows=rows) == 1, "a third of the old gold SQL fails"
    answer = json.loads(capsys.readouterr().out)
    names = ("predictions", "gold", "value", "rank", "difference", "n")
    names += ("gold_fails", "now_right", "now_wrong")
    assert [[line[name] for name in names] for line in answer["ranking"]] == [
        [str(one), str(old), 1, 1, None, 2, 1, 0, 0],
        [str(other), str(old), 0.5, 2, -0.5, 2, 1, 0, 0],
        [str(one), str(new), 1 / 3, 2, 1 / 3 - 1, 3, 0, 0, 1],
        [str(other), str(new), 1, 1, None, 3, 0, 2, 0],
    ]
    judged = pd.read_json(rows, lines=True)
    assert judged.groupby(["predictions_file", "gold_file"]).size().tolist() == [3] * 4
    assert score(tmp_path, *files, max_failing_golds=0.2) == 0
    assert capsys.readouterr().out.split("\n")[4].split()[:3] == [str(new), str(other), "1"]
    write_lines(new, ["SELECT 1\tshop", "", "SELECT 1\tshop", "SELECT 1\tshop"])
    with pytest.raises(EssenceError, match=r"holds 3 predictions and .*new.txt gold SQL of 4"):
        score(tmp_path, *files)


def test_gold_sql_alone_is_checked(shop, tmp_path, capsys):
    slow, nobody = f"{ENDLESS} ", f"{NAMES} WHERE price > 100"
    queries = ["SELECT 1;", [NAMES, nobody], slow, "SELECT ghost FROM item"]
    gold = tmp_path / "dev.json"
    gold.write_text(json.dumps([{"db_id": "shop", "SQL": sql} for sql in queries]))
    assert score(tmp_path, gold=[gold], seconds=0.5) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "5 gold queries; fail or return nothing: 3",
        f"{gold}, entry 2, shop: returns nothing: {nobody}",
        f"{gold}, entry 3, shop: no answer within 0.5 s of processor time: {slow}",
        f"{gold}, entry 4, shop: no such column: ghost: SELECT ghost FROM item",
    ]


def test_outputs_never_replace_an_input(shop, tmp_path):
    predictions = write_lines(tmp_path / "p.jsonl", [GOOD_LINE])
    gold = write_lines(tmp_path / "gold.txt", ["SELECT 1\tshop"])
    answers = write_lines(tmp_path / "predict.txt", ["SELECT 1"])
    (tmp_path / "link.jsonl").symlink_to(predictions)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for given, of_gold, rows in (
        *((predictions, [], tmp_path / name) for name in ("p.jsonl", "link.jsonl", "")),
        (answers, [gold], gold),
        (predictions, [], shop),
        (predictions, [], Path("/dev/full")),
    ):
        with pytest.raises(EssenceError, match="name another file"):
            score(tmp_path, [given], of_gold, rows=rows)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_metrics_load_through_evaluate_from_any_folder(shop, tmp_path, monkeypatch):
    import evaluate  # takes a second

    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", tmp_path / "modules")
    monkeypatch.chdir(tmp_path)

    def load(name):
        module = str(ROOT / "workflow_scripts/metrics/essence.py")
        return evaluate.load(module, name, cache_dir=str(tmp_path / "cache"))

    gold, shops = [NAMES, "SELECT price FROM item"], {"databases": [str(shop)] * 2}
    of_sql = {"predictions": ["select NAME from item;", "SELECT 1"], "references": gold}
    choice = [render_selector({"item": "keep_all"})]
    chosen = {"predictions": choice, "references": choice, "schemas": [SCHEMA], "gold_sql": [""]}
    repaired = {"predictions": gold, "references": gold, "old_sql": ["SELECT 1", "SELECT x"]}
    for name, given, expected in (
        ("rouge_l", {"predictions": ["a b", "c"], "references": ["a b", "d"]}, {"rouge_l": 0.5}),
        ("execution", of_sql | shops | {"repeat": 0}, {"execution_accuracy": 0.5}),
        ("selector", chosen, {"column_f1": 1, "valid_json": 1}),
        ("refiner", repaired | shops, {"fix_rate": 1, "unchanged_rate": 0}),
    ):
        assert load(name).compute(**given).items() >= expected.items(), name
    with pytest.raises(ValueError, match="no metric 'bleu'; there are exact_match"):
        load("bleu")
