"""Captions of the report: constants of the modules that make what they describe.

A caption is reStructuredText. The artefacts that it names by number, as A1, are named in words
below it. Constants named CAPTION... are left out of the code digest (`workflow_scripts.digest`), so
that other words make the report again, and not the figure.
"""

import ast
import re
from pathlib import Path

from workflow_scripts.digest import PACKAGE, module_path
from workflow_scripts.errors import EssenceError
from workflow_scripts.report.artefacts import artefacts


def caption(module: str, constant: str = "CAPTION") -> str:
    """The caption in `workflow_scripts.<module>`, read from its text: nothing is imported.

    Raises EssenceError when there is no such module, no such constant text in it, or when it names
    an artefact that is not known.
    """
    path = module_path(f"{PACKAGE}.{module}")
    if path is None:
        raise EssenceError(f"no module {PACKAGE}.{module} in this project")
    for node in ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                if name == constant:
                    return text + _artefacts_named(text, path)
    raise EssenceError(f"{path}: the text {constant} = ... is missing, the caption in the report")


def _artefacts_named(text: str, path: Path) -> str:
    known, named = artefacts(), set(re.findall(r"\bA\d+\b", text))
    if named - known.keys():
        raise EssenceError(f"{path}: a caption names {min(named - known.keys())}, no artefact")
    titles = [f"{name} {each.title.lower()}" for name, each in known.items() if name in named]
    return f"\n**Artefacts.** {', '.join(titles)}.\n" if titles else ""
