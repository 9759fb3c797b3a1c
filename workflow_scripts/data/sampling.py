"""Which rows to draw, and which side each goes to: decisions on a pool, no files.

Chance comes from a hash of (purpose, seed, idx), so a draw doesn't depend on the order of the
rows in the file, nor on a library's random numbers. A set of rows is a set of their idx; what a
pool is, `pool.load_pool` says.
"""

import math
from collections.abc import Callable, Collection, Hashable, Mapping
from fractions import Fraction
from hashlib import sha256

import pandas as pd

from workflow_scripts.data.pool import task_counts
from workflow_scripts.data.samples import SampleSettings
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS

# Share of the rows wanted that a sample may lack. One row in a hundred may be unreadable
# (data.max_quarantine); where all of these are Refiner rows, that is a tenth of them.
MAY_BE_MISSING = Fraction(1, 10)
ALL_TASKS = "all tasks"


def chance(*what: Hashable) -> Callable[[Hashable], bytes]:
    """A sorting key that puts things in random order, the same order for the same `what`."""
    prefix = "/".join(map(str, what))
    return lambda thing: sha256(f"{prefix}/{thing}".encode()).digest()


def of_databases(pool: pd.DataFrame, names: Collection[str]) -> set[int]:
    """The rows about these databases. Raises EssenceError when one has no row."""
    about = pool.database[pool.known]
    if unknown := sorted(set(names) - set(about)):
        raise EssenceError(
            f"test_set.unseen_databases: no row is about {', '.join(unknown)}; the rows are about "
            f"{', '.join(sorted(set(about))) or 'no database that is known by name'}"
        )
    return set(about.index[about.isin(names)])


def set_aside(
    pool: pd.DataFrame, test: Collection[int], unseen_databases: Collection[str]
) -> dict[str, set[int]]:
    """Why -> the rows, besides the test rows, that no sample may use.

    A row stands under the first reason that holds for it. Where databases are to stay unseen, a
    row whose database is not known is set aside too, unless all that it may be about are others.
    """
    unseen = of_databases(pool, unseen_databases)
    lost = pool.candidates[~pool.known] if unseen else {}
    reasons = {
        "same question or SQL as a test row": reserved(pool, test),
        "about an unseen database": unseen,
        "same question or SQL as a row about an unseen database": reserved(pool, unseen),
        "perhaps about an unseen database": {
            idx
            for idx, names in lost.items()
            if not len(names) or set(names) & set(unseen_databases)
        },
    }
    counted = set(test)
    for rows in reasons.values():
        rows -= counted
        counted |= rows
    return reasons


def reserved(pool: pd.DataFrame, rows: Collection[int]) -> set[int]:
    """Every row that shares a group with one of `rows`, these included."""
    return set(pool.index[pool.group.isin(pool.group[list(rows)])])


def choose_test(
    pool: pd.DataFrame, per_task: Mapping[str, int], seed: int, kept_back: Collection[int] = ()
) -> set[int]:
    """The test set: for each task the first n rows, in a random order of the groups.

    Whole groups (see `pool.group_rows`) are thereby set aside: `reserved` gives all rows that
    no sample may use. A task of which 0 rows are wanted keeps all of its rows for training: groups
    that hold one are passed over.

    Raises EssenceError when a task has fewer rows than asked for.
    """
    free = pool[~pool.index.isin(kept_back)]
    have = free.task.value_counts()
    spared = [task for task, wanted in per_task.items() if wanted == 0]
    apart = free[~free.group.isin(pool.group[pool.task.isin(spared)])]
    chosen = _first_of_each_task(apart, per_task, seed)
    drawn = task_counts(pool.loc[list(chosen)])
    for task, wanted in per_task.items():
        if drawn.get(task, 0) < wanted:
            there = f"there are {have.get(task, 0)}"
            if wanted <= have.get(task, 0):
                there = (
                    f"{drawn[task]} have a question and SQL that no task with 0 test rows shares"
                )
            raise EssenceError(
                f"test set: {wanted} rows of {task} are wanted, {there}; lower test_set.rows.{task}"
            )
    return chosen


def choose_unseen(
    pool: pd.DataFrame, databases: Collection[str], per_task: Mapping[str, int], seed: int
) -> set[int]:
    """As many rows of these databases, or all there are. Raises EssenceError when no row is about
    one of them."""
    return _first_of_each_task(pool.loc[sorted(of_databases(pool, databases))], per_task, seed)


def _first_of_each_task(rows: pd.DataFrame, per_task: Mapping[str, int], seed: int) -> set[int]:
    """For each task the first n rows, or all, in a random order of the groups."""
    order = chance("test", seed)
    pairs = rows.group.items()
    place = pd.Series([order(group) + order(f"row {idx}") for idx, group in pairs], rows.index)
    return {
        idx
        for task, of_task in place.groupby(rows.task)
        for idx in of_task.sort_values().index[: per_task.get(task, 0)]
    }


def choose_sample(
    pool: pd.DataFrame, kept_back: Collection[int], settings: SampleSettings
) -> tuple[set[int], dict[str, int]]:
    """One sample, and what it lacks of the rows wanted: of each task of a balanced one, or of all.

    Raises EssenceError when it lacks more than `MAY_BE_MISSING` of them.
    """
    order = chance("sample", settings.sampling, settings.draw, settings.seed)
    free = pool[~pool.index.isin(kept_back)]
    chosen, missing = set(), {}
    for task, wanted in _wanted(pool, settings).items():
        there = free.index if task == ALL_TASKS else free.index[free.task == task]
        chosen.update(sorted(there, key=order)[:wanted])
        if len(there) < wanted:
            missing[task] = wanted - len(there)
        if len(there) < wanted * (1 - MAY_BE_MISSING):
            what = "rows" if task == ALL_TASKS else f"rows of {task}"
            aside = f" ({len(kept_back)} rows of all tasks are set aside with the test set)"
            raise EssenceError(
                f"sample: {wanted} {what} are wanted, there are {len(there)}"
                f"{aside if kept_back else ''}; lower the run's rows (now {settings.rows})"
                f"{', or test_set.rows' if kept_back else ''}, or change its sampling."
            )
    return chosen, missing


def _wanted(pool: pd.DataFrame, settings: SampleSettings) -> dict[str, int]:
    if settings.sampling == "natural":
        return {ALL_TASKS: settings.rows}
    tasks = [task for task in TASKS if (pool.task == task).any()]
    each, rest = divmod(settings.rows, len(tasks))
    return {task: each + (place < rest) for place, task in enumerate(tasks)}


def validation_counts(tasks: Mapping[str, int], share: float) -> dict[str, int]:
    """How many rows of each task are for validation: ceil(share x all), by largest remainder.

    As scikit-learn's stratified `train_test_split` counts: 1,011 rows at 0.2 give 203.
    """
    total = sum(tasks.values())
    wanted = math.ceil(Fraction(str(share)) * total)
    exact = {task: Fraction(wanted * tasks[task], total) for task in TASKS}
    counts = {task: math.floor(value) for task, value in exact.items()}
    by_remainder = sorted(TASKS, key=lambda task: counts[task] - exact[task])
    for task in by_remainder[: wanted - sum(counts.values())]:
        counts[task] += 1
    return counts


def choose_validation(
    pool: pd.DataFrame, sample: Collection[int], settings: SampleSettings
) -> set[int]:
    """The validation rows.

    A unit (a row, a group or a database, as `settings.split` says) stays on one side. Units are
    tried in random order and taken where that brings the counts nearer to the wanted ones; rows
    reach them exactly. Raises EssenceError when one unit holds everything.
    """
    rows = pool.loc[sorted(sample)]
    unit = rows[settings.split] if settings.split != "row" else rows.index.to_series()
    counts = pd.crosstab(unit, rows.task).reindex(columns=list(TASKS), fill_value=0)
    if len(counts) < 2:
        raise EssenceError(
            f"split: all {len(rows)} rows belong to one {settings.split} ({counts.index[0]}), "
            "so there are no two sides; use split: row, or rows of more databases"
        )
    missing = pd.Series(validation_counts(task_counts(rows), settings.validation_share)).to_numpy()
    of_unit = dict(zip(counts.index, counts.to_numpy(), strict=True))
    order = sorted(of_unit, key=chance("split", settings.draw, settings.seed))
    chosen = []
    for name in order:
        if abs(missing - of_unit[name]).sum() < abs(missing).sum():
            missing = missing - of_unit[name]
            chosen.append(name)
    if not chosen:  # every unit is more than twice what was asked for
        chosen = [min(order, key=lambda name: abs(missing - of_unit[name]).sum())]
    validation = set(rows.index[unit.isin(chosen)])
    if len(validation) == len(rows):
        raise EssenceError("validation_share: no row is left to train on; use a smaller share")
    return validation
