"""What several results share: means over seeds and rows, and which run of a recipe is the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from workflow_scripts.intervals import mean_over_rows, mean_over_seeds, one_more_seed

# A model is judged on test rows of databases that its training rows are about too, of databases
# that no run has seen, and of databases that another file of rows is about.
TEST_SPLITS = ("test", "unseen", "other")
LOWER_IS_BETTER = ("eval_loss", "loss_per_token")
ADDRESS = ["recipe", "run"]


@dataclass(frozen=True)
class Mean:
    """A mean with its interval (NaN where there is none) and what that is `over`.

    `rows`: how many are behind it, of several seeds the fewest; None where rows are not counted.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    over: Literal["seeds", "rows", ""] = ""
    rows: int | None = None

    @property
    def has_interval(self) -> bool:
        return self.low == self.low

    def __str__(self) -> str:
        text = f"{self.value:.3f}"
        return f"{text} [{self.low:.3f}, {self.high:.3f}]" if self.has_interval else text


def over_seeds(values: Sequence[float]) -> Mean | None:
    """Mean of one value per seed, with its interval over seeds; None without values."""
    if not len(values):
        return None
    mean = Mean(*mean_over_seeds(list(values)))
    return Mean(mean.value, mean.low, mean.high, "seeds") if mean.has_interval else mean


def mean_score(scores: pd.DataFrame) -> Mean | None:
    """Mean of one score per seed (rows of `scores`), over seeds.

    Where no two seeds differ the interval is the widest one over rows.
    """
    scores = scores[scores.value.notna()]
    mean = over_seeds(scores.value.tolist())
    if mean is None:
        return None
    low, high, over = mean.low, mean.high, mean.over
    known = scores[scores.low.notna()]
    if not mean.has_interval and len(known):
        widest = known.loc[(known.high - known.low).idxmax()]
        low, high, over = float(widest.low), float(widest.high), "rows"
    rows = None if scores.n.isna().all() else int(scores.n.min())
    return Mean(mean.value, low, high, over, rows)


def one_more_run(scores: pd.DataFrame) -> Mean | None:
    """The mean of one score per seed, with the interval in which one more run's score lies.

    Where no two seeds differ it is made from the interval over rows: a run that is asked as many
    other rows errs as much as this one, so the half-widths add as squares.
    """
    mean = mean_score(scores)
    if mean is None or not mean.has_interval:
        return mean
    if mean.over == "rows":
        ends = (mean.value + math.sqrt(2) * (end - mean.value) for end in (mean.low, mean.high))
        low, high = (min(max(end, 0.0), 1.0) for end in ends)
    else:
        _, low, high = one_more_seed(scores.value.dropna().tolist())
    return replace(mean, low=low, high=high)


def means_over_seeds(scores: pd.DataFrame) -> pd.DataFrame:
    """over_seeds.csv: the table `scores` with one row per run in place of one per seed."""
    keys = [*ADDRESS, "split", "task", "metric"]
    lines = []
    for key, seeds in scores.groupby(keys, sort=False):
        if mean := mean_score(seeds):
            numbers = {"mean": mean.value, "low": mean.low, "high": mean.high}
            lines.append(
                dict(zip(keys, key, strict=True))
                | {"seeds": len(seeds), **numbers, "over": mean.over or None, "rows": mean.rows}
            )
    columns = [*keys, "seeds", "mean", "low", "high", "over", "rows"]
    return pd.DataFrame(lines, columns=columns)


def row_means(answers: pd.DataFrame, metric: str, split: str) -> pd.DataFrame:
    """One row per run and row of a split: `value`, the metric's mean over the run's seeds.

    Seeds answer the same rows, so their answers are not independent: intervals are over rows.
    """
    if metric not in answers:
        return pd.DataFrame(columns=[*ADDRESS, "idx", "task", "value"])
    known = answers[(answers.split == split) & answers[metric].notna()]
    values = known.groupby([*ADDRESS, "idx", "task"], sort=False)[metric].mean()
    return values.rename("value").reset_index()


def mean_of_rows(rows: pd.DataFrame) -> Mean | None:
    """The mean of `row_means` of one run; a row counts once."""
    if rows.empty:
        return None
    return Mean(*mean_over_rows(rows.value.to_numpy()), "rows", len(rows))


def held_out(splits: Sequence[str]) -> str:
    """The rows that a model is judged on: test, or val where no test rows are among the splits."""
    return "test" if "test" in set(splits) else "val"


def ranked(values: pd.Series, metric: str) -> list[str]:
    """The names in the index by value, the best first; of equals, the first given."""
    return values.sort_values(ascending=metric in LOWER_IS_BETTER, kind="stable").index.tolist()


def rankings(runs: pd.DataFrame) -> dict[str, pd.Series]:
    """Recipe -> mean evaluation loss of each of its runs, the lowest first.

    The loss is that of each run's own validation rows, so no test row takes part in the choice.
    """
    losses = runs.groupby(ADDRESS, sort=False).best_eval_loss.mean()
    return {recipe: losses[recipe].sort_values(kind="stable") for recipe in runs.recipe.unique()}


def best_runs(runs: pd.DataFrame) -> dict[str, str]:
    """Recipe -> the run that everything in the report means by its best run."""
    return {recipe: losses.index[0] for recipe, losses in rankings(runs).items()}
