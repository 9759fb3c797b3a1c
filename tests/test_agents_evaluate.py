"""The agents end to end: each setup changes what it says, equal prompts are answered once."""

import pytest
import tiny_model
from material import made_database
from test_agents_loop import SHOP, Scripted, decomposed, fenced
from test_metrics_score_runs import row

from workflow_scripts.agents import evaluate as stage
from workflow_scripts.agents.evaluate import ALL, SETUPS
from workflow_scripts.agents.loop import Answer, Loop, read_schema
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_jsonl, write_json
from workflow_scripts.formats.answers import render_selector
from workflow_scripts.formats.prompts import parse_prompt
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


class Agents(Scripted):
    """Selector: nonsense; Decomposer: as GOLD says above; Refiner: the gold of items."""

    def __init__(self, *_):
        super().__init__(Selector="?", Decomposer="", Refiner=fenced(GOLD["Which items?"]))

    def _next(self, prompt: str) -> Answer:
        known = {"Which towns?": GOLD["Which towns?"], "Which items?": BROKEN}
        sql = known.get(parse_prompt(prompt).question, "SELECT 1")
        self.answers["Decomposer"] = [decomposed(sql)]
        return super()._next(prompt)


@pytest.fixture
def given(tmp_path, monkeypatch):
    """The stage's arguments for five questions of one database; one row has no database."""
    monkeypatch.setattr(stage, "FineTuned", Agents)
    schema = read_schema(made_database(tmp_path / "shop.sqlite", SHOP))
    items = GOLD["Which items?"]
    rows = [row(0, "Selector", render_selector({"shop": "keep_all"}), question="Which towns?")]
    asked = {**GOLD, "What price?": FAILING, "Unlinked?": "SELECT 1"}
    rows += [
        row(idx, "Decomposer", decomposed(sql), sql, question)
        for idx, (question, sql) in enumerate(asked.items(), 1)
    ]
    rows[-1] = rows[-1]._replace(database=None)
    rows += [row(9, "Refiner", fenced(items), items, "Fix the items.", BROKEN)]
    texts = {"schema": schema.text, "foreign_keys": schema.foreign_keys_text}
    file = tmp_path / "rows.parquet"
    write_table(file, [each._replace(**texts) for each in rows], ROWS)
    return {
        "settings": tiny_model.settings(),
        "model": tmp_path / "model",
        "loop": Loop(),
        "questions": 10,
        "rows": file,
        "databases": tmp_path,
        "outcomes": tmp_path / "outcomes.parquet",
        "traces": tmp_path / "traces.jsonl",
        "test": file,
    }


def test_each_setup_changes_what_it_says_the_same_every_time(given, tmp_path):
    files = given["outcomes"], given["traces"]
    stage.evaluate(**given)
    outcomes = read_table(given["outcomes"], OUTCOMES)
    right = outcomes.pivot(index="setup", columns="question", values="right")
    asked = right.drop("broken gold")
    assert (asked["Which items?"] == (asked.index != "without Refiner")).all()
    assert (asked["Which towns?"] == 1).all()
    assert (asked["How many sales?"] == (asked.index == "gold Decomposer")).all()
    assert right["What price?"].isna().all() and "Unlinked?" not in right
    broken = outcomes[outcomes.setup == "broken gold"]
    assert broken.right.tolist() == [1.0] and broken.repairs.tolist() == [1]
    traces = list(read_jsonl(given["traces"]))
    assert [trace["question"] for trace in traces] == [*GOLD, "What price?"], "of all agents"
    before = [file.read_bytes() for file in files]
    stage.evaluate(**given)
    assert [file.read_bytes() for file in files] == before

    scores = agent_scores(outcomes)
    best = {"recipe": "mine", "run": "one", "seed": 1, "ranking": []}
    write_json(tmp_path / "best_runs.json", {"recipes": {"mine": best}})
    write_csv(tmp_path / "agents.csv", scores)
    scores = scores.set_index("setup")
    assert list(scores.index) == [setup.name for setup in SETUPS]
    together, without = scores.loc["all agents"], scores.loc["without Refiner"]
    assert (together.n, round(together.value, 3)) == (3, 0.667)
    assert round(without.difference, 3) == -0.333 and without.difference_low < -0.333
    text = sections.agents(tmp_path, *files, "mine")
    assert "the run one of the recipe mine" in text and "no such column: itm" in text


def test_questions_are_spread_over_the_rows(given):
    stage.evaluate(**given | {"questions": 2})
    outcomes = read_table(given["outcomes"], OUTCOMES)
    questions = outcomes[outcomes.setup == ALL.name].question
    assert questions.tolist() == ["Which towns?", "How many sales?"]
    with pytest.raises(EssenceError, match="nothing to ask"):
        stage.evaluate(**given | {"test": None})
