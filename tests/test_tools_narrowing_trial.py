"""The trial of narrowing joins databases to one schema and counts what stays."""

import json

from material import made_database
from test_agents_loop import SHOP

from tools.narrowing_trial import narrowing_trial

PARTS = "CREATE TABLE part (part_id INTEGER, colour TEXT); CREATE TABLE maker (maker TEXT);"


def test_needed_tables_are_counted(tmp_path, capsys):
    for name, script in {"shops": SHOP, "parts": PARTS, "again": PARTS, "sold": SHOP}.items():
        made_database(tmp_path / f"{name}.sqlite", script)
    questions = [
        {"db_id": "shops", "question": "Which towns?", "query": "SELECT town FROM shop"},
        {"db_id": "shops", "question": "Who?", "query": "SELECT buyer FROM sale NATURAL JOIN shop"},
        {"db_id": "parts", "question": "Which colour?", "query": "SELECT colour FROM part"},
        {"db_id": "elsewhere", "question": "Which?", "query": "SELECT x FROM y"},
    ]
    (tmp_path / "questions.json").write_text(json.dumps(questions))
    narrowing_trial(tmp_path, tmp_path / "questions.json", keep=[1, 4])
    answer = json.loads(capsys.readouterr().out)
    assert (answer["questions"], answer["tables"]) == (3, 4.0), "no table of a name twice"
    assert answer["all_needed_tables_stay"]["4"] == 1
    assert 0 < answer["all_needed_tables_stay"]["1"] < 1
    assert answer["characters_narrowed"]["1"] < answer["characters"]
