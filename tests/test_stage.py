"""A stage's signature is its command line and its rule's command."""

from pathlib import Path
from typing import Annotated

import pytest
from shell import run_module

from workflow_scripts import stage
from workflow_scripts.errors import EssenceError
from workflow_scripts.settings import Recipe
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
        "refused": None, "test": None, "share": 0.5, "recipe": None, "names": [], "timed": True,
        "json": False,
    }  # fmt: skip
    found = given("--share", "0.1", "--recipe", RECIPE, "--names", "x", "y", "--json")
    assert found["share"] == 0.1 and found["recipe"].source_tokens == 5
    assert found["names"] == ["x", "y"] and found["json"] is True
    assert given("--timed", "False")["timed"] is False


def test_what_is_read_whole_is_named_by_its_file_when_it_is_wrong(tmp_path):
    file = tmp_path / "recipe.json"
    file.write_text(RECIPE.replace("full", "half"))
    with pytest.raises(EssenceError, match=r"recipe\.json: prompt: Input should be"):
        given("--recipe", str(file))
    file.write_text(RECIPE)
    assert given("--recipe", str(file))["recipe"].prompt == "full"


def test_an_argument_with_a_default_may_stand_there_empty():
    """Rules hand over what they have: an input that a recipe does without is empty or None."""
    assert given("--test", "--share", "--names", "--recipe", "--timed") == given()
    assert given("--test", "None", "--share", "None", "--recipe", "None") == given()
    with pytest.raises(SystemExit):
        stage.arguments(example, ["db", "--rows", "--out", "o"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--share", "much"], "argument --share: invalid X value: 'much'"),
        (["--timed", "perhaps"], "invalid true|false value: 'perhaps'"),
        (["--unknown", "1"], "unrecognized arguments"),
        (["--sha", "0.1"], "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments, said, capsys):
    with pytest.raises(SystemExit):
        given(*arguments)
    assert said in capsys.readouterr().err


def test_wrong_settings_are_named_by_key():
    with pytest.raises(EssenceError, match="prompt: Input should be 'full', 'own' or 'compact'"):
        given("--recipe", RECIPE.replace("full", "half"))
    with pytest.raises(EssenceError, match="not JSON"):
        given("--recipe", "{")


def test_help_says_what_a_stage_and_its_arguments_are():
    """The help of a stage is its docstring and its arguments."""
    done = run_module("workflow_scripts.data.read", "--help")
    assert done.returncode == 0, done.stderr
    assert "--raw PATH" in done.stdout and "(default: 0.01)" in done.stdout
