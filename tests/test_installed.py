"""`pip install` in a fresh environment: the command `essence`, without the clone and torch."""

import json
import subprocess
import sys
from pathlib import Path

import material
import pytest
from material import ROOT

pytestmark = pytest.mark.slow
STANDIN = ROOT / "resources/models/standin"


@pytest.fixture(scope="module")
def essence(tmp_path_factory):
    """Calls the installed command in a folder, which is not the project's."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    install = [venv / "bin/pip", "install", "--quiet", str(ROOT)]
    subprocess.run(install, check=True, capture_output=True)

    def call(*words: object, folder: Path = venv) -> subprocess.CompletedProcess:
        command = [venv / "bin/essence", *map(str, words)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    return call


def test_rows_are_built_audited_and_scored(essence, tmp_path):
    databases = material.databases_of("awkward", tmp_path)
    given = [{**each, "prediction": each["query"]} for each in databases.sample(3, seed=1)]
    (tmp_path / "predictions.json").write_text(json.dumps(given))
    of = f"--databases {databases.folder}"
    for command, printed in (
        (f"build --format spider --questions {databases.questions} {of} --out rows.jsonl", ""),
        (f"fit --rows rows.jsonl --tokenizer {STANDIN} --recipe as_written --json", '"rows": '),
        (f"score --predictions predictions.json {of} --rows verdicts.jsonl", "execution_accuracy"),
        (f"browse --rows verdicts.jsonl {of} --page errors.html", ""),
    ):
        done = essence(*command.split(), folder=tmp_path)
        assert done.returncode == 0 and printed in done.stdout, (command, done.stdout, done.stderr)
        assert "PyTorch" not in done.stderr
    assert "0 of 3 predictions" in (tmp_path / "errors.html").read_text()


def test_help_and_what_is_missing(essence, twin):
    assert "essence score" in essence().stdout
    assert essence("nothing").returncode == 2
    assert "usage: essence ask" in essence("ask", "--help").stdout
    database = next((twin / "databases").glob("*/*.sqlite"))
    done = essence("ask", database, "How many?", "--model", STANDIN)
    assert done.returncode and done.stderr.startswith("error: "), done.stderr
    assert "is not installed" in done.stderr and "pip install '.[ask]'" in done.stderr
