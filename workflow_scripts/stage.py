"""A stage is one function: its signature is its command line, its `--help` and its rule's command.

    def score(
        predictions: Annotated[Path, Input("predictions.parquet of a run")],
        out: Annotated[Path, Output("scores.json")],
        seed: Annotated[int, Setting("seed of the run")],
        json: Annotated[bool, Option("print JSON")] = False,
    ) -> None: ...

    if __name__ == "__main__":
        run_stage(score)

From the shell every argument is `--name value`, `--name a b` for a list and `--name` alone for a
switch. A rule calls the same stage with `shell: stage_command("metrics.score")`, which hands over
the rule's inputs, outputs, log files and params of the same names, and its `threads`; an `Option`
is for people at the shell. An argument with a default may be left out, or stand there empty.
"""

import argparse
import ast
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

from workflow_scripts.digest import PACKAGE, code_digest, module_path
from workflow_scripts.errors import EssenceError


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


def run_stage(stage: Callable[..., int | None]) -> NoReturn:
    """Call `stage` with the command line's arguments and exit: 0, what it returned, or 2.

    2 comes after an `EssenceError`, whose message is printed; so is that of an `OSError`, because
    the cure of a full disk is the user's. ESSENCE_TRACEBACK=1 shows where an error came from.
    """
    try:
        sys.exit(stage(**arguments(stage, sys.argv[1:])) or 0)
    except (EssenceError, OSError) as error:
        if os.environ.get("ESSENCE_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def arguments(stage: Callable, given: list[str]) -> dict[str, Any]:
    """The keyword arguments that a command line stands for; argparse ends it when it is wrong."""
    module = inspect.getmodule(stage)
    parser = argparse.ArgumentParser(
        prog=f"python -m {getattr(module.__spec__, 'name', module.__name__)}",
        description=inspect.getdoc(module) or inspect.getdoc(stage),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    hints = get_type_hints(stage, include_extras=True)
    for name, parameter in inspect.signature(stage).parameters.items():
        _add(parser, name, hints[name], parameter.default)
    return vars(parser.parse_args(given))


def _add(parser: argparse.ArgumentParser, name: str, hint: Any, default: Any) -> None:
    kind, role = get_args(hint)
    required = default is inspect.Parameter.empty
    text = role.help.replace("%", "%%")
    if not required and default not in (None, False, "") and default != []:
        text += f" (default: {default})"
    options: dict[str, Any] = {"help": text, **_reading(_without_none(kind), required, default)}
    if isinstance(role, Operand):
        parser.add_argument(name, **options)
    else:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            required=required,
            **_default(required, default),
            **options,
        )


def _default(required: bool, default: Any) -> dict[str, Any]:
    return {} if required else {"default": default}


def _reading(kind: Any, required: bool, default: Any) -> dict[str, Any]:
    """How argparse reads a value of a kind; an argument with a default may stand there empty."""
    if get_origin(kind) is list:
        inner = get_args(kind)[0]
        return {"nargs": "+" if required else "*", "type": inner, "metavar": _shown(inner)}
    if kind is bool:
        return {"nargs": "?", "const": True, "type": _switch, "metavar": "true|false"}
    options = {"type": _reader(kind), "metavar": _shown(kind)}
    return options if required else options | {"nargs": "?", "const": default}


def _shown(kind: Any) -> str:
    return {Path: "PATH", str: "TEXT", int: "N", float: "X"}.get(kind, "JSON")


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        return next(each for each in get_args(kind) if each is not types.NoneType)
    return kind


def _switch(text: str) -> bool:
    values = {"true": True, "false": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]


def _reader(kind: Any) -> Callable[[str], Any]:
    """What turns a text into a value: mappings and typed settings come as JSON, or in a file."""
    if kind is dict or get_origin(kind) is dict:
        return _json
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        from workflow_scripts.artifacts.base import parsed

        return lambda text: parsed(kind, _json(text), "the settings given")
    return kind


def _json(text: str) -> Any:
    from workflow_scripts.files import read_json

    if not text.lstrip().startswith(("{", "[")):
        return read_json(text)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise EssenceError(f"not JSON ({error.msg}): {text[:60]}") from error


def stage_command(name: str) -> str:
    """The shell command of a rule that runs the stage `workflow_scripts.<name>`.

    It ends in a comment with the digest of the stage's code: Snakemake takes a changed command for
    a reason to run again, so results go stale with their code.
    """
    module = f"{PACKAGE}.{name}"
    parts = [f"python -m {module}"]
    for argument, role in declared(module).items():
        source = ROLES[role].source
        if argument == "threads":
            parts.append("--threads {threads}")
        elif source:
            parts.append(f"--{argument.replace('_', '-')} {{{source}.{argument}:q}}")
    return f"{' '.join(parts)} > {{log[0]}} 2>&1  # code {code_digest(module)}"


def declared(module: str) -> dict[str, str]:
    """Argument -> role of the stage in a module, read from its text: nothing is imported.

    Raises EssenceError when the module runs no stage, or an argument has no role.
    """
    path = module_path(module)
    if path is None:
        raise EssenceError(f"no module {module} in this project")
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    run = [call.args[0].id for call in calls if _name(call.func) == "run_stage"]
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if len(run) != 1 or run[0] not in functions:
        raise EssenceError(f"{path}: a stage ends in one call run_stage(<function>)")
    return {each.arg: _role(each, path) for each in functions[run[0]].args.args}


def _role(argument: ast.arg, path: Any) -> str:
    calls = [node for node in ast.walk(argument.annotation) if isinstance(node, ast.Call)]
    roles = [_name(call.func) for call in calls if _name(call.func) in ROLES]
    if len(roles) != 1:
        known = ", ".join(ROLES)
        raise EssenceError(f"{path}: argument {argument.arg} needs one of {known}")
    return roles[0]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
