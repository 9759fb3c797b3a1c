"""The shell command of a rule, made from the declaration of the stage that it runs.

    rule score:
        input: predictions=..., training=...
        output: scores=...
        log: ...
        shell: stage_command("metrics.score_text")

Inputs, outputs, log files and params go to the stage's arguments of the same names, and the rule's
`threads` to an argument `threads`. A mapping is written as JSON (`settings_json` in common.smk).
"""

import ast
import re

from workflow_scripts.digest import PACKAGE, code_digest, module_path
from workflow_scripts.errors import EssenceError
from workflow_scripts.stage import ROLES

ROOT_VARIABLE = "ESSENCE"  # in a command's environment: the folder that this package lies in
# Not from the working directory, where another package may have the same name.
PYTHON = f'PYTHONPATH="${ROOT_VARIABLE}${{{{PYTHONPATH:+:$PYTHONPATH}}}}" python -P -m {PACKAGE}'
ROLE = re.compile(rf"\b({'|'.join(ROLES)})\(")


def stage_command(name: str, warm: bool = False) -> str:
    """The shell command of a rule that runs the stage `workflow_scripts.<name>`.

    `warm`: in a fork of a process that has imported torch, where there is one (warm.py).

    It ends in a comment with the digest of the stage's code: Snakemake takes a changed command for
    a reason to run again, so results go stale with their code. Raises EssenceError when the module
    declares no stage.
    """
    module = f"{PACKAGE}.{name}"
    digest = code_digest(module)
    parts = [f"{PYTHON}.warm {name}" if warm else f"{PYTHON}.{name}"]
    for argument, role in declared_arguments(module).items():
        if argument == "threads":
            parts.append("--threads {threads}")
        elif source := ROLES[role].source:
            parts.append(f"--{argument.replace('_', '-')} {{{source}.{argument}:q}}")
    return f"{' '.join(parts)} > {{log[0]:q}} 2>&1  # code {digest}"


def declared_arguments(module: str) -> dict[str, str]:
    """Argument -> role of the stage in a module, read from its text: nothing is imported.

    Raises EssenceError when the module runs no stage, or an argument has no role.
    """
    path = module_path(module)
    text = path.read_text(encoding="utf-8")
    run = re.search(r"^ *run_stage\((\w+)\)$", text, re.MULTILINE)
    functions = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    stage = next((each for each in functions if run and each.name == run[1]), None)
    if stage is None:
        raise EssenceError(f"{path}: a stage ends in one call run_stage(<function>)")
    declared = {}
    for argument in (*stage.args.args, *stage.args.kwonlyargs):
        role = ROLE.search(ast.unparse(argument))
        if not role:
            known = ", ".join(ROLES)
            raise EssenceError(f"{path}: argument {argument.arg} needs one of {known}")
        declared[argument.arg] = role[1]
    return declared
