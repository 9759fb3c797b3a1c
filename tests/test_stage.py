"""A stage's signature is its command line and its rule's command."""

from pathlib import Path
from typing import Annotated

import pytest

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
    # Rules hand over what they have: an input that a recipe does without is empty or None.
    assert given("--test", "--share", "--names", "--recipe", "--timed") == given()
    assert given("--test", "None", "--share", "None", "--recipe", "None") == given()


def test_wrong_settings_are_named_by_key_and_by_their_file(tmp_path):
    wrong, file = RECIPE.replace("full", "half"), tmp_path / "recipe.json"
    with pytest.raises(EssenceError, match="given: prompt: Input should be 'full', 'own' or 'com"):
        given("--recipe", wrong)
    with pytest.raises(EssenceError, match="not JSON"):
        given("--recipe", "{")
    file.write_text(wrong)
    with pytest.raises(EssenceError, match=r"recipe\.json: prompt: Input should be"):
        given("--recipe", str(file))
    file.write_text(RECIPE)
    assert given("--recipe", str(file))["recipe"].prompt == "full"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows"], "expected at least one argument"),
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
