"""Easy questions about real databases: each has SQL that returns something."""

import sqlite3

import pytest
import yaml
from material import ROOT, SHARED

from tools.ask_trial import QUESTIONS, trial
from workflow_scripts.agents.loop import Answer


def test_there_are_fifty_questions_about_five_databases():
    questions = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))
    assert len(questions) == 5 and {len(each) for each in questions.values()} == {10}
    settings = yaml.safe_load((ROOT / "configs/smollm2_spider.yaml").read_text(encoding="utf-8"))
    assert set(questions) <= set(settings["test_set"]["unseen_databases"])


def test_answers_are_counted_by_what_they_return(tmp_path, monkeypatch, capsys):
    """Of two questions one is answered right, by a model that always says the same."""
    (tmp_path / "shop").mkdir()
    with sqlite3.connect(tmp_path / "shop/shop.sqlite") as shop:
        shop.executescript("CREATE TABLE wine (name); INSERT INTO wine VALUES ('a'), ('b')")
    questions = {
        "shop": {"How many?": "SELECT COUNT(*) FROM wine", "Which?": "SELECT name FROM wine"}
    }
    (tmp_path / "questions.yaml").write_text(yaml.safe_dump(questions), encoding="utf-8")
    monkeypatch.setattr("tools.ask_trial.QUESTIONS", tmp_path / "questions.yaml")

    class Same:
        def answer(self, prompts, beginnings=()):
            sql = "```sql\nSELECT COUNT(*) FROM wine\n```"
            return [Answer(f"Sub question 1: How many?\nSQL\n{sql}\n") for _ in prompts]

    monkeypatch.setattr("tools.ask_trial.load_back_end", lambda *_: Same())
    trial(tmp_path)
    assert "1 right, 1 wrong, 0 refused of 2" in capsys.readouterr().out


@pytest.mark.skipif(SHARED is None, reason="Spider's databases are not here")
def test_every_question_has_an_answer():
    for name, pairs in yaml.safe_load(QUESTIONS.read_text(encoding="utf-8")).items():
        file = SHARED / "data/spider/database" / name / f"{name}.sqlite"
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            for words, sql in pairs.items():
                rows = database.execute(sql).fetchall()
                assert rows and rows != [(None,)], words
