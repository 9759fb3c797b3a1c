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
from workflow_scripts.metrics.execution_verdicts import steps_allowed
from workflow_scripts.sql.cache import CachedSandbox, Job
from workflow_scripts.sql.rebuild import build_all


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
    jobs = [Job(file, case.gold) for case, of in zip(cases, files, strict=True) for file in of]
    gold_of = dict(zip(jobs, sandbox.map(jobs), strict=True))
    golds = [
        [(file, gold) for file in of if (gold := gold_of[Job(file, case.gold)]).ok]
        for case, of in zip(cases, files, strict=True)
    ]
    values = [1.0 if returns_something(gold.rows for _, gold in of) else None for of in golds]
    for instance in range(max(map(len, golds), default=0)):
        # A case that is wrong on one instance is not run on the next: an endless query costs once.
        open_cases = [n for n, of in enumerate(golds) if values[n] and instance < len(of)]
        predicted = sandbox.map(
            Job(file, cases[n].prediction or "", steps_allowed(gold))
            for n in open_cases
            for file, gold in [golds[n][instance]]
        )
        for n, result in zip(open_cases, predicted, strict=True):
            gold = golds[n][instance][1]
            values[n] = float(result.ok and execution_accuracy(result.rows, gold.rows))
    return values


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


def returns_something(results: Iterable[list[tuple]]) -> bool:
    """Whether one of several results has a row with more in it than 0 and NULL."""
    return any(cell not in (None, 0) for rows in results for row in rows for cell in row)
