"""The agents end to end: each setup changes what it says, equal prompts are answered once."""

import pytest
import tiny_model
from material import made_database
from test_agents_loop import SHOP, decomposed, fenced

from workflow_scripts.agents import evaluate as stage
from workflow_scripts.agents.evaluate import ALL, SETUPS
from workflow_scripts.agents.loop import Answer, Loop, read_schema
from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_jsonl, sha256, write_json
from workflow_scripts.formats.prompts import Prompt, parse_prompt, render_prompt, task_of, to_source
from workflow_scripts.report import sections
from workflow_scripts.report.models import agent_scores
from workflow_scripts.tables import OUTCOMES, ROWS, read_table, write_csv, write_table

# Question -> gold SQL. The agents below answer the first at once, the second when it is repaired.
GOLD = {
    "Which towns?": "SELECT town FROM shop",
    "Which items?": "SELECT item FROM sale",
    "How many sales?": "SELECT count(*) FROM sale",
}
BROKEN = "SELECT itm FROM sale"
FAILING = "SELECT price FROM no_table"  # gold that fails


class Agents:
    """Selector: nonsense; Decomposer: as GOLD says above; Refiner: the gold of items."""

    def __init__(self, *_):
        pass

    def answer(self, prompts, beginnings):
        return [Answer(self._answer(prompt)) for prompt in prompts]

    def _answer(self, prompt: str) -> str:
        question = parse_prompt(prompt).question
        if task_of(prompt) == "Decomposer":
            answers = {"Which towns?": GOLD["Which towns?"], "Which items?": BROKEN}
            return decomposed(answers.get(question, "SELECT 1"))
        return fenced(GOLD["Which items?"]) if task_of(prompt) == "Refiner" else "?"


@pytest.fixture
def given(tmp_path):
    """The stage's arguments for five questions of one database; one row has no database."""
    schema = read_schema(made_database(tmp_path / "shop.sqlite", SHOP))
    records = [
        ("Selector", "Which towns?", '```json\n{"shop": "keep_all"}\n```', {"db_id": "shop"})
    ]
    asked = {**GOLD, "What price?": FAILING, "Unlinked?": "SELECT 1"}
    records += [("Decomposer", question, decomposed(gold), {}) for question, gold in asked.items()]
    failure = {"old_sql": BROKEN, "error": "no such column: itm", "exception_class": "x"}
    records += [("Refiner", "Fix the items.", fenced(GOLD["Which items?"]), failure)]
    rows = []
    for idx, (task, question, answer, more) in enumerate(records):
        fields = {"db_id": None, "question": question, "evidence": "", "schema": schema.text}
        fields |= {"foreign_keys": schema.foreign_keys_text} | more
        source = to_source(render_prompt(Prompt(task, **fields)))
        row = row_from({"idx": idx, "source": source, "target": answer}, idx)
        rows.append(row._replace(database=None if question == "Unlinked?" else "shop"))
    write_table(tmp_path / "rows.parquet", rows, ROWS)
    return {
        "settings": tiny_model.settings(),
        "model": tmp_path / "model",
        "loop": Loop(),
        "questions": 10,
        "rows": tmp_path / "rows.parquet",
        "databases": tmp_path,
        "outcomes": tmp_path / "outcomes.parquet",
        "traces": tmp_path / "traces.jsonl",
        "test": tmp_path / "rows.parquet",
    }


@pytest.fixture
def evaluated(given, monkeypatch):
    monkeypatch.setattr(stage, "FineTuned", Agents)
    stage.evaluate(**given)
    return given


def test_each_setup_changes_what_it_says_the_same_every_time(evaluated):
    outcomes = read_table(evaluated["outcomes"], OUTCOMES)
    right = outcomes.pivot(index="setup", columns="question", values="right")
    asked = right.drop("broken gold")
    assert (asked["Which items?"] == (asked.index != "without Refiner")).all()
    assert (asked["Which towns?"] == 1).all()
    assert (asked["How many sales?"] == (asked.index == "gold Decomposer")).all()
    assert right["What price?"].isna().all() and "Unlinked?" not in right
    broken = outcomes[outcomes.setup == "broken gold"]
    assert broken.right.tolist() == [1.0] and broken.repairs.tolist() == [1]
    traces = list(read_jsonl(evaluated["traces"]))
    assert [trace["question"] for trace in traces] == [*GOLD, "What price?"], "of all agents"
    before = sha256(evaluated["traces"]), sha256(evaluated["outcomes"])
    stage.evaluate(**evaluated)
    assert (sha256(evaluated["traces"]), sha256(evaluated["outcomes"])) == before


def test_questions_are_spread_over_the_rows(given, monkeypatch):
    monkeypatch.setattr(stage, "FineTuned", Agents)
    stage.evaluate(**given | {"questions": 2})
    outcomes = read_table(given["outcomes"], OUTCOMES)
    questions = outcomes[outcomes.setup == ALL.name].question
    assert questions.tolist() == ["Which towns?", "How many sales?"]
    with pytest.raises(EssenceError, match="nothing to ask"):
        stage.evaluate(**given | {"test": None})


def test_table_and_page(evaluated, tmp_path):
    best = {"recipe": "mine", "run": "one", "seed": 1, "ranking": []}
    write_json(tmp_path / "best_runs.json", {"recipes": {"mine": best}})
    table = agent_scores(read_table(evaluated["outcomes"], OUTCOMES))
    write_csv(tmp_path / "agents.csv", table)
    scores = table.set_index("setup")
    assert list(scores.index) == [setup.name for setup in SETUPS]
    together, without = scores.loc["all agents"], scores.loc["without Refiner"]
    assert (together.n, round(together.value, 3)) == (3, 0.667)
    assert round(without.difference, 3) == -0.333 and without.difference_low < -0.333
    text = sections.agents(tmp_path, evaluated["outcomes"], evaluated["traces"], "mine")
    assert "the run one of the recipe mine" in text and "no such column: itm" in text
