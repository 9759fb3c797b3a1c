"""Captions of the report: constants of the modules that make what they describe.

A caption is reStructuredText; Snakemake fills in `{{ snakemake.wildcards.recipe }}` and the like.
Constants named CAPTION... are left out of the code digest (`workflow_scripts.digest`), so that
other words make the report again, and not the figure.
"""

import ast

from workflow_scripts.digest import PACKAGE, module_path
from workflow_scripts.errors import EssenceError


def caption(module: str, constant: str = "CAPTION") -> str:
    """The caption in `workflow_scripts.<module>`, read from its text: nothing is imported.

    Raises EssenceError when there is no such module, or no such constant text in it.
    """
    path = module_path(f"{PACKAGE}.{module}")
    if path is None:
        raise EssenceError(f"no module {PACKAGE}.{module} in this project")
    for node in ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                if name == constant:
                    return text
    raise EssenceError(f"{path}: the text {constant} = ... is missing, the caption in the report")
