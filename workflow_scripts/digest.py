"""A digest of the code that a stage uses: results go stale with their code and nothing else.

A stage's code is its module and every module of this package that it imports, directly or not,
found by reading the source (nothing is run). Comments, docstrings and layout don't count. A module
that reads files of the repository at run time (texts, metric scripts) names them in a list of glob
patterns `USES_FILES`, relative to its own folder; they count to the byte.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.errors import EssenceError

PACKAGE = "workflow_scripts"
ROOT = Path(__file__).resolve().parent.parent


def code_digest(module: str) -> str:
    """Sixteen hexadecimal digits over the code of a module (a dotted name) and all it imports.

    Raises EssenceError when it does not exist.
    """
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name], imported = _read(name)
            waiting.extend(imported)
    whole = "\n".join(f"{name} {found[name]}" for name in sorted(found))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def module_path(name: str) -> Path | None:
    """The file of a dotted name inside this package, or None when there is none."""
    base = ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _read(name: str) -> tuple[str, tuple[str, ...]]:
    path = module_path(name)
    if path is None:
        raise EssenceError(f"no module {name} in this project")
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    digest = hashlib.sha256()
    imported: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names if _is_local(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and _is_local(node.module):
            imported.add(node.module)
            submodules = (f"{node.module}.{alias.name}" for alias in node.names)
            imported.update(module for module in submodules if module_path(module))
    for pattern in _used_files(tree):
        for file in sorted(path.parent.glob(pattern)):
            digest.update(file.read_bytes())
    digest.update(ast.unparse(_without_words(tree)).encode())
    return digest.hexdigest(), tuple(sorted(imported))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The node and the statements in it at any depth; `ast.walk` goes through expressions too."""
    yield node
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, block, ()):
            yield from _statements(inner)


def _is_local(name: str) -> bool:
    return name == PACKAGE or name.startswith(PACKAGE + ".")


def _used_files(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "USES_FILES" for target in node.targets
        ):
            return list(ast.literal_eval(node.value))
    return []


def _without_words(tree: ast.Module) -> ast.Module:
    """The code without its docstrings, which people read and no stage does."""
    for node in _statements(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return tree
