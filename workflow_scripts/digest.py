"""A digest of the code that a stage uses: results go stale with their code and nothing else.

A stage's code is its module and every module of this project that it imports, directly or not
(grimp reads the sources; nothing is run). Comments, docstrings and layout don't count. A module
that reads files of the repository at run time (texts, metric scripts) names them in a list of glob
patterns `USES_FILES`, relative to its own folder; they count to the byte.
"""

import ast
import functools
import hashlib
from pathlib import Path

import grimp

from workflow_scripts.errors import EssenceError

PACKAGE = "workflow_scripts"
ROOT = Path(__file__).resolve().parent.parent
WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(module: str) -> str:
    """Sixteen hexadecimal digits over the code of a module (a dotted name) and all it imports.

    Raises EssenceError when it does not exist.
    """
    graph = import_graph()
    if module not in graph.modules:
        raise EssenceError(f"no module {module} in this project")
    used = sorted({module} | graph.find_upstream_modules(module))
    whole = "\n".join(f"{name} {_content(name)}" for name in used)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


@functools.cache
def import_graph() -> grimp.ImportGraph:
    tools = ["tools"] if (ROOT / "tools").is_dir() else []  # which an installed package lacks
    return grimp.build_graph(PACKAGE, *tools, cache_dir=None)


def module_path(name: str) -> Path:
    """The file of a module of this package."""
    base = ROOT.joinpath(*name.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@functools.cache
def _content(module: str) -> str:
    """The checksum of a module's code, without its docstrings, and of the files that it uses."""
    path = module_path(module)
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    patterns = [
        pattern
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "USES_FILES"
        for pattern in ast.literal_eval(node.value)
    ]
    for node in ast.walk(tree):
        if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    digest = hashlib.sha256(ast.dump(tree).encode())
    for pattern in patterns:
        for file in sorted(path.parent.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()
