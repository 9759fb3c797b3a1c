"""A stage is one function: its signature is its command line, its `--help` and its rule's command.

    def score(
        predictions: Annotated[Path, Input("predictions.parquet of a run")],
        out: Annotated[Path, Output("scores.json")],
        seed: Annotated[int, Setting("seed of the run")],
        json: Annotated[bool, Option("print JSON")] = False,
    ) -> None: ...

    if __name__ == "__main__":
        run_stage(score)

From the shell every argument is `--name value`, `--name a b` for a list and `--name` alone for an
option that is true or false. A rule calls the same stage with `shell: stage_command("data.read")`
(commands.py). What a rule does not have it hands over empty or as None, which stands for the
argument's default.
"""

import argparse
import inspect
import json
import os
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.records import parsed


@dataclass(frozen=True)
class Argument:
    """What an argument is to a rule (`source`: where the rule keeps it), and its help."""

    help: str
    source = ""


class Input(Argument):
    source = "input"


class Output(Argument):
    source = "output"


class Log(Argument):
    """A file that is kept when the stage fails."""

    source = "log"


class Setting(Argument):
    source = "params"


class Option(Argument):
    """For people at the shell: rules leave it alone."""


class Operand(Option):
    """An option that is given by its place, without a name."""


ROLES = {role.__name__: role for role in (Input, Output, Log, Setting, Option, Operand)}


def run_stage(stage: Callable, program: str | None = None) -> NoReturn:
    """Call a stage with the command line's arguments and exit: 0, what it returned, or 2.

    2 comes after an `EssenceError`, whose message is printed; so is that of an `OSError`, because
    the cure of a full disk is the user's. ESSENCE_TRACEBACK=1 shows where an error came from.
    """
    try:
        sys.exit(stage(**arguments(stage, sys.argv[1:], program)) or 0)
    except (EssenceError, OSError) as error:
        if os.environ.get("ESSENCE_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def arguments(stage: Callable, given: list[str], program: str | None = None) -> dict[str, Any]:
    """The keyword arguments that a command line stands for; argparse ends it when it is wrong."""
    module = inspect.getmodule(stage)
    parser = argparse.ArgumentParser(
        prog=program or f"python -m {getattr(module.__spec__, 'name', module.__name__)}",
        description=inspect.getdoc(module) or inspect.getdoc(stage),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    hints = get_type_hints(stage, include_extras=True)
    for name, parameter in inspect.signature(stage).parameters.items():
        kind, role = get_args(hints[name])
        _add(parser, name, kind, role, parameter.default)
    return vars(parser.parse_args(given))


def _add(parser: argparse.ArgumentParser, name: str, kind: Any, role: Argument, default: Any):
    optional = default is not inspect.Parameter.empty
    shown = f" (default: {default})" if optional and default else ""
    options: dict[str, Any] = {"help": (role.help + shown).replace("%", "%%")}
    if kind is bool and isinstance(role, Option):
        options["action"] = "store_true"
    else:
        options |= _reading(kind, optional, default)
    if optional:
        options["default"] = default
    if isinstance(role, Operand):
        parser.add_argument(name, **options | {"metavar": name.upper()})
    else:
        parser.add_argument(f"--{name.replace('_', '-')}", required=not optional, **options)


def _reading(kind: Any, optional: bool, default: Any) -> dict[str, Any]:
    """How argparse reads a value of a kind."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not types.NoneType)
    if get_origin(kind) is list:
        return _reading(get_args(kind)[0], False, None) | {"nargs": "*" if optional else "+"}
    read, metavar = _reader(kind)
    if not optional:
        return {"type": read, "metavar": metavar}

    def read_or_default(text: str) -> Any:
        return default if text == "None" else read(text)

    read_or_default.__name__ = metavar  # argparse says: invalid X value
    return {"type": read_or_default, "metavar": metavar, "nargs": "?", "const": default}


def _reader(kind: Any) -> tuple[Callable[[str], Any], str]:
    """What turns a text into a value, and its name in the help.

    Mappings and typed settings come as JSON, or in a file.
    """
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return lambda text: parsed(kind, *_json(text)), "JSON"
    if kind is dict or get_origin(kind) is dict:
        return lambda text: _json(text)[0], "JSON"
    if kind is bool:
        return _true_or_false, "true|false"
    return kind, {Path: "PATH", str: "TEXT", int: "N", float: "X"}[kind]


def _true_or_false(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _json(text: str) -> tuple[Any, str]:
    """A value and where it comes from: the text itself, or the file that it names."""
    if not text.lstrip().startswith(("{", "[")):
        return read_json(text), text
    try:
        return json.loads(text), "the settings given"
    except json.JSONDecodeError as error:
        raise EssenceError(f"not JSON ({error.msg}): {text[:60]}") from error
