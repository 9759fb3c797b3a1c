"""What the claims are tested on: all runs by recipe and name, the fit audits, the ablation."""

import math
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from workflow_scripts.artifacts.published import Published
from workflow_scripts.intervals import mean_over_seeds
from workflow_scripts.report.runs import Run, held_out

RECIPES = ("as_run", "as_written", "repaired")
# The report trained experiment 2's two runs apart; elsewhere they are two runs of experiment 3.
TWICE_SHOWN = {"exp2_bs4": "exp3_bs4_lr5e-5", "exp2_bs8": "exp3_bs8_lr5e-5"}
CHOSEN = "exp3_bs4_lr1e-4"


@dataclass(frozen=True)
class Measured:
    """A mean with its interval (NaN where there is none) and what the interval is over."""

    value: float
    low: float = math.nan
    high: float = math.nan
    over: str = ""

    @property
    def has_interval(self) -> bool:
        return self.low == self.low

    def __str__(self) -> str:
        text = f"{self.value:.3f}"
        return f"{text} [{self.low:.3f}, {self.high:.3f}]" if self.has_interval else text


@dataclass
class Evidence:
    """`missing`: what of the report is not at hand (its rows, its base model)."""

    runs: list[Run]
    published: Published
    fit: dict[str, dict[str, Any]] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    linked_rows: float = math.nan
    ablation: pd.DataFrame | None = None
    missing: tuple[str, ...] = ()

    def named(self, recipe: str, name: str) -> list[Run]:
        """The seeds of one run of a recipe; experiment 2 falls back on its twins."""
        for wanted in (name, TWICE_SHOWN.get(name)):
            found = [run for run in self.runs if (run.recipe, run.name) == (recipe, wanted)]
            if found:
                return found
        return []

    def grid(self, recipe: str) -> dict[tuple[float, int, int], Run]:
        """(learning rate, batch size, seed) -> run of experiment 3."""
        return {
            (run.settings.learning_rate, run.settings.batch_size, run.seed): run
            for run in self.runs
            if run.recipe == recipe and run.settings.experiment == 3
        }

    def score(
        self, recipe: str, name: str, metric: str, split: str = "val", task: str = "all"
    ) -> Measured | None:
        """Over seeds where there are several, else the score with its interval over rows."""
        key = (metric, split, task)
        rows = [
            row
            for run in self.named(recipe, name)
            for row in run.scores
            if (row.metric, row.split, row.task) == key and row.value is not None
        ]
        if len(rows) > 1:
            return Measured(*mean_over_seeds([row.value for row in rows]), "seeds")
        if not rows:
            return None
        low, high = rows[0].low, rows[0].high
        if low is None or high is None:
            return Measured(rows[0].value)
        return Measured(rows[0].value, low, high, "rows")

    def names(self, recipe: str) -> list[str]:
        return list(dict.fromkeys(run.name for run in self.runs if run.recipe == recipe))

    def held_out(self, recipe: str) -> str:
        """test, or val where a recipe sets no test rows aside."""
        own = [run for run in self.runs if run.recipe == recipe]
        return held_out(score.split for run in own for score in run.scores)


def over_seeds(values: list[float]) -> Measured | None:
    """Mean and t-interval of one value a seed (or a pair); None without values."""
    return Measured(*mean_over_seeds(values), "seeds") if values else None
