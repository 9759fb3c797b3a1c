"""Which rows to draw, and which side each goes to: decisions on a `Pool`, no files.

Chance comes from a hash of (purpose, seed, idx), so a draw doesn't depend on the order of the
rows in the file, nor on a library's random numbers.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable
from fractions import Fraction
from hashlib import sha256
from heapq import nsmallest
from itertools import chain

from workflow_scripts.artifacts.data import SampleSettings
from workflow_scripts.data.pool import Pool
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS

# Share of the rows wanted that a sample may lack. One row in a hundred may be unreadable
# (data.max_quarantine); where all of these are Refiner rows, that is a tenth of them.
MAY_BE_MISSING = Fraction(1, 10)


def chance(*what: Hashable) -> Callable[[Hashable], bytes]:
    """A sorting key that puts things in random order, the same order for the same `what`."""
    prefix = "/".join(map(str, what))
    return lambda thing: sha256(f"{prefix}/{thing}".encode()).digest()


def of_databases(pool: Pool, names: Collection[str]) -> set[int]:
    """The idx of the rows about these databases. Raises EssenceError when one has no row."""
    known = {pool.database[idx] for idx, how in pool.linked.items() if how}
    if unknown := sorted(set(names) - known):
        raise EssenceError(
            f"test_set.unseen_databases: no row is about {', '.join(unknown)}; the rows are about "
            f"{', '.join(sorted(known)) or 'no database that is known by name'}"
        )
    return {idx for idx, how in pool.linked.items() if how and pool.database[idx] in names}


def set_aside(
    pool: Pool, test: Collection[int], unseen_databases: Collection[str]
) -> dict[str, set[int]]:
    """Why -> the idx of the rows, besides the test rows, that no sample may use.

    A row stands under the first reason that holds for it. Where databases are to stay unseen, a
    row whose database was not found is set aside too, unless all that it may be about are others.
    """
    unseen = of_databases(pool, unseen_databases)
    lost = {idx for idx, how in pool.linked.items() if unseen and how is None}
    reasons = {
        "same question or SQL as a test row": reserved(pool, test),
        "about an unseen database": unseen,
        "same question or SQL as a row about an unseen database": reserved(pool, unseen),
        "perhaps about an unseen database": {
            idx
            for idx in lost
            if not pool.candidates[idx] or set(pool.candidates[idx]) & set(unseen_databases)
        },
    }
    counted = set(test)
    for rows in reasons.values():
        rows -= counted
        counted |= rows
    return reasons


def choose_test(
    pool: Pool, per_task: dict[str, int], seed: int, kept_back: Collection[int] = ()
) -> set[int]:
    """The idx of the test set: for each task the first n rows, in a random order of the groups.

    Whole groups (see `groups.group_rows`) are thereby set aside: `reserved` gives all rows that
    no sample may use. A task of which 0 rows are wanted keeps all of its rows for training: groups
    that hold one are passed over.

    Raises EssenceError when a task has fewer rows than asked for.
    """
    free = pool.task.keys() - set(kept_back)
    have = Counter(pool.task[idx] for idx in free)
    for task, wanted in per_task.items():
        if wanted > have[task]:
            raise EssenceError(
                f"test set: {wanted} rows of {task} are wanted, there are {have[task]}; "
                f"lower test_set.rows.{task}"
            )
    spared = {pool.group[idx] for idx, task in pool.task.items() if per_task.get(task) == 0}
    free = {idx for idx in free if pool.group[idx] not in spared}
    chosen = _first_of_each_task(pool, free, per_task, seed)
    left = Counter(per_task)
    left.subtract(pool.task[idx] for idx in chosen)
    for task, missing in left.items():
        if missing:
            raise EssenceError(
                f"test set: {per_task[task]} rows of {task} are wanted, {per_task[task] - missing} "
                "have a question and SQL that no task with 0 test rows shares; lower "
                f"test_set.rows.{task}"
            )
    return chosen


def choose_unseen(
    pool: Pool, databases: Collection[str], per_task: dict[str, int], seed: int
) -> set[int]:
    """The idx of as many rows of these databases, or of all there are. Raises EssenceError when
    no row is about one of them."""
    return _first_of_each_task(pool, of_databases(pool, databases), per_task, seed)


def _first_of_each_task(
    pool: Pool, free: Iterable[int], per_task: dict[str, int], seed: int
) -> set[int]:
    """For each task the first n of the `free` rows, or all, in a random order of the groups."""
    order = chance("test", seed)
    of_task: defaultdict[str, list[int]] = defaultdict(list)
    for idx in free:
        of_task[pool.task[idx]].append(idx)

    def place(idx: int) -> bytes:
        return order(pool.group[idx]) + order(f"row {idx}")

    firsts = (nsmallest(wanted, of_task[task], place) for task, wanted in per_task.items())
    return set(chain.from_iterable(firsts))


def reserved(pool: Pool, rows: Iterable[int]) -> set[int]:
    """Every row that shares a group with one of `rows`, these included."""
    groups = {pool.group[idx] for idx in rows}
    return {idx for idx, group in pool.group.items() if group in groups}


def choose_sample(pool: Pool, kept_back: set[int], settings: SampleSettings) -> set[int]:
    """The idx of one sample: as many rows as wanted, or all there are where few are missing.

    Raises EssenceError when more than `MAY_BE_MISSING` of the rows are.
    """
    order = chance("sample", settings.sampling, settings.draw, settings.seed)
    free = pool.task.keys() - kept_back
    if settings.sampling == "natural":
        _check_enough("rows", len(free), settings.rows, len(kept_back), "rows")
        return set(nsmallest(settings.rows, free, order))
    chosen: set[int] = set()
    for task, wanted in rows_of_each_task(pool, settings.rows).items():
        of_task = [idx for idx in free if pool.task[idx] == task]
        _check_enough(
            f"rows of {task}", len(of_task), wanted, len(kept_back), f"rows (now {settings.rows})"
        )
        chosen.update(nsmallest(wanted, of_task, order))
    return chosen


def rows_of_each_task(pool: Pool, rows: int) -> dict[str, int]:
    """How many rows of each task a balanced sample wants."""
    tasks = [task for task in TASKS if task in set(pool.task.values())]
    return {
        task: rows // len(tasks) + (place < rows % len(tasks)) for place, task in enumerate(tasks)
    }


def missing_rows(pool: Pool, sample: set[int], settings: SampleSettings) -> dict[str, int]:
    """What a sample lacks of the rows wanted: of each task of a balanced one, or of all."""
    missing = {"all tasks": settings.rows - len(sample)}
    if settings.sampling == "balanced":
        have = Counter(pool.task[idx] for idx in sample)
        wanted = rows_of_each_task(pool, settings.rows)
        missing = {task: rows - have[task] for task, rows in wanted.items()}
    return {what: rows for what, rows in missing.items() if rows}


def _check_enough(what: str, have: int, wanted: int, kept_back: int, key: str) -> None:
    if have >= wanted * (1 - MAY_BE_MISSING):
        return
    because = f" ({kept_back} rows of all tasks are set aside with the test set)"
    raise EssenceError(
        f"sample: {wanted} {what} are wanted, there are {have}{because if kept_back else ''}; "
        f"lower the run's {key}{', or test_set.rows' if kept_back else ''}, or change its sampling."
    )


def validation_counts(tasks: Counter, share: float) -> dict[str, int]:
    """How many rows of each task are for validation: ceil(share x all), by largest remainder.

    As scikit-learn's stratified `train_test_split` counts: 1,011 rows at 0.2 give 203.
    """
    total = tasks.total()
    wanted = math.ceil(Fraction(str(share)) * total)
    exact = {task: Fraction(wanted * tasks[task], total) for task in TASKS}
    counts = {task: math.floor(value) for task, value in exact.items()}
    by_remainder = sorted(TASKS, key=lambda task: counts[task] - exact[task])
    for task in by_remainder[: wanted - sum(counts.values())]:
        counts[task] += 1
    return counts


def choose_validation(pool: Pool, sample: set[int], settings: SampleSettings) -> set[int]:
    """The idx of the validation rows.

    A unit (a row, a group or a database, as `settings.split` says) stays on one side. Units are
    tried in random order and taken where that brings the counts nearer to the wanted ones; rows
    reach them exactly. Raises EssenceError when one unit holds everything.
    """
    unit_of = {"row": lambda idx: idx, "group": pool.group.get, "database": pool.database.get}
    units: defaultdict[Hashable, list[int]] = defaultdict(list)
    for idx in sorted(sample):
        units[unit_of[settings.split](idx)].append(idx)
    if len(units) < 2:
        raise EssenceError(
            f"split: all {len(sample)} rows belong to one {settings.split} ({next(iter(units))}), "
            "so there are no two sides; use split: row, or rows of more databases"
        )
    target = validation_counts(Counter(pool.task[idx] for idx in sample), settings.validation_share)
    taken: Counter = Counter()

    def distance_with(unit: Hashable) -> int:
        counts = taken + Counter(pool.task[idx] for idx in units[unit])
        return sum(abs(target[task] - counts[task]) for task in TASKS)

    order = sorted(units, key=chance("split", settings.draw, settings.seed))
    chosen: list[Hashable] = []
    distance = sum(target.values())
    for unit in order:
        if distance_with(unit) < distance:
            distance = distance_with(unit)
            taken.update(pool.task[idx] for idx in units[unit])
            chosen.append(unit)
    if not chosen:  # every unit is more than twice what was asked for
        chosen = [min(order, key=distance_with)]
    validation = {idx for unit in chosen for idx in units[unit]}
    if validation == sample:
        raise EssenceError("validation_share: no row is left to train on; use a smaller share")
    return validation
