"""A stage's signature is its command line and its rule's command."""

from pathlib import Path
from typing import Annotated

import pytest
from shell import run_module

from workflow_scripts import stage
from workflow_scripts.artifacts.settings import Recipe
from workflow_scripts.errors import EssenceError
from workflow_scripts.stage import Input, Log, Operand, Option, Output, Setting

RECIPE = (
    '{"name": "r", "prompt": "full", "source_tokens": 5, "target_tokens": 5, "tokenizer": "stock",'
    ' "padding_in_loss": true, "generate_tokens": 5}'
)


def example(
    database: Annotated[Path, Operand("a file")],
    rows: Annotated[list[Path], Input("some files")],
    out: Annotated[Path, Output("the result")],
    refused: Annotated[Path | None, Log("what was refused")] = None,
    test: Annotated[Path | None, Input("may be missing")] = None,
    share: Annotated[float, Setting("100% at most")] = 0.5,
    recipe: Annotated[Recipe | None, Setting("how text is handled")] = None,
    names: Annotated[list[str], Setting("names")] = [],  # noqa: B006 - never changed
    json: Annotated[bool, Option("print JSON")] = False,
) -> None:
    """An example."""


def given(*arguments: str) -> dict:
    required = ["db", "--rows", "a", "b c", "--out", "o"]
    return stage.arguments(example, [*required, *arguments])


def test_arguments_have_the_types_of_the_signature():
    assert given() == {
        "database": Path("db"), "rows": [Path("a"), Path("b c")], "out": Path("o"),
        "refused": None, "test": None, "share": 0.5, "recipe": None, "names": [], "json": False,
    }  # fmt: skip
    found = given("--share", "0.1", "--recipe", RECIPE, "--names", "x", "y", "--json")
    assert found["share"] == 0.1 and found["recipe"].source_tokens == 5
    assert found["names"] == ["x", "y"] and found["json"] is True
    assert given("--json", "false")["json"] is False


def test_an_argument_with_a_default_may_stand_there_empty():
    """Rules hand over what they have: an input that a recipe does without is empty."""
    assert given("--test", "--share", "--names", "--recipe") == given()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--share", "much"], "argument --share"),
        (["--json", "perhaps"], "neither true nor false"),
        (["--unknown", "1"], "unrecognized arguments"),
        (["--sha", "0.1"], "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_is_told(arguments, said, capsys):
    with pytest.raises(SystemExit):
        given(*arguments)
    assert said in capsys.readouterr().err


def test_wrong_settings_are_told_by_key():
    with pytest.raises(EssenceError, match="prompt: Input should be 'full' or 'compact'"):
        given("--recipe", RECIPE.replace("full", "half"))
    with pytest.raises(EssenceError, match="not JSON"):
        given("--recipe", "{")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A package of one stage, written by the test."""

    def write(text: str) -> str:
        (tmp_path / "one.py").write_text(text)
        return "one"

    monkeypatch.setattr(stage, "module_path", lambda name: tmp_path / "one.py")
    monkeypatch.setattr(stage, "code_digest", lambda name: "0123")
    return write


def test_the_rules_command_hands_over_what_the_stage_declares(module):
    name = module(
        "def f(rows: Annotated[Path, Input('r')], out_file: Annotated[Path, Output('o')],\n"
        "      refused: Annotated[Path, Log('l')], seed: Annotated[int, Setting('s')],\n"
        "      threads: Annotated[int, Setting('t')], json: Annotated[bool, Option('j')] = 0):\n"
        "    pass\n\nrun_stage(f)\n"
    )
    assert stage.stage_command(name) == (
        "python -m workflow_scripts.one --rows {input.rows:q} --out-file {output.out_file:q} "
        "--refused {log.refused:q} --seed {params.seed:q} --threads {threads} "
        "> {log[0]} 2>&1  # code 0123"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(rows: Path): pass\nrun_stage(f)", "argument rows needs one of"),
        ("def f(): pass", "ends in one call run_stage"),
    ],
)
def test_a_module_that_declares_no_stage_is_told(module, text, said):
    with pytest.raises(EssenceError, match=said):
        stage.stage_command(module(text))


def test_help_says_what_a_stage_and_its_arguments_are():
    """The help of a stage is its docstring and its arguments."""
    done = run_module("workflow_scripts.data.read", "--help")
    assert done.returncode == 0, done.stderr
    assert "--raw PATH" in done.stdout and "(default: 0.01)" in done.stdout
