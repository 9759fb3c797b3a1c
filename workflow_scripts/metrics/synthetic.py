"""EX-synthetic: execution accuracy on databases rebuilt from a row's own prompt.

For rows whose database is not at hand. A prediction is right when it returns the same set of rows
as gold on every rebuilt instance (`workflow_scripts.sql.rebuild`); rows whose gold returns nothing
there (or nothing but 0 and NULL) don't count. How far it agrees with EX where both can be had:
`python -m tools.synthetic_trial`.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.digest import code_digest
from workflow_scripts.files import digest_of
from workflow_scripts.formats.schema import SchemaError
from workflow_scripts.metrics.compare import execution_accuracy
from workflow_scripts.metrics.execution_verdicts import LEAST_SECONDS
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.rebuild import build_all
from workflow_scripts.sql.sandbox import Result


@dataclass(frozen=True)
class SyntheticCase:
    """`prediction` None: the answer holds no SQL."""

    schema: str
    foreign_keys: str
    gold: str
    prediction: str | None


def ex_synthetic(
    cases: Iterable[SyntheticCase], sandbox: CachedSandbox, folder: Path, seed: int = 0
) -> list[float | None]:
    """1 right, 0 wrong, None not counted; one a case. The instances are written under `folder`."""
    cases = list(cases)
    files = [_instances(case, folder, seed) for case in cases]
    golds = [(file, case.gold, None) for case, of in zip(cases, files, strict=True) for file in of]
    ours = [
        (file, case.prediction or "", LEAST_SECONDS)
        for case, of in zip(cases, files, strict=True)
        for file in of
    ]
    gold, predicted = iter(sandbox.map(golds)), iter(sandbox.map(ours))
    return [_verdict([(next(gold), next(predicted)) for _ in of]) for of in files]


def _instances(case: SyntheticCase, folder: Path, seed: int) -> list[Path]:
    """Built once for equal cases; no files where the prompt can't be made into a database."""
    code = code_digest("workflow_scripts.sql.rebuild")  # what older code built is not used again
    about = [case.schema, case.foreign_keys, case.gold, seed, code]
    place = folder / digest_of(about)[:24]
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder, prefix="."))
        with contextlib.suppress(SchemaError):
            build_all(case.schema, case.foreign_keys, case.gold, made, seed)
        try:
            made.rename(place)
        except OSError:  # another process was first
            shutil.rmtree(made)
    return sorted(place.glob("*.sqlite"))


def _verdict(pairs: list[tuple[Result, Result]]) -> float | None:
    ran = [(gold, predicted) for gold, predicted in pairs if gold.ok]
    if not returns_something(gold.rows for gold, _ in ran):
        return None
    return float(all(p.ok and execution_accuracy(p.rows, gold.rows) for gold, p in ran))


def returns_something(results: Iterable[list[tuple]]) -> bool:
    """Whether one of several results has a row with more in it than 0 and NULL."""
    return any(cell not in (None, 0) for rows in results for row in rows for cell in row)
