"""Asking as a user does: the answer, the refusal, and one message for what cannot be asked."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from material import ROOT, made_database
from shell import run_module
from test_agents_loop import GOOD, SHOP, Scripted, decomposed, fenced

from workflow_scripts.agents import ask as command
from workflow_scripts.agents.ask import BEST, answer_question, find_model, load_back_end
from workflow_scripts.agents.loop import LONGEST, Loop, read_question
from workflow_scripts.agents.model import BEGIN_WITH, Remote
from workflow_scripts.endpoint import Client
from workflow_scripts.errors import EssenceError
from workflow_scripts.runs import BestRun, BestRuns, Training
from workflow_scripts.sql.sandbox import Sandbox

STANDIN = ROOT / "resources/models/standin"


@pytest.fixture
def shop(tmp_path) -> Path:
    return made_database(tmp_path / "my shop.sqlite", SHOP)


@pytest.fixture
def ask(monkeypatch, shop, capsys):
    """Ask a scripted back end; (exit code, standard output, standard error)."""

    def ask(back_end, **options):
        monkeypatch.setattr(command, "load_back_end", lambda *_: back_end)
        return command.ask(shop, "Which towns?", **options), *capsys.readouterr()

    return ask


def test_sql_and_rows_of_all_kinds_are_shown_and_cannot_steer_the_terminal(ask):
    rows = "town\n----\nOslo\nRome\n(2 rows)\n"
    assert ask(Scripted(Decomposer=GOOD)) == (0, f"SELECT town FROM shop ORDER BY 1\n\n{rows}", "")
    code, out, _ = ask(Scripted(Decomposer=decomposed("SELECT town FROM shop LIMIT 0")))
    assert code == 0 and "(no row: either nothing" in out
    sql = "SELECT NULL AS a, x'00ff' AS b, 1.5 AS c, char(27) || '[31m' AS d, 'é' AS e"
    _, out, _ = ask(Scripted(Decomposer=decomposed(sql)))
    assert out.splitlines()[-2].split() == ["NULL", "x'00ff'", "1.5", "\\x1b[31m", "é"]
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000)"
    back_end = Scripted(Decomposer=decomposed(f"{numbers} SELECT x, printf('%.100c', 'y') FROM n"))
    _, out, _ = ask(back_end)
    assert "(3,000 rows, the first 20 of them shown)" in out and "y" * 41 not in out
    executed = json.loads(ask(back_end, json=True)[1])["executed"]
    assert (executed["row_count"], len(executed["rows"])) == (3000, 1000)


def test_a_refusal_is_clear_and_the_trace_shows_each_agents_step(ask, monkeypatch):
    failing = Scripted(Decomposer=decomposed("SELECT x"), Refiner=fenced("SELECT y"))
    for back_end, refusal in (
        (Scripted(Decomposer="what?"), "No answer: the model wrote no SQL."),
        (failing, "No answer: the SQL fails after 2 repairs (no such column: y)."),
    ):
        assert ask(back_end) == (1, refusal + "\nnote: --trace shows what was tried\n", "")
        assert ask(back_end, trace=True)[1].endswith(refusal + "\n")
    monkeypatch.setattr(command, "Loop", lambda **_: Loop(selector="always"))
    answers = {"Decomposer": decomposed("SELECT x"), "Refiner": fenced("SELECT 1")}
    code, out, _ = ask(Scripted(Selector="no json", **answers), trace=True)
    order = ["1. Selector", "no json", "2. Decomposer", "sub-question 1: Which?"]
    order += ["-> error: no such column: x", "3. Refiner", "-> ok: 1 rows"]
    places = [out.index(text) for text in order]
    assert code == 0 and places == sorted(places)


def test_which_model_is_asked_under_which_recipe(tmp_path, monkeypatch, runs):
    monkeypatch.chdir(tmp_path)
    folder, recipe = find_model(STANDIN)
    assert folder == STANDIN and recipe.name == "repaired"
    run = tmp_path / "results/runs/mine/one/seed1"
    shutil.copytree(STANDIN, run / "model")
    shutil.copy(runs[0] / "training.json", run)
    assert find_model(run) == (run / "model", Training.read(run / "training.json").settings.recipe)
    best = BestRun(recipe="mine", run="one", seed=1, ranking=[])
    for recipes in (None, {"mine": best}):
        if recipes:
            BestRuns(recipes=recipes).write(BEST)
        with pytest.raises(EssenceError, match=r"no model to ask: .* the recipe repaired"):
            find_model(None)
    BestRuns(recipes={"repaired": best}).write(BEST)
    assert find_model(None)[0] == Path("results/runs/mine/one/seed1/model")


def test_from_the_shell(shop, tmp_path):
    """The stand-in, which has learned the three tasks on other databases, answers something."""

    result = run_module(
        "workflow_scripts.agents.ask", shop, "How many?", "--model", STANDIN, "--json",
        "--evidence", "a", "--constrained",
    )  # fmt: skip
    assert result.returncode in (0, 1) and result.stderr == ""
    trace = json.loads(result.stdout)
    assert (trace["database"], trace["evidence"]) == ("my shop", "a")


@pytest.mark.parametrize("decomposer", [True, False])
def test_an_endpoint_gets_whole_prompts_and_is_asked_how_to_begin(shop, decomposer):
    prompts, replies = [], [decomposed("SELECT twn FROM shop"), fenced("SELECT town FROM shop")]

    def answers(conversations):
        prompts.extend(messages[-1]["content"] for messages in conversations)
        return [SimpleNamespace(text=replies[len(prompts) - 1])]

    remote = Remote(SimpleNamespace(answers=answers))
    loop = Loop(decomposer=decomposer)
    trace = answer_question(read_question(shop, "Which towns?"), loop, remote, Sandbox())
    assert trace.answered and len(remote.answers) == 2
    prompt, _, beginning = prompts[0].partition(f"\n{BEGIN_WITH}\n")
    assert [prompt, prompts[1]] == [step.prompt for step in trace.steps]
    assert "==========" in prompt, "with worked examples"
    assert beginning == ("" if decomposer else "Sub question 1: Which towns?\nSQL\n```sql")


def test_an_endpoint_or_a_question_that_cannot_be_used_is_named(shop, tmp_path):
    file, endpoint = tmp_path / "mine.yaml", "endpoint: {base_url: 'http://x/v1', model: mine}"
    one = r"mine\.yaml: no configuration file with one end"
    for text, message in (
        (None, one),
        ("", one),
        ("models: {}", one),
        (f"models: {{a: {{{endpoint}}}, b: {{{endpoint}}}}}", one),
        ("- a", one),
        ("a: [", one),
        ("models: {a: {endpoint: {model: mine}}}", r"models\.a\.endpoint: base_url"),
    ):
        if text is not None:
            file.write_text(text)
        with pytest.raises(EssenceError, match=message):
            load_back_end(None, file, 1)
    file.write_text(f"models: {{far: {{{endpoint}}}, near: {{base: here}}}}")
    client = load_back_end(None, file, 1).client
    assert isinstance(client, Client) and client.endpoint.name == "far"
    assert str(client.folder) == "resources/downloads/answers/far"
    with pytest.raises(EssenceError, match="cannot be constrained"):
        command.ask(shop, "Which?", endpoint=file, constrained=True)
    for text, message in (("x" * 100_000, f"100,000 .* at most {LONGEST:,}"), ("\udcff", "UTF-8")):
        with pytest.raises(EssenceError, match=message):
            command.ask(shop, text, endpoint=file)
