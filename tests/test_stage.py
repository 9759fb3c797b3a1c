"""A stage's signature is its command line and its rule's command."""

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import pytest
import report_files
from material import ROOT
from snakemake.utils import format as as_snakemake_does

from workflow_scripts import commands, stage
from workflow_scripts.errors import EssenceError
from workflow_scripts.report.models import tabulate_models
from workflow_scripts.settings import Recipe
from workflow_scripts.stage import Input, Operand, Option, Output, Setting

RECIPE = report_files.recipe("r").model_dump_json()
WRONG_RECIPE = RECIPE.replace("full", "half")
# Every module of the project that is a stage: (its name, its function)
OF_THE_PROJECT = [
    (".".join(path.relative_to(ROOT).with_suffix("").parts), name)
    for path in sorted([*ROOT.glob("workflow_scripts/**/*.py"), *ROOT.glob("tools/*.py")])
    for name in re.findall(r"^    run_stage\((\w+)\)$", path.read_text(), re.MULTILINE)
]


def example(
    database: Annotated[Path, Operand("a file")],
    rows: Annotated[list[Path], Input("some files")],
    out: Annotated[Path, Output("the result")],
    test: Annotated[Path | None, Input("may be missing")] = None,
    share: Annotated[float, Setting("100% at most")] = 0.5,
    recipe: Annotated[Recipe | None, Setting("how text is handled")] = None,
    names: Annotated[list[str], Setting("names")] = ("n",),
    timed: Annotated[bool, Setting("a setting of a rule")] = True,
    json: Annotated[bool, Option("print JSON")] = False,
) -> None:
    """An example."""


def given(*arguments: str) -> dict:
    required = ["db", "--rows", "a", "b c", "--out", "o"]
    return stage.arguments(example, [*required, *arguments])


def test_arguments_have_the_types_of_the_signature():
    assert given() == {
        "database": Path("db"), "rows": [Path("a"), Path("b c")], "out": Path("o"),
        "test": None, "share": 0.5, "recipe": None, "names": ("n",), "timed": True,
        "json": False,
    }  # fmt: skip
    found = given("--share", "0.1", "--recipe", RECIPE, "--names", "x", "y", "--json")
    assert found["share"] == 0.1 and found["recipe"].source_tokens == 512
    assert found["names"] == ["x", "y"] and found["json"] is True
    assert given("--timed", "False")["timed"] is False
    # Rules hand over what they have: an input that a recipe does without is empty or None.
    assert given("--test", "--share", "--names", "--recipe", "--timed") == given()
    assert given("--test", "None", "--share", "None", "--recipe", "None") == given()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows"], "expected at least one argument"),
        (["--share", "much"], "argument --share: invalid X value: 'much'"),
        (["--timed", "perhaps"], "invalid true|false value: 'perhaps'"),
        (["--sha", "0.1"], "unrecognized arguments"),
        (["--recipe", WRONG_RECIPE], "given: prompt: Input should be 'full', 'own' or 'com"),
        (["--recipe", "recipe.json"], "recipe.json: prompt: Input should be"),
        (["--recipe", "{"], "not JSON"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("recipe.json").write_text(WRONG_RECIPE)
    with pytest.raises((SystemExit, EssenceError)) as caught:
        given(*arguments)
    assert said in f"{caught.value} {capsys.readouterr().err}"


def test_a_rules_command_hands_over_what_the_rule_has():
    """Whatever signs stand in it; what a rule does without is `[]` or None."""
    names = ["a b", "it's", "*", '"quotes" & $HOME; {braces}']
    endpoints = {"font.size": 9, "a b": "it's"}
    command = as_snakemake_does(
        commands.stage_command("report.models"),
        input=SimpleNamespace(scores=names, answers=["one"], outcomes=[]),
        output=SimpleNamespace(models="it's.csv", agents=[]),
        params=SimpleNamespace(
            runs=names, base="standin", recipe=names[3], endpoints=json.dumps(endpoints)
        ),
        log=["l"],
    )
    words = shlex.split(command.partition(" > ")[0])
    words = words[words.index("workflow_scripts.report.models") + 1 :]
    paths = [Path(name) for name in names]
    assert stage.arguments(tabulate_models, words) == {
        "runs": paths, "scores": paths, "answers": [Path("one")], "base": "standin",
        "recipe": names[3], "models": Path("it's.csv"), "outcomes": None,
        "endpoints": endpoints, "agents": None,
    }  # fmt: skip


@pytest.mark.parametrize(("module", "function"), OF_THE_PROJECT)
def test_every_stage_of_the_project_explains_its_arguments(module, function, capsys):
    with pytest.raises(SystemExit) as end:
        stage.arguments(getattr(importlib.import_module(module), function), ["--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and f"python -m {module}" in said
    for name, role in commands.declared_arguments(module).items():
        assert (name.upper() if role == "Operand" else f"--{name.replace('_', '-')}") in said


def test_what_the_rules_import_is_light():
    """Snakemake reads the rules again for every job on a cluster: no torch."""
    text = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    modules = sorted(set(re.findall(r"^from (workflow_scripts[\w.]+) import", text, re.MULTILINE)))
    assert "workflow_scripts.commands" in modules
    heavy = "{'torch', 'transformers', 'matplotlib'}"
    code = f"import sys, {', '.join(modules)}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
