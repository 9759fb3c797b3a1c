"""Which rows to draw, and which side each goes to: decisions on `Rows`, no files.

Chance comes from a hash of (purpose, seed, idx), so a draw doesn't depend on the order of the
rows in the file, nor on a library's random numbers.
"""

import dataclasses
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from fractions import Fraction
from hashlib import sha256

from workflow_scripts.data.table import Rows
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS

Chance = Callable[[Hashable], bytes]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How one sample is drawn and split; the config's words.

    `draw` numbers the samples that one seed gives, so that two runs can have different rows.
    """

    sampling: str  # natural: at random; balanced: the same number of each task
    rows: int
    split: str = "row"  # row, group (question or gold SQL kept on one side), database
    validation_share: float = 0.2
    draw: int = 1
    seed: int = 42

    def __post_init__(self) -> None:
        for key, allowed in (
            ("sampling", ("natural", "balanced")),
            ("split", ("row", "group", "database")),
        ):
            if getattr(self, key) not in allowed:
                raise EssenceError(
                    f"{key}: {getattr(self, key)!r} is unknown; use one of: {', '.join(allowed)}"
                )
        if not 0 < self.validation_share < 1:
            raise EssenceError(
                f"validation_share: {self.validation_share} must lie between 0 and 1"
            )
        if self.rows < 2:
            raise EssenceError(f"rows: {self.rows} can't be split in two; give at least 2")

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            keys = ", ".join(field.name for field in dataclasses.fields(cls))
            raise EssenceError(
                f"--settings: {error}; give a JSON object with (some of) {keys}"
            ) from error


def chance(*what: Hashable) -> Chance:
    """A sorting key that puts things in random order, the same order for the same `what`."""
    prefix = "/".join(map(str, what))
    return lambda thing: sha256(f"{prefix}/{thing}".encode()).digest()


def draw_test(rows: Rows, per_task: dict[str, int], seed: int) -> set[int]:
    """The idx of the test set: for each task the first n rows, in a random order of the groups.

    Whole groups (see `groups.group_rows`) are thereby set aside: `reserved` gives all rows that
    no sample may use. A task of which 0 rows are wanted keeps all of its rows for training: groups
    that hold one are passed over.

    Raises EssenceError when a task has fewer rows than asked for.
    """
    have = Counter(rows.task.values())
    for task, wanted in per_task.items():
        if task not in TASKS:
            raise EssenceError(f"test_set.rows: task {task!r} is unknown; use: {', '.join(TASKS)}")
        if wanted > have[task]:
            raise EssenceError(
                f"test set: {wanted} rows of {task} are wanted, there are {have[task]}; "
                f"lower test_set.rows.{task}"
            )
    order = chance("test", seed)
    chosen: set[int] = set()
    left = dict(per_task)
    spared = {rows.group[idx] for idx, task in rows.task.items() if per_task.get(task) == 0}
    for idx in sorted(rows.task, key=lambda idx: (order(rows.group[idx]), order(f"row {idx}"))):
        if left.get(rows.task[idx], 0) and rows.group[idx] not in spared:
            left[rows.task[idx]] -= 1
            chosen.add(idx)
    for task, missing in left.items():
        if missing:
            raise EssenceError(
                f"test set: {per_task[task]} rows of {task} are wanted, {per_task[task] - missing} "
                "have a question and SQL that no task with 0 test rows shares; lower "
                f"test_set.rows.{task}"
            )
    return chosen


def reserved(rows: Rows, test: Iterable[int]) -> set[int]:
    """Every row that shares a group with a test row, the test rows included."""
    groups = {rows.group[idx] for idx in test}
    return {idx for idx, group in rows.group.items() if group in groups}


def draw_sample(rows: Rows, kept_back: set[int], settings: Settings) -> set[int]:
    """The idx of one sample. Raises EssenceError when there are too few rows."""
    order = chance("sample", settings.sampling, settings.draw, settings.seed)
    pool = sorted(set(rows.task) - kept_back, key=order)
    if settings.sampling == "natural":
        _enough("rows", len(pool), settings.rows, len(kept_back), "rows")
        return set(pool[: settings.rows])
    tasks = [task for task in TASKS if task in set(rows.task.values())]
    chosen: set[int] = set()
    for place, task in enumerate(tasks):
        wanted = settings.rows // len(tasks) + (place < settings.rows % len(tasks))
        mine = [idx for idx in pool if rows.task[idx] == task]
        _enough(f"rows of {task}", len(mine), wanted, len(kept_back), f"rows (now {settings.rows})")
        chosen.update(mine[:wanted])
    return chosen


def _enough(what: str, have: int, wanted: int, kept_back: int, key: str) -> None:
    if have >= wanted:
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


def split_sample(rows: Rows, sample: set[int], settings: Settings) -> set[int]:
    """The idx of the validation rows: units in random order, each taken if it brings us nearer.

    A unit is a row, a group or a database. Rows give the wanted counts exactly, larger units as
    nearly as they allow. Raises EssenceError when one unit holds everything.
    """
    unit_of = {"row": lambda idx: idx, "group": rows.group.get, "database": rows.database.get}
    units: defaultdict[Hashable, list[int]] = defaultdict(list)
    for idx in sorted(sample):
        units[unit_of[settings.split](idx)].append(idx)
    if len(units) < 2:
        raise EssenceError(
            f"split: all {len(sample)} rows belong to one {settings.split} ({next(iter(units))}), "
            "so there are no two sides; use split: row, or rows of more databases"
        )
    target = validation_counts(Counter(rows.task[idx] for idx in sample), settings.validation_share)
    taken: Counter = Counter()

    def distance_with(unit: Hashable) -> int:
        counts = taken + Counter(rows.task[idx] for idx in units[unit])
        return sum(abs(target[task] - counts[task]) for task in TASKS)

    order = sorted(units, key=chance("split", settings.draw, settings.seed))
    chosen: list[Hashable] = []
    distance = sum(target.values())
    for unit in order:
        if distance_with(unit) < distance:
            distance = distance_with(unit)
            taken.update(rows.task[idx] for idx in units[unit])
            chosen.append(unit)
    if not chosen:  # every unit is more than twice what was asked for
        chosen = [min(order, key=distance_with)]
    validation = {idx for unit in chosen for idx in units[unit]}
    if validation == sample:
        raise EssenceError("validation_share: no row is left to train on; use a smaller share")
    return validation
