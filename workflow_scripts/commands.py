"""The shell command of a rule, made from the declaration of the stage that it runs.

    rule score:
        input: predictions=..., training=...
        output: scores=...
        log: ...
        shell: stage_command("metrics.score_text")

Inputs, outputs, log files and params go to the stage's arguments of the same names, and the rule's
`threads` to an argument `threads`. A mapping is written as JSON (`settings_json` in common.smk).
"""

import re

from workflow_scripts.digest import PACKAGE, code_digest, module_path
from workflow_scripts.errors import EssenceError
from workflow_scripts.stage import ROLES

ROOT_VARIABLE = "ESSENCE"  # in a command's environment: the folder that this package lies in
# Not from the working directory, where another package may have the same name.
PYTHON = f'PYTHONPATH="${ROOT_VARIABLE}${{{{PYTHONPATH:+:$PYTHONPATH}}}}" python -P -m '
ARGUMENT = re.compile(rf"^    (\w+): Annotated\[.*?\b({'|'.join(ROLES)})\(", re.M | re.S)


def stage_command(name: str, warm: bool = False) -> str:
    """The shell command of a rule that runs the stage `workflow_scripts.<name>` or `tools.<name>`.

    `warm`: in a fork of a process that has imported torch, where there is one (warm.py).

    It ends in a comment with the digest of the stage's code: Snakemake takes a changed command for
    a reason to run again, so results go stale with their code. Raises EssenceError when the module
    is no stage.
    """
    module = name if name.startswith("tools.") else f"{PACKAGE}.{name}"
    digest = code_digest(module)
    parts = [f"{PYTHON}{PACKAGE}.warm {name}" if warm else f"{PYTHON}{module}"]
    for argument, role in declared_arguments(module).items():
        if argument == "threads":
            parts.append("--threads {threads}")
        elif source := ROLES[role].source:
            parts.append(f"--{argument.replace('_', '-')} {{{source}.{argument}:q}}")
    return f"{' '.join(parts)} > {{log[0]:q}} 2>&1  # code {digest}"


def declared_arguments(module: str) -> dict[str, str]:
    """Argument -> role of the stage in a module, read from its text: nothing is imported."""
    text = module_path(module).read_text(encoding="utf-8")
    run = re.search(r"^ *run_stage\((\w+)\)$", text, re.M)
    signature = run and re.search(rf"^def {run[1]}\((.*?)\)(?: -> .*?)?:$", text, re.M | re.S)
    if not signature:
        raise EssenceError(f"{module} is no stage: it ends in no run_stage(<function>)")
    return dict(ARGUMENT.findall(signature[1]))
