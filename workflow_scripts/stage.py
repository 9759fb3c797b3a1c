"""A stage is one function: its signature is its command line, its `--help` and its rule's command.

    def score(
        predictions: Annotated[Path, Input("predictions.parquet of a run")],
        out: Annotated[Path, Output("scores.json")],
        seed: Annotated[int, Setting("seed of the run")],
        json: Annotated[bool, Option("print JSON")] = False,
    ) -> None: ...

    if __name__ == "__main__":
        run_stage(score)

From the shell every argument is `--name value`, `--name a b` or `--name a --name b` for a list and
`--name` alone for an option that is true or false. A rule calls the same stage with
`shell: stage_command("data.read")` (commands.py). What a rule does not have it hands over empty or
as None, which stands for the argument's default.
"""

import argparse
import inspect
import json
import os
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

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


# Kinds that are read as they stand, and their names in the help.
PLAIN = {Path: "PATH", str: "TEXT", int: "N", float: "X", bool: "true|false"}
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
    hints, defaults = get_type_hints(stage, include_extras=True), {}
    for name, parameter in inspect.signature(stage).parameters.items():
        kind, role = get_args(hints[name])
        required = parameter.default is inspect.Parameter.empty
        defaults[name] = parameter.default
        options = _options(kind, role, required, parameter.default)
        if isinstance(role, Operand):
            parser.add_argument(name, **options | {"metavar": name.upper()})
        else:
            parser.add_argument(f"--{name.replace('_', '-')}", required=required, **options)
    values = vars(parser.parse_args(given))
    return {
        name: defaults[name] if value in (None, []) else value for name, value in values.items()
    }


def _options(kind: Any, role: Argument, required: bool, default: Any) -> dict[str, Any]:
    """What argparse needs to know of an argument."""
    options = {"help": (role.help + ("" if required else f" (default: {default})"))}
    options["help"] = options["help"].replace("%", "%%")
    if not required:
        options["default"] = default
    if kind is bool and isinstance(role, Option):
        return options | {"action": "store_true"}
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not types.NoneType)
    if get_origin(kind) is list:
        read = _reader(get_args(kind)[0])
        options |= {"nargs": "+" if required else "*", "action": "extend", "default": None}
    elif required:
        read = _reader(kind)
    else:
        read = _reader(kind, {"None": default})
        options |= {"nargs": "?", "const": default}
    return options | {"type": read, "metavar": read.__name__}


def _reader(kind: Any, special: Mapping[str, Any] = MappingProxyType({})) -> Callable[[str], Any]:
    """What turns a text into a value; mappings and typed settings come as JSON, or in a file."""

    def read(text: str) -> Any:
        if text in special:
            return special[text]
        if kind in PLAIN:
            return TypeAdapter(kind).validate_python(text)
        if not text.lstrip().startswith(("{", "[")):
            return parsed(kind, read_json(text), text)
        try:
            return parsed(kind, json.loads(text), "the settings given")
        except json.JSONDecodeError as error:
            raise EssenceError(f"not JSON ({error.msg}): {text[:60]}") from error

    read.__name__ = PLAIN.get(kind, "JSON")  # argparse says: invalid X value
    return read
