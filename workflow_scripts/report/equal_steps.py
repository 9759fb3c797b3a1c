"""Two trainings with different batch sizes side by side, where they can be compared.

A smaller batch makes more steps of as many rows, so what it reaches by an epoch is not what it
reaches by a step. Trainings are evaluated at the end of each epoch: the epoch of a run "by a step"
is the last that had ended by then.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from statistics import fmean
from typing import Literal

from workflow_scripts.artifacts.runs import Epoch
from workflow_scripts.report.runs import Measured, Run, over_seeds

Pair = tuple[Run, Run]  # two runs of one seed


class At(StrEnum):
    """Where two runs are compared."""

    EQUAL_EPOCHS = "equal epochs"  # after the last epoch that both reached
    EQUAL_STEPS = "equal steps"  # by the last step that both reached
    BEST = "best epochs"  # at the epoch that each kept
    LAST = "last epochs"  # where each stopped


def pairs_by(
    grid: list[Run], setting: Literal["batch_size", "learning_rate"], first: float, second: float
) -> list[Pair]:
    """Runs of a grid that differ in nothing but one setting: the first's value, the second's."""

    def rest(run: Run) -> tuple:
        known = {"seed": run.seed, **dict(run.settings)}
        return tuple(
            known[key] for key in ("seed", "batch_size", "learning_rate") if key != setting
        )

    others = {rest(run): run for run in grid if getattr(run.settings, setting) == second}
    return [
        (run, others[rest(run)])
        for run in grid
        if getattr(run.settings, setting) == first and rest(run) in others
    ]


def epochs_at(pair: Pair, at: At) -> tuple[Epoch, Epoch] | None:
    """The epoch of each run; None where one had no evaluation yet."""
    trainings = [run.training for run in pair]
    if at == At.BEST:
        return trainings[0].best, trainings[1].best
    lasts = [training.epochs[-1] for training in trainings]
    if at == At.LAST:
        return lasts[0], lasts[1]
    unit = "epoch" if at == At.EQUAL_EPOCHS else "step"
    shared = min(getattr(epoch, unit) for epoch in lasts)
    reached = [[e for e in each.epochs if getattr(e, unit) <= shared] for each in trainings]
    return (reached[0][-1], reached[1][-1]) if all(reached) else None


def differences_at(
    pairs: Iterable[Pair], at: At, value: Callable[[Epoch], float]
) -> list[tuple[int, float]]:
    """(seed, value of the first run - value of the second) for each pair that has both."""
    return [
        (pair[0].seed, value(epochs[0]) - value(epochs[1]))
        for pair in pairs
        if (epochs := epochs_at(pair, at))
    ]


def mean_by_seed(values: Iterable[tuple[int, float]]) -> Measured | None:
    """Over seeds: pairs of one seed share their rows, so each seed counts once, with its mean."""
    by_seed: dict[int, list[float]] = {}
    for seed, value in values:
        by_seed.setdefault(seed, []).append(value)
    return over_seeds([fmean(of_seed) for of_seed in by_seed.values()])
