"""Predictions as people have them: every format gives the same records."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow_scripts.data.prediction_files import BIRD_SEPARATOR, read_predictions
from workflow_scripts.errors import EssenceError

GOLD_QUERIES = [("shop", "SELECT 1"), ("shop", "SELECT 'a b' FROM item"), ("farm", "SELECT 3")]
ANSWERS = ["SELECT 1", None, 'SELECT "x",\n3']
EXPECTED = [(*gold, answer) for gold, answer in zip(GOLD_QUERIES, ANSWERS, strict=True)]
RECORDS = [
    {"db_id": db_id, "question": "Which, one?", "gold": gold, "prediction": answer}
    for db_id, gold, answer in EXPECTED
]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def records(path: Path, gold: Path | None = None) -> list[tuple]:
    found = [line for _, line in read_predictions(path, gold)]
    return [(line.db_id, *line.gold, line.prediction) for line in found]


def test_json_lines_a_json_array_csv_and_parquet_say_the_same(tmp_path):
    lines = write(tmp_path / "p.jsonl", "\n".join(map(json.dumps, RECORDS)))
    array = write(tmp_path / "p.json", json.dumps(RECORDS, indent=1))
    pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "p.parquet")
    pd.DataFrame(RECORDS).to_csv(tmp_path / "p.csv", index=False, encoding="utf-8-sig")
    for path in (lines, array, tmp_path / "p.parquet"):
        assert records(path) == records(path, gold=path) == EXPECTED
    assert records(tmp_path / "p.csv") == [(*g, a or "") for *g, a in EXPECTED]


def test_the_pair_of_spider(tmp_path):
    lines = [f"{sql}\t{db_id}\n" for db_id, sql in GOLD_QUERIES]
    gold = write(tmp_path / "gold.txt", "\ufeff" + "".join(lines))
    predicted = write(tmp_path / "predict.txt", "SELECT 1\tshop\n\nSELECT 3\n\n")
    assert [row[2] for row in records(predicted, gold)] == ["SELECT 1", None, "SELECT 3"]
    dialogues = write(tmp_path / "dialogues.txt", "\n".join(["".join(lines[:2]), lines[2]]))
    answers = write(tmp_path / "answers.txt", "SELECT 1\nSELECT 2\n\nSELECT 3\n")
    assert len(records(answers, dialogues)) == 3


@pytest.mark.parametrize("gold_file", ["dev.json", "dev.sql"])
def test_the_pair_of_bird(tmp_path, gold_file):
    text = "\n".join(f"{sql}\t{db_id}" for db_id, sql in GOLD_QUERIES)
    if gold_file == "dev.json":
        text = json.dumps([{"db_id": db_id, "SQL": sql} for db_id, sql in GOLD_QUERIES])
    answers = {"2": ANSWERS[2] + BIRD_SEPARATOR + "farm", "0": "SELECT 1" + BIRD_SEPARATOR + "shop"}
    predicted = write(tmp_path / "predict_dev.json", json.dumps(answers | {"1": 0}))
    assert records(predicted, write(tmp_path / gold_file, text)) == EXPECTED


@pytest.mark.parametrize(
    "name, text, gold, words",
    [
        ("p.txt", "SELECT 1", None, "needs --gold"),
        ("p.json", '{"0": "SELECT 1"}', None, "need --gold"),
        ("p.txt", "SELECT 1\nSELECT 2", "SELECT 1\tshop", "2 predictions and .* 1 questions"),
        ("p.txt", "SELECT 1", "SELECT 1 shop", "line 1: no tab"),
        ("p.txt", "SELECT 1\nSELECT 2", "\nSELECT 1\tshop", "line 1: no gold SQL"),
        ("p.csv", "db_id,gold\nshop,SELECT 1", None, "line 2: prediction: "),
        ("p.json", '[{"db_id": "shop"}]', None, "entry 1: gold: "),
        ("p.parquet", "db_id", None, "not a Parquet file"),
        ("p.jsonl", "", None, "no predictions"),
        ("p.jsonl", '{"gold": "a", "gold": "b"}', None, "line 1: the key 'gold' comes more"),
        ("p.csv", "db_id,gold,gold\nshop,a,b", None, "line 1: a column comes more than once"),
        ("p.json", "[1,\n", "SELECT 1\tshop", "p.json, line 2: not JSON"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, name, text, gold, words):
    file = write(tmp_path / "gold.txt", gold) if gold else None
    with pytest.raises(EssenceError, match=words):
        read_predictions(write(tmp_path / name, text), file)


@pytest.mark.parametrize("name", ["p.json", "p.csv", "p.parquet"])
def test_files_in_another_form_are_named_with_the_cure(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"[]", mtime=0))
    for files in ((tmp_path / name,), (write(tmp_path / "p.txt", "SELECT 1"), tmp_path / name)):
        with pytest.raises(EssenceError, match="gzip; convert it first: gunzip"):
            read_predictions(*files)
