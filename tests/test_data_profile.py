"""Section 3.1's analysis: each check finds what it is for, and nothing on sound rows."""

import statistics

import pytest
import sample_rows as made
from material import ROOT

from workflow_scripts.data.profile import CHECKS, anomalies_of, profile_stage
from workflow_scripts.data.rows import row_from
from workflow_scripts.files import read_json
from workflow_scripts.formats.answers import render_decomposer, render_selector
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.tables import LENGTHS, read_table
from workflow_scripts.text.tokenizers import load_tokenizer

TOKENIZER = ROOT / "resources/models/standin/tokenizer.json"
SQL = "SELECT COUNT(*) FROM goat_1 WHERE age > 1"


@pytest.fixture
def profiled(tmp_path):
    """Profile raw rows; gives the profile and the lengths."""

    def do(rows, tokenizer=TOKENIZER):
        out = [tmp_path / "profile.json", tmp_path / "lengths.parquet"]
        profile_stage(made.rows_parquet(tmp_path, rows), tokenizer, *out)
        return read_json(out[0]), read_table(out[1], LENGTHS)

    return do


def odd(task="Decomposer", answer=None, **changes):
    """What is found on one row with this answer or these prompt fields."""
    return dict(anomalies_of(row_from(made.raw(1, task, 1, 1, assistant=answer, **changes), 1)))


def decomposed(sql):
    return render_decomposer([("What?", sql)])


def selected(**choices):
    return {"task": "Selector", "answer": render_selector(choices)}


FINDINGS = [
    ("blank question", {"question": ""}, ""),
    ("unknown table", {"answer": decomposed("SELECT a FROM goat_1 JOIN pigs")}, "pigs"),
    ("unknown table", selected(pig="keep_all"), "pig"),
    ("unknown column", selected(goat_1=["size"]), "goat_1.size"),
    ("nothing kept", selected(goat_1="drop_all"), ""),
    ("SQL not parsed", {"answer": decomposed("SELECT ((")}, "SELECT (("),
    ("unchanged SQL", {"task": "Refiner", "old_sql": SQL.replace(" ", "\n ")}, SQL),
    ("unusual end", {"answer": decomposed(SQL) + "\nBye"}, "Bye"),
    ("odd character", {"answer": decomposed("SELECT '\ufffd' FROM goat_1")}, "U+FFFD in target"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "detail"), FINDINGS)
def test_each_anomaly_is_found_alone(kind, changes, detail):
    found = odd(**changes)
    assert list(found) == [kind]
    assert detail in found[kind]


def test_a_sound_row_has_none_whatever_names_its_tables():
    assert {kind for kind, _, _ in FINDINGS} == set(CHECKS["anomalies"]), "each is tested above"
    assert [odd(task) for task in TASKS] == [{}] * 3
    for sql in (
        "WITH old AS (SELECT id FROM goat_1) SELECT COUNT(*) FROM old",
        "SELECT `id` FROM `GOAT_1` AS T1 WHERE T1.`id` IN (SELECT id FROM keeper_1)",
        "SELECT name FROM sqlite_master",
    ):
        assert odd(answer=decomposed(sql)) == {}


def test_duplicates_are_counted_by_kind(profiled):
    rows = [
        made.raw(1, "Decomposer", 1, 1),
        made.raw(2, "Decomposer", 1, 1),  # the same row again
        made.raw(3, "Decomposer", 1, 1, evidence="none"),  # the same question and SQL
        made.raw(4, "Decomposer", 1, 1, question="And how many?"),  # the same SQL
        made.raw(5, "Selector", 1, 1),  # the same question, asked of another agent
        # the same prompt, another answer
        made.raw(6, "Decomposer", 1, 1, assistant=decomposed("SELECT 7 FROM goat_1")),
    ]
    report, _ = profiled(rows)
    duplicates = report["duplicates"]
    counts = {kind: finding["rows"] for kind, finding in duplicates.items()}
    assert counts == {"source": 2, "source and target": 1, "question": 3, "gold SQL": 3}
    (example,) = duplicates["source and target"]["examples"]
    assert example == {"idx": 2, "line": 2, "detail": "as idx 1"}
    assert duplicates["question"]["by_task"]["Selector"] == 0
    assert report["questions"] == {"different": 2, "asked_in_several_tasks": 1}


def test_rows_are_counted_once_with_a_few_examples_and_so_are_empty_fields(profiled):
    rows = [made.raw(n, task, 1, n, evidence="") for n, task in enumerate([*TASKS, "Selector"])]
    report, _ = profiled(rows)
    assert report["tasks"] == {"Selector": 2, "Decomposer": 1, "Refiner": 1}
    assert report["shares"]["Selector"] == 0.5
    assert report["empty"]["Selector"]["evidence"] == 2
    assert [task for task in TASKS if "old_sql" in report["empty"][task]] == ["Refiner"]
    two_unknown = selected(pig="keep_all", cow="keep_all")["answer"]
    rows = [made.raw(n, "Selector", 1, n, assistant=two_unknown) for n in range(20)]
    report, _ = profiled(rows)
    unknown = report["anomalies"]["unknown table"]
    assert unknown["rows"] == unknown["by_task"]["Selector"] == 20
    assert [example["idx"] for example in unknown["examples"]] == [0, 1, 2, 3, 4]


def test_lengths_of_every_row_and_their_quartiles(profiled):
    """No cut, and an end mark; the quartiles are those of Python's statistics."""
    rows = [made.raw(9 - n, TASKS[n % 3], 1, n) for n in range(9)]
    report, lengths = profiled(rows)
    assert lengths.idx.tolist() == list(range(1, 10))
    encode = load_tokenizer(TOKENIZER.parent, "stock").encode
    answers = [row["messages"][2]["content"] for row in rows[::-1]]
    assert lengths.target_tokens.tolist() == [len(encode(text)) for text in answers]
    words, said = lengths.source_words, report["lengths"]["source_words"]["all"]
    quartiles = statistics.quantiles(words, n=4, method="inclusive")
    assert [said[name] for name in ("25%", "50%", "75%")] == pytest.approx(quartiles)
    assert [said[name] for name in ("count", "min", "max")] == [9, words.min(), words.max()]


def test_real_rows_with_a_real_tokenizer(profiled, real_rows):
    report, _ = profiled(real_rows.records, real_rows.tokenizer / "tokenizer.json")
    assert report["tasks"] == {"Selector": 3, "Decomposer": 2, "Refiner": 0}
    assert not any(each["rows"] for each in report["anomalies"].values())
    assert not any(each["rows"] for each in report["duplicates"].values())
    assert report["questions"] == {"different": 3, "asked_in_several_tasks": 2}
    tokens = report["lengths"]["source_tokens"]
    assert 1672 <= tokens["all"]["min"] < tokens["Selector"]["max"] < tokens["Decomposer"]["min"]
    assert tokens["Decomposer"]["max"] <= 3276  # the published range
