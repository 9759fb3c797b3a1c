"""What several results share: means over seeds and rows, and which run of a recipe is the best."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml

from workflow_scripts.intervals import (
    Interval,
    difference_over_rows,
    mean_over_rows,
    mean_over_seeds,
    one_more_seed,
)
from workflow_scripts.tables import SEEN, clusters_of

USES_FILES = ["words.yaml"]
WORDS = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
METRICS = WORDS["metrics"]
LOWER_IS_BETTER = ("eval_loss", "loss_per_token")
ADDRESS = ["recipe", "run"]


class Mean(NamedTuple):
    """A mean, its interval (else NaN), what that is `over`; of several seeds the fewest `rows`."""

    value: float
    low: float = math.nan
    high: float = math.nan
    over: str = ""
    rows: int | None = None

    @property
    def has_interval(self) -> bool:
        return self.low == self.low

    def __str__(self) -> str:
        return written(*self[:3])


def written(value: float, low: float = math.nan, high: float = math.nan, digits: int = 3) -> str:
    """A number with its interval; empty where nothing was measured."""
    if pd.isna(value):
        return ""
    text = f"{value:.{digits}f}"
    return text if pd.isna(low) else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def rate(value: float) -> str:
    """A learning rate as people write it: 1e-4."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def over_seeds(values: Sequence[float], comparisons: int = 1) -> Mean | None:
    """Mean of one value per seed, with its interval over seeds; None without values."""
    if not len(values):
        return None
    mean = Mean(*mean_over_seeds(list(values), comparisons))
    return mean._replace(over="seeds" * mean.has_interval)


def by_row_and_seed(answers: pd.DataFrame, metrics: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Each metric of one run's answers to one split: a row per idx, a column per seed.

    Rows and seeds without a value are left out, so a table may be empty.
    """
    known = [metric for metric in metrics if metric in answers]
    whole = answers.set_index(["idx", "seed"])[known].astype(float).unstack()
    whole = whole.dropna(how="all", axis="columns")
    tables = {metric: whole[metric].dropna(how="all") for metric in whole.columns.unique(0)}
    return dict.fromkeys(metrics, pd.DataFrame()) | tables


def databases_of(answers: pd.DataFrame) -> pd.Series | None:
    """The database of each row, by idx, where whole databases were drawn, else None."""
    databases = clusters_of(answers)
    return None if databases is None else databases.groupby(answers.idx).first()


def mean_of_answers(answers: pd.DataFrame, metric: str) -> Mean | None:
    """A metric's mean of one run's answers to one split, over rows, or databases, and seeds."""
    return _mean(by_row_and_seed(answers, [metric])[metric], databases_of(answers))


def _mean(table: pd.DataFrame, databases: pd.Series | None) -> Mean | None:
    if table.empty:
        return None
    over = "rows and seeds" if table.shape[1] > 1 else "rows"
    clusters = None if databases is None else databases[table.index].to_numpy()
    if clusters is not None:
        count = len(set(clusters))
        over = over.replace("rows", f"{count} databases" if count > 1 else "rows of one database")
    return Mean(*mean_over_rows(table, clusters), over, int(table.notna().sum().min()))


def difference_of_answers(
    first: pd.DataFrame, second: pd.DataFrame, metric: str, comparisons: int = 1
) -> tuple[int, *Interval] | None:
    """How many rows two runs share, and their paired difference: the first minus the second.

    Of the same split; over rows (or databases) and the seeds that both have. None where they share
    none. `comparisons`: how many such differences support one conclusion.
    """
    one, other = (by_row_and_seed(each, [metric])[metric] for each in (first, second))
    one, other = one.align(other, join="inner")
    if not one.size:
        return None
    databases = databases_of(first)
    clusters = None if databases is None else databases[one.index].to_numpy()
    return len(one), *difference_over_rows(one, other, clusters, comparisons)


def one_more_run(scores: pd.DataFrame) -> Mean | None:
    """The mean of one score per seed, with the interval in which one more run's score lies.

    Where no two seeds differ it is made from the interval over rows: a run that is asked as many
    other rows errs as much as this one, so the half-widths add as squares.
    """
    known = scores[scores.value.notna()]
    if known.empty:
        return None
    rows = None if known.n.isna().all() else int(known.n.min())
    mean = Mean(*one_more_seed(known.value.tolist()), "seeds", rows)
    of_rows = known[known.low.notna()]
    if of_rows.empty:
        return mean
    if not mean.has_interval:
        widest = of_rows.loc[(of_rows.high - of_rows.low).idxmax()]
        low, high = mean.value + math.sqrt(2) * (widest[["low", "high"]] - mean.value)
        mean = mean._replace(low=low, high=high, over="rows")
    return mean._replace(low=max(mean.low, 0.0), high=min(mean.high, 1.0))  # a share of rows


def means_over_seeds(scores: pd.DataFrame, answers: pd.DataFrame | None = None) -> pd.DataFrame:
    """over_seeds.csv: `scores` with a row per run; metrics of answers as in `mean_of_answers`."""
    keys, lines = [*ADDRESS, "split", "task", "metric"], []
    answers = pd.DataFrame(columns=keys) if answers is None else answers
    of_split = dict(list(answers.groupby([*ADDRESS, "split"], sort=False)))
    metrics = [name for name in scores.metric.unique() if name in answers and name != SEEN]

    @functools.cache
    def tables(*address: str, task: str) -> tuple[dict[str, pd.DataFrame], pd.Series | None]:
        own = of_split[address]
        own = own if task == "all" else own[own.task == task]
        return by_row_and_seed(own, metrics), databases_of(own)

    for key, seeds in scores[scores.value.notna()].groupby(keys, sort=False):
        *address, task, metric = key
        if metric in metrics:
            of_metric, databases = tables(*address, task=task)
            mean = _mean(of_metric[metric], databases)
        else:
            mean = over_seeds(seeds.value.tolist())
            mean = mean._replace(rows=None if seeds.n.isna().all() else int(seeds.n.min()))
            mean = mean._replace(low=max(mean.low, 0.0))  # no loss and no share is below 0
            if metric == SEEN or metric.endswith("_at_most"):  # facts of the rows, not estimates
                mean = Mean(mean.value, rows=mean.rows)
        if mean:
            lines.append((*key, len(seeds), *mean[:3], mean.over or None, mean.rows))
    return pd.DataFrame(lines, columns=[*keys, "seeds", "mean", "low", "high", "over", "rows"])


def as_mean(line: pd.Series) -> Mean:
    """A line of over_seeds.csv."""
    rows = None if pd.isna(line["rows"]) else int(line["rows"])
    return Mean(line["mean"], line["low"], line["high"], rows=rows)


def held_out(splits: Sequence[str]) -> str:
    """The rows that a model is judged on: test, or val where no test rows are among the splits."""
    return "test" if "test" in set(splits) else "val"


def best_runs(runs: pd.DataFrame) -> dict[str, str]:
    """Recipe -> its best run: of the lowest mean evaluation loss on its own validation rows."""
    losses = runs.groupby(ADDRESS, sort=False).best_eval_loss.mean()
    return {recipe: losses[recipe].idxmin() for recipe in runs.recipe.unique()}
