"""Reading what a fine-tuning left in its folder `results/runs/<recipe>/<run>/seed<k>/`.

Also what several results share: the mean of a run's seeds, which run is the best, and which rows
count as held out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Literal

from workflow_scripts.artifacts.base import read_lines
from workflow_scripts.artifacts.endpoint import Answering
from workflow_scripts.artifacts.report import Result
from workflow_scripts.artifacts.runs import (
    LOG_EVENT,
    Provenance,
    Ranked,
    Score,
    Scores,
    SqlScores,
    Step,
    Training,
)
from workflow_scripts.artifacts.settings import RunSettings
from workflow_scripts.intervals import mean_over_seeds

LOWER_IS_BETTER = ("eval_loss", "loss_per_token")


@dataclass(frozen=True)
class Run:
    """One fine-tuning: its folder, and its files read when asked for."""

    folder: Path

    @classmethod
    def read(cls, folder: Path | str) -> "Run":
        return cls(Path(folder))

    @cached_property
    def training(self) -> Training:
        return Training.read(self.folder / "training.json")

    @cached_property
    def steps(self) -> list[Step]:
        """The optimiser steps in the log."""
        events = read_lines(LOG_EVENT, self.folder / "training_log.jsonl")
        return [event for event in events if isinstance(event, Step)]

    @cached_property
    def scores(self) -> list[Score]:
        """Scores of the text, and of the SQL where it was executed."""
        scores = Scores.read(self.folder / "scores.json").scores
        executed = self.folder / "sql_scores.json"
        return scores + (SqlScores.read(executed).scores if executed.is_file() else [])

    @cached_property
    def provenance(self) -> Provenance:
        return Provenance.read(self.folder / "provenance.json")

    @cached_property
    def answering(self) -> Answering:
        return Answering.read(self.folder / "answering.json")

    @property
    def recipe(self) -> str:
        return self.training.recipe

    @property
    def name(self) -> str:
        return self.training.run

    @property
    def seed(self) -> int:
        return self.training.seed

    @property
    def settings(self) -> RunSettings:
        """The settings of the run alone: batch size, learning rate, epochs and so on."""
        return self.training.settings.run

    @property
    def log_every(self) -> int:
        return self.training.settings.training.log_every

    def score(self, metric: str, split: str = "val", task: str = "all") -> float | None:
        """A measured value, or None; losses are the kept epoch's, on validation rows."""
        for score in self.scores:
            if (score.metric, score.split, score.task) == (metric, split, task):
                return score.value
        return None


def ranked(values: Mapping[str, Sequence[float]], metric: str) -> list[Ranked]:
    """Runs by the mean of `metric` over their seeds, the best first; of equals, the first given."""
    means = [Ranked(run=run, value=fmean(of_seeds)) for run, of_seeds in values.items()]
    return sorted(means, key=lambda each: each.value, reverse=metric not in LOWER_IS_BETTER)


@dataclass(frozen=True)
class Measured:
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


def over_seeds(values: Sequence[float]) -> Measured | None:
    """Mean of one value a seed, with its interval over seeds; None without values."""
    if not values:
        return None
    mean = Measured(*mean_over_seeds(values))
    return replace(mean, over="seeds") if mean.has_interval else mean


def mean_score(seeds: Sequence[Score | Result]) -> Measured | None:
    """Mean of one score a seed; where no two seeds differ, with the widest interval over rows."""
    if not seeds:
        return None
    mean = replace(over_seeds([score.value for score in seeds]), rows=min(s.n for s in seeds))
    over_rows = [(score.low, score.high) for score in seeds if score.low is not None]
    if mean.has_interval or not over_rows:
        return mean
    low, high = max(over_rows, key=lambda limits: limits[1] - limits[0])
    return replace(mean, low=low, high=high, over="rows")


def by_address(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """(recipe, name) -> the seeds of a run."""
    seeds: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        seeds.setdefault((run.recipe, run.name), []).append(run)
    return seeds


def ranking(runs: Iterable[Run]) -> dict[str, list[Ranked]]:
    """Recipe -> its runs by mean evaluation loss, the lowest first.

    The loss is that of each run's own validation rows, so no test row takes part in the choice.
    """
    losses: dict[str, dict[str, list[float]]] = {}
    for (recipe, name), seeds in by_address(runs).items():
        losses.setdefault(recipe, {})[name] = [run.training.best_eval_loss for run in seeds]
    return {recipe: ranked(of_runs, "eval_loss") for recipe, of_runs in losses.items()}


def best_runs(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Recipe -> all seeds of its best run: the first of its ranking."""
    runs = list(runs)
    seeds = by_address(runs)
    return {recipe: seeds[recipe, of_runs[0].run] for recipe, of_runs in ranking(runs).items()}


def held_out(splits: Iterable[str]) -> str:
    """The rows that a model is judged on: test, or val where no test rows are among the splits."""
    return "test" if "test" in set(splits) else "val"


@dataclass(frozen=True)
class LoggedLoss:
    step: int
    epoch: float
    loss: float


def logged_losses(run: Run) -> list[LoggedLoss]:
    """The training loss as the Trainer logs it: the mean over each `log_every` steps."""
    points, window = [], []
    for step in run.steps:
        window.append(step.loss)
        if step.step % run.log_every == 0:
            points.append(LoggedLoss(step.step, step.epoch, sum(window) / len(window)))
            window = []
    return points
