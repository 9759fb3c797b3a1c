"""Predictions as people have them: every format gives the same records."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow_scripts.data.prediction_files import BIRD_SEPARATOR, read_predictions
from workflow_scripts.errors import EssenceError

GOLDS = [("shop", "SELECT 1"), ("shop", "SELECT name, 'a b' FROM item"), ("farm", "SELECT 3")]
ANSWERS = ["SELECT 1", None, 'SELECT "x",\n3']
RECORDS = [
    {"db_id": db_id, "question": f"Which, {place}?", "gold": gold, "prediction": answer}
    for place, ((db_id, gold), answer) in enumerate(zip(GOLDS, ANSWERS, strict=True))
]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def records(path: Path, gold: Path | None = None) -> list[tuple]:
    found = [line for _, line in read_predictions(path, gold)]
    return [(line.db_id, line.gold, line.prediction) for line in found]


EXPECTED = [(*gold, answer) for gold, answer in zip(GOLDS, ANSWERS, strict=True)]


def test_json_lines_a_json_array_csv_and_parquet_say_the_same(tmp_path):
    lines = write(tmp_path / "p.jsonl", "\n".join(map(json.dumps, RECORDS)))
    array = write(tmp_path / "p.json", json.dumps(RECORDS, indent=1))
    pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "p.parquet")
    with open(tmp_path / "p.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, RECORDS[0])
        writer.writeheader()
        writer.writerows(RECORDS)
    for path in (lines, array, tmp_path / "p.parquet"):
        assert records(path) == EXPECTED
    assert records(tmp_path / "p.csv") == [(*g, a or "") for *g, a in EXPECTED]


def test_the_pair_of_spider(tmp_path):
    gold = write(tmp_path / "gold.txt", "".join(f"{sql}\t{db_id}\n" for db_id, sql in GOLDS))
    predicted = write(tmp_path / "predict.txt", "SELECT 1\tshop\n\nSELECT 3\n\n")
    assert [row[2] for row in records(predicted, gold)] == ["SELECT 1", None, "SELECT 3"]
    dialogues = write(
        tmp_path / "dialogues.txt", gold.read_text().replace("\nSELECT 3", "\n\nSELECT 3")
    )
    answers = write(tmp_path / "answers.txt", "SELECT 1\nSELECT 2\n\nSELECT 3\n")
    assert len(records(answers, dialogues)) == 3


@pytest.mark.parametrize("golds", ["dev.json", "dev.sql"])
def test_the_pair_of_bird(tmp_path, golds):
    dev = [{"question_id": 7, "db_id": db_id, "SQL": sql, "evidence": ""} for db_id, sql in GOLDS]
    text = json.dumps(dev) if golds == "dev.json" else "\n".join(f"{g}\t{d}" for d, g in GOLDS)
    answers = {"2": ANSWERS[2] + BIRD_SEPARATOR + "farm", "0": "SELECT 1" + BIRD_SEPARATOR + "shop"}
    predicted = write(tmp_path / "predict_dev.json", json.dumps(answers | {"1": 0}))
    assert records(predicted, write(tmp_path / golds, text)) == EXPECTED


@pytest.mark.parametrize(
    "name, text, gold, words",
    [
        ("p.txt", "SELECT 1", None, "needs --gold"),
        ("p.json", '{"0": "SELECT 1"}', None, "need --gold"),
        ("p.txt", "SELECT 1\nSELECT 2", "SELECT 1\tshop", "2 predictions and .* 1 golds"),
        ("p.txt", "SELECT 1", "SELECT 1 shop", "line 1: no tab"),
        ("p.txt", "SELECT 1\nSELECT 2", "\nSELECT 1\tshop", "line 1: no gold SQL"),
        ("p.csv", "db_id,gold\nshop,SELECT 1", None, "line 2: prediction: "),
        ("p.json", '[{"db_id": "shop"}]', None, "entry 1: gold: "),
        ("p.parquet", "db_id", None, "not a Parquet file"),
        ("p.jsonl", "", None, "no predictions"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, name, text, gold, words):
    file = write(tmp_path / "gold.txt", gold) if gold else None
    with pytest.raises(EssenceError, match=words):
        read_predictions(write(tmp_path / name, text), file)
