"""`pip install` in a fresh environment: the command `essence`, without the clone and torch."""

import json
import subprocess
import sys

import material
import pytest
from material import ROOT

pytestmark = pytest.mark.slow
STANDIN = ROOT / "resources/models/standin"


@pytest.fixture(scope="module")
def essence(tmp_path_factory):
    """Calls the installed command in an empty folder."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    install = [folder / "venv/bin/pip", "install", "--quiet", str(ROOT)]
    subprocess.run(install, check=True, capture_output=True)

    def call(*words: object) -> subprocess.CompletedProcess:
        command = [folder / "venv/bin/essence", *map(str, words)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    return call


def test_fit_knows_the_recipes_of_the_project(essence, twin):
    rows = twin / "rows.jsonl"
    audit = ("fit", "--rows", rows, "--tokenizer", STANDIN, "--recipe", "as_written", "--json")
    done = essence(*audit)
    assert done.returncode == 0 and "PyTorch" not in done.stderr, done.stderr
    assert json.loads(done.stdout)["rows"] == 3375


def test_questions_are_built_into_rows_and_their_gold_sql_is_right(essence, tmp_path):
    databases = material.databases_of("awkward", tmp_path)
    built = tmp_path / "rows.jsonl"
    shared = ("--questions", databases.questions, "--databases", databases.folder)
    done = essence("build", "--format", "spider", *shared, "--out", built)
    assert done.returncode == 0 and built.stat().st_size, done.stderr
    predictions = tmp_path / "predictions.json"
    given = [{**each, "prediction": each["query"]} for each in databases.sample(3, seed=1)]
    predictions.write_text(json.dumps(given))
    rows, page = tmp_path / "verdicts.jsonl", tmp_path / "errors.html"
    scored = ("--predictions", predictions, "--databases", databases.folder, "--rows", rows)
    done = essence("score", *scored)
    assert done.returncode == 0 and "execution_accuracy" in done.stdout, done.stdout + done.stderr
    done = essence("browse", "--rows", rows, "--databases", databases.folder, "--page", page)
    assert done.returncode == 0 and "0 of 3 predictions" in page.read_text(), done.stderr


def test_help_and_what_is_missing(essence, twin):
    assert "essence score" in essence().stdout
    assert essence("nothing").returncode == 2
    assert "usage: essence ask" in essence("ask", "--help").stdout
    database = next((twin / "databases").glob("*/*.sqlite"))
    done = essence("ask", database, "How many?", "--model", STANDIN)
    assert done.returncode and done.stderr.startswith("error: "), done.stderr
    assert "is not installed" in done.stderr and "pip install '.[ask]'" in done.stderr
