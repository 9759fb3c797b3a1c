"""The project's own files agree with each other, and its two commands say what they miss."""

import ast
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import fresh_clone

from tools import conda_pins

ROOT = Path(__file__).resolve().parent.parent


def test_conda_has_the_locks_pins():
    assert conda_pins.ENVIRONMENT.read_text() == conda_pins.environment(), (
        "run: python -m tools.conda_pins"
    )


def test_the_lock_pins_what_is_used_and_what_is_installed():
    pinned = dict(pin.split("==") for pin in conda_pins.pins())
    assert pinned["torch"] == "2.13.0"
    wanted = re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    names = {name.lower().replace("_", "-"): name for name in pinned}
    for name in wanted:
        assert version(name).split("+")[0] == pinned[names[name.lower()]], name


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["snakefmt", "--check", "Snakefile", "rules"],
        ["snakemake", "--lint"],
        ["lint-imports"],
        ["codespell"],
    ],
    ids=" ".join,
)
def test_style(command):
    done = subprocess.run(
        [Path(sys.executable).parent / command[0], *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# What codespell's list (resources/plain_english.txt) cannot say: phrases, and words that are names
# in code.
PRIVATE_WORDS = re.compile(r"\b(at hand|in hand|(?<!-)golds|told|held to)\b", re.IGNORECASE)
READ_BY_PEOPLE = ["README.md", "CHANGELOG.md", "config.yaml", "resources/*.yaml"]
READ_BY_PEOPLE += ["docs/*.md", "configs/*.yaml", "rules/*.smk"]
READ_BY_PEOPLE += ["workflow_scripts/report/templates/*.md", "workflow_scripts/report/*/*.html"]


def docstrings(path: Path) -> str:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    texts = (ast.get_docstring(node) for node in nodes if isinstance(node, documented))
    return "\n".join(filter(None, texts))


def test_what_people_read_is_in_plain_english():
    texts = {
        path: path.read_text(encoding="utf-8")
        for pattern in READ_BY_PEOPLE
        for path in ROOT.glob(pattern)
    }
    modules = ROOT.glob("workflow_scripts/**/*.py")
    texts |= {path: docstrings(path) for path in modules}
    used = [
        f"{path.relative_to(ROOT)}: {words[0]}"
        for path, text in texts.items()
        for words in PRIVATE_WORDS.finditer(text)
    ]
    assert len(texts) > 100 and used == []


@pytest.mark.parametrize(
    ("python", "said"),
    [("", "essence needs Python 3.11 or newer"), ("./no-venv", "has no venv module")],
)
def test_make_says_what_is_missing_and_how_to_get_it(tmp_path, python, said):
    project = fresh_clone(tmp_path / "essence").folder
    (project / "no-venv").write_text("#!/bin/sh\nexit 1\n")
    (project / "no-venv").chmod(0o755)
    done = subprocess.run(["make", f"PYTHON={python}"], cwd=project, capture_output=True, text=True)
    assert done.returncode
    assert said in done.stderr
    assert "apt-get install" in done.stderr
    assert not (project / ".venv").exists()


def test_make_does_not_empty_an_environment_that_is_linked(tmp_path):
    project, shared = fresh_clone(tmp_path / "essence").folder, tmp_path / "shared"
    shared.mkdir()
    (shared / "package.py").touch()
    (project / ".venv").symlink_to(shared)
    done = subprocess.run(["make"], cwd=project, capture_output=True, text=True)
    assert done.returncode and "rm .venv" in done.stderr
    assert (shared / "package.py").exists()
