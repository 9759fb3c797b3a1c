"""The shell command of a rule, made from the declaration of the stage that it runs.

    rule score:
        input: predictions=..., training=...
        output: scores=...
        log: ...
        shell: stage_command("metrics.score_text")

Inputs, outputs, log files and params go to the stage's arguments of the same names, and the rule's
`threads` to an argument `threads`; an `Option` is left alone. Lists may be empty, None stands for
an argument's default, and a mapping is written as JSON (`settings_json` in common.smk).
"""

import ast
from pathlib import Path

from workflow_scripts.digest import PACKAGE, code_digest, module_path
from workflow_scripts.errors import EssenceError
from workflow_scripts.stage import ROLES

ROOT_VARIABLE = "ESSENCE"  # in a command's environment: the folder that this package lies in
# Not from the working directory, where another package may have the same name.
PYTHON = f'PYTHONPATH="${ROOT_VARIABLE}${{{{PYTHONPATH:+:$PYTHONPATH}}}}" python -P -m {PACKAGE}'


def stage_command(name: str, warm: bool = False) -> str:
    """The shell command of a rule that runs the stage `workflow_scripts.<name>`.

    `warm`: in a fork of a process that has imported torch, where there is one (warm.py).

    It ends in a comment with the digest of the stage's code: Snakemake takes a changed command for
    a reason to run again, so results go stale with their code. Raises EssenceError when the module
    declares no stage.
    """
    module = f"{PACKAGE}.{name}"
    parts = [f"{PYTHON}.warm {name}" if warm else f"{PYTHON}.{name}"]
    for argument, role in declared_arguments(module).items():
        source = ROLES[role].source
        if argument == "threads":
            parts.append("--threads {threads}")
        elif source:
            parts.append(f"--{argument.replace('_', '-')} {{{source}.{argument}:q}}")
    return f"{' '.join(parts)} > {{log[0]:q}} 2>&1  # code {code_digest(module)}"


def declared_arguments(module: str) -> dict[str, str]:
    """Argument -> role of the stage in a module, read from its text: nothing is imported.

    Raises EssenceError when the module runs no stage, or an argument has no role.
    """
    path = module_path(module)
    if path is None:
        raise EssenceError(f"no module {module} in this project")
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    run = [[name.id for name in call.args] for call in _calls(tree, {"run_stage"})]
    if len(run) != 1 or not (stage := _function(run[0][0], tree)):
        raise EssenceError(f"{path}: a stage ends in one call run_stage(<function>)")
    declared = [*stage.args.args, *stage.args.kwonlyargs]
    for ending in run[0][1:]:
        declared += _function(ending, tree).args.args[1:]  # the first is the stage itself
    return {each.arg: _role(each, path) for each in declared}


def _function(name: str, tree: ast.Module) -> ast.FunctionDef | None:
    """The function of a name, where the module defines it or imports it from this package."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            other = module_path(node.module)
            return _function(name, ast.parse(other.read_text(encoding="utf-8"))) if other else None
    return None


def _role(argument: ast.arg, path: Path) -> str:
    roles = [call.func.id for call in _calls(argument, set(ROLES))]
    if len(roles) != 1:
        known = ", ".join(ROLES)
        raise EssenceError(f"{path}: argument {argument.arg} needs one of {known}")
    return roles[0]


def _calls(tree: ast.AST, names: set[str]) -> list[ast.Call]:
    """The calls of functions with these names."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in names]
