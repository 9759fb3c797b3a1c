"""Asking as a user does: the answer, the refusal, and one message for what cannot be asked."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from material import ROOT
from test_agents_loop import GOOD, SHOP, Scripted, decomposed, fenced, made

from workflow_scripts.agents import ask as command
from workflow_scripts.agents.asking import LONGEST, find_model
from workflow_scripts.artifacts.agents import Loop, Trace
from workflow_scripts.errors import EssenceError
from workflow_scripts.runs import BestRun, BestRuns, Training

STANDIN = ROOT / "resources/models/standin"


@pytest.fixture
def shop(tmp_path) -> Path:
    return made(tmp_path / "my shop.sqlite", SHOP)


@pytest.fixture
def asked(monkeypatch, shop, capsys):
    """Ask a scripted back end; (exit code, standard output, standard error)."""

    def ask(back_end, question="Which towns?", **options):
        monkeypatch.setattr(command, "load_back_end", lambda *_: back_end)
        code = command.ask(options.pop("database", shop), question, **options)
        return code, *capsys.readouterr()

    return ask


def test_sql_and_rows_are_shown(asked):
    code, out, _ = asked(Scripted(Decomposer=GOOD))
    assert code == 0
    assert out == "SELECT town FROM shop ORDER BY 1\n\ntown\n----\nOslo\nRome\n(2 rows)\n"


def test_cells_of_all_kinds_are_shown_and_cannot_steer_the_terminal(asked):
    sql = "SELECT NULL AS a, x'00ff' AS b, 1.5 AS c, char(27) || '[31m' AS d, 'é' AS e"
    _, out, _ = asked(Scripted(Decomposer=decomposed(sql)))
    assert out.splitlines()[-2].split() == ["NULL", "x'00ff'", "1.5", "\\x1b[31m", "é"]


def test_long_results_are_cut_and_counted(asked):
    sql = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000) "
        "SELECT x, printf('%.100c', 'y') FROM n"
    )
    _, out, _ = asked(Scripted(Decomposer=decomposed(sql)))
    assert "(3,000 rows, the first 20 of them shown)" in out and "y" * 41 not in out
    _, out, _ = asked(Scripted(Decomposer=decomposed(sql)), json=True)
    did = json.loads(out)["executed"]
    assert (did["row_count"], len(did["rows"])) == (3000, 1000)


def test_no_rows_are_an_answer(asked):
    code, out, _ = asked(Scripted(Decomposer=decomposed("SELECT town FROM shop LIMIT 0")))
    assert code == 0 and out.endswith("(0 rows)\n")


@pytest.mark.parametrize(
    ("back_end", "said"),
    [
        (Scripted(Decomposer="what?"), "No answer: the model wrote no SQL."),
        (
            Scripted(Decomposer=decomposed("SELECT x"), Refiner=fenced("SELECT y")),
            "No answer: the SQL fails after 2 repairs (no such column: y).",
        ),
    ],
)
def test_a_refusal_is_clear(asked, back_end, said):
    assert asked(back_end) == (1, said + "\n", "note: --trace shows what was tried\n")
    assert asked(back_end, trace=True)[2] == ""


def test_the_trace_shows_each_agents_step(asked, monkeypatch):
    back_end = Scripted(
        Selector="no json", Decomposer=decomposed("SELECT x"), Refiner=fenced("SELECT 1")
    )
    monkeypatch.setattr(command, "read_loop", lambda _: Loop(selector="always"))
    code, out, _ = asked(back_end, trace=True)
    assert code == 0
    order = ["1. Selector", "no json", "2. Decomposer", "sub-question 1: Which?"]
    order += ["-> error: no such column: x", "3. Refiner", "-> ok: 1 rows"]
    places = [out.index(text) for text in order]
    assert places == sorted(places)


def test_constrained_reaches_the_model(shop, monkeypatch):
    given, back_end = [], Scripted(Decomposer=GOOD)
    monkeypatch.setattr(
        command, "load_back_end", lambda *options: given.append(options) or back_end
    )
    for constrained in (False, True):
        command.ask(shop, "Which?", constrained=constrained)
    assert [options[-1] for options in given] == [False, True]


def test_json_is_the_trace(asked):
    _, out, _ = asked(Scripted(Decomposer=GOOD), evidence="towns are cities", json=True)
    trace = Trace.model_validate_json(out)
    assert trace.evidence == "towns are cities" and trace.answered


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("", "the question is empty"),
        (" \n", "the question is empty"),
        ("x" * 100_000, f"100,000 characters; at most {LONGEST:,}"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_what_is_no_question(asked, question, said):
    with pytest.raises(EssenceError, match=said):
        asked(Scripted(Decomposer=GOOD), question)


def test_nothing_is_written(asked, shop):
    before = shop.read_bytes()
    shop.chmod(0o444)
    asked(Scripted(Decomposer=decomposed("DELETE FROM shop"), Refiner=fenced("DROP TABLE shop")))
    assert shop.read_bytes() == before and [*shop.parent.iterdir()] == [shop]


def test_which_model_is_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EssenceError, match="there is no results/tables/best_runs"):
        find_model(None)
    with pytest.raises(EssenceError, match="nowhere: no such model folder"):
        find_model(Path("nowhere"))
    folder, recipe = find_model(STANDIN)
    assert folder == STANDIN and recipe.name == "repaired"
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(EssenceError, match=r"bert: no model.safetensors"):
        find_model(Path("bert"))


def test_a_run_is_asked_under_its_own_recipe(tmp_path, monkeypatch, runs):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "results/runs/mine/one/seed1"
    shutil.copytree(STANDIN, run / "model")
    shutil.copy(runs[0] / "training.json", run)
    assert find_model(run) == (run / "model", Training.read(run / "training.json").settings.recipe)
    best = BestRun(recipe="mine", run="one", seed=1, ranking=[])
    pointer = tmp_path / "results/tables/best_runs.json"
    BestRuns(recipes={"repaired": best}).write(pointer)
    assert find_model(None)[0] == Path("results/runs/mine/one/seed1/model")
    BestRuns(recipes={"mine": best}).write(pointer)
    with pytest.raises(EssenceError, match="no run of the recipe repaired"):
        find_model(None)


def test_from_the_shell(shop, tmp_path):
    """The stand-in, which has learned the three tasks on other databases, answers something."""

    def run(*given):
        return subprocess.run(
            [sys.executable, "-m", "workflow_scripts.agents.ask", *map(str, given)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

    done = run(shop, "How many shops are there?", "--model", STANDIN, "--json")
    assert done.returncode in (0, 1) and done.stderr == ""
    assert Trace.model_validate_json(done.stdout).database == "my shop"
    done = run(tmp_path / "nowhere.sqlite", "How many?")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path}/nowhere.sqlite: no such file\n"
    assert run("--help").returncode == 0
