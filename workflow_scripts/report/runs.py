"""Reading what a fine-tuning left in its folder `results/runs/<recipe>/<run>/seed<k>/`.

Also what several results share: the mean of a run's seeds, which run is the best, and which rows
count as held out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

from workflow_scripts.artifacts.base import read_lines
from workflow_scripts.artifacts.runs import (
    LOG_EVENT,
    Answering,
    Provenance,
    Ranked,
    Step,
    Training,
)
from workflow_scripts.artifacts.settings import RunSettings

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


def ranked(values: Mapping[str, Sequence[float]], metric: str) -> list[Ranked]:
    """Runs by the mean of `metric` over their seeds, the best first; of equals, the first given."""
    means = [Ranked(run=run, value=fmean(of_seeds)) for run, of_seeds in values.items()]
    return sorted(means, key=lambda each: each.value, reverse=metric not in LOWER_IS_BETTER)


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
