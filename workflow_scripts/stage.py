"""A stage is one function: its signature is its command line, its `--help` and its rule's command.

    def score(
        predictions: Annotated[Path, Input("predictions.parquet of a run")],
        out: Annotated[Path, Output("scores.json")],
        seed: Annotated[int, Setting("seed of the run")],
        json: Annotated[bool, Option("print JSON")] = False,
    ) -> None: ...

    if __name__ == "__main__":
        run_stage(score)

What is read whole may have its own type: `published: Annotated[Published, Input("...")]` is given
by its path and handed over as `Published.read(path)`. What several stages end in is a second
function, here one that saves what the first one draws; it gets the first ready to be called, and
its other arguments are the stage's too:

    run_stage(plot_tasks, save_figure)  # save_figure(draw, svg, png, ...)

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
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from workflow_scripts.errors import EssenceError
from workflow_scripts.imports import import_less


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


def run_stage(stage: Callable, ending: Callable | None = None) -> NoReturn:
    """Call a stage with the command line's arguments and exit: 0, what it returned, or 2.

    2 comes after an `EssenceError`, whose message is printed; so is that of an `OSError`, because
    the cure of a full disk is the user's. ESSENCE_TRACEBACK=1 shows where an error came from.
    """
    import_less()
    try:
        given = arguments(stage, sys.argv[1:], ending)
        call = partial(stage, **{name: given[name] for name in _declared(stage)})
        if ending:
            call = partial(ending, call, **{name: given[name] for name in _declared(ending)})
        sys.exit(call() or 0)
    except (EssenceError, OSError) as error:
        if os.environ.get("ESSENCE_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def arguments(stage: Callable, given: list[str], ending: Callable | None = None) -> dict[str, Any]:
    """The keyword arguments that a command line stands for; argparse ends it when it is wrong."""
    module = inspect.getmodule(stage)
    parser = argparse.ArgumentParser(
        prog=f"python -m {getattr(module.__spec__, 'name', module.__name__)}",
        description=inspect.getdoc(module) or inspect.getdoc(stage),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, (hint, default) in (_declared(stage) | (_declared(ending) if ending else {})).items():
        _add(parser, name, hint, default)
    return vars(parser.parse_args(given))


def _declared(function: Callable) -> dict[str, tuple[Any, Any]]:
    """Argument -> (type with its role, default)."""
    hints = get_type_hints(function, include_extras=True)
    return {
        name: (hints[name], parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if get_origin(hints.get(name)) is Annotated
    }


def _add(parser: argparse.ArgumentParser, name: str, hint: Any, default: Any) -> None:
    kind, role = get_args(hint)
    optional = default is not inspect.Parameter.empty
    shown = f" (default: {default})" if optional and default else ""
    options: dict[str, Any] = {"help": (role.help + shown).replace("%", "%%")}
    if optional:
        options["default"] = default
    if kind is bool and isinstance(role, Option):
        options["action"] = "store_true"
    else:
        options |= _reading(_without_none(kind), optional, default)
    if isinstance(role, Operand):
        parser.add_argument(name, **options | {"metavar": name.upper()})
    else:
        parser.add_argument(f"--{name.replace('_', '-')}", required=not optional, **options)


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        return next(each for each in get_args(kind) if each is not types.NoneType)
    return kind


def _reading(kind: Any, optional: bool, default: Any) -> dict[str, Any]:
    """How argparse reads a value of a kind."""
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        options = _reading(inner, optional=False, default=None)
        return options | {"nargs": "*" if optional else "+"}
    read, metavar = _reader(kind)
    if not optional:
        return {"type": read, "metavar": metavar}

    def read_or_default(text: str) -> Any:
        return default if text == "None" else read(text)

    read_or_default.__name__ = metavar  # argparse says: invalid X value
    return {"type": read_or_default, "metavar": metavar, "nargs": "?", "const": default}


def _reader(kind: Any) -> tuple[Callable[[str], Any], str]:
    """What turns a text into a value, and its name in the help.

    Mappings and typed settings come as JSON, or in a file; what has a `read` by its path.
    """
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        from workflow_scripts.records import parsed

        def read(text: str) -> Any:
            inline = text.lstrip().startswith("{")
            return parsed(kind, _json(text), "the settings given" if inline else text)

        return read, "JSON"
    if hasattr(kind, "read"):
        return kind.read, "PATH"
    if kind is dict or get_origin(kind) is dict:
        return _json, "JSON"
    if kind is bool:
        return _true_or_false, "true|false"
    return kind, {Path: "PATH", str: "TEXT", int: "N", float: "X"}[kind]


def _true_or_false(text: str) -> bool:
    values = {"true": True, "false": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]


def _json(text: str) -> Any:
    from workflow_scripts.files import read_json

    if not text.lstrip().startswith(("{", "[")):
        return read_json(text)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise EssenceError(f"not JSON ({error.msg}): {text[:60]}") from error
