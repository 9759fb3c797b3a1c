"""Claims that compare trainings: when they get a verdict.

Steps, learning rates or rows of one seed are no repetitions of a training, so the interval is over
seeds. And a run that was still learning when its epochs ended says what its limit was worth, not
what its settings are: where one that a claim compares had not converged, the claim is open.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from statistics import fmean

from workflow_scripts.artifacts.claims import Doubt, Doubtful, Finding
from workflow_scripts.artifacts.runs import Epoch
from workflow_scripts.report.claims.outcome import NOT_MEASURED, Outcome, above, too_few
from workflow_scripts.report.equal_steps import (
    At,
    Pair,
    differences_at,
    mean_by_seed,
)
from workflow_scripts.report.runs import Measured, Run

Value = Callable[[Run], float | None]


def validation_rows(run: Run) -> int:
    return run.training.rows["val"]["all"]


def compare(
    words: str,
    pairs: list[Pair],
    value: Value,
    rows: Callable[[Run], int] = validation_rows,
    among: Iterable[Run] = (),
) -> Outcome:
    """The claim that a value is higher for the first runs of the pairs than for the second.

    `rows` counts those behind a run's value; `among`: more runs that must have converged.
    """
    measured = [pair for pair in pairs if None not in (value(pair[0]), value(pair[1]))]
    difference = mean_by_seed((a.seed, value(a) - value(b)) for a, b in measured)
    if difference is None:
        return NOT_MEASURED
    runs = dict.fromkeys([*among, *(run for pair in measured for run in pair)])
    outcome = above(f"{words}: {difference}", difference, 0)
    return _doubted(outcome, too_few(min(map(rows, runs))), not_converged(runs))


def compare_batches(
    words: str, pairs: list[Pair], value: Callable[[Epoch], float], settled: At
) -> Outcome:
    """The same of batch sizes, for a value of an epoch.

    It is judged where the runs had settled, and shown at equal epochs and at equal steps: where
    these two have opposite signs, it is open.
    """
    shown = {
        at: difference
        for at in (settled, At.EQUAL_EPOCHS, At.EQUAL_STEPS)
        if (difference := mean_by_seed(differences_at(pairs, at, value)))
    }
    if settled not in shown:
        return NOT_MEASURED
    numbers = ", ".join(f"{difference} ({at})" for at, difference in shown.items())
    text = f"{words}, mean of {len(pairs)} pairs: {numbers}"
    runs = dict.fromkeys(run for pair in pairs for run in pair)
    outcome = above(text, shown[settled], 0)
    few = too_few(min(map(validation_rows, runs)))
    return _doubted(outcome, few, not_converged(runs), opposed(shown))


def not_converged(runs: Iterable[Run]) -> Doubt | None:
    """Where a run came to its limit of epochs before patience stopped it."""
    converged = [run.training.stopped_early for run in runs]
    if all(converged):
        return None
    return Doubt(reason=Doubtful.NOT_CONVERGED, n=converged.count(False), of=len(converged))


def opposed(differences: dict[At, Measured]) -> Doubt | None:
    """Where the differences at equal epochs and at equal steps have opposite signs."""
    both = [differences[at].value for at in (At.EQUAL_EPOCHS, At.EQUAL_STEPS) if at in differences]
    return Doubt(reason=Doubtful.OPPOSED) if min(both) < 0 < max(both) else None


def means(pairs: list[Pair], value: Value) -> tuple[float, float] | None:
    """The mean of the first runs and that of the second; None where nothing was measured."""
    values = [(value(first), value(second)) for first, second in pairs]
    values = [each for each in values if None not in each]
    if not values:
        return None
    return fmean(first for first, _ in values), fmean(second for _, second in values)


def _doubted(outcome: Outcome, *doubts: Doubt | None) -> Outcome:
    """Open for the first reason there is, where anything was measured."""
    doubt = next(filter(None, doubts), None)
    if doubt is None or outcome.finding == Finding.NOT_MEASURED:
        return outcome
    return replace(outcome, finding=Finding.OPEN, difference=None, doubt=doubt)
