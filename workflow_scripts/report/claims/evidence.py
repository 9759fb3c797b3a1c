"""What the claims are tested on: all runs by recipe and name, the fit audits, the ablation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from workflow_scripts.artifacts.claims import COLUMNS, Column
from workflow_scripts.artifacts.data import Profile
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.published import Published
from workflow_scripts.artifacts.report import Effect
from workflow_scripts.report.claims.outcome import Measured, over_seeds
from workflow_scripts.report.runs import Run, held_out

Value = TypeVar("Value")


@dataclass
class Evidence:
    """`missing`: what of the report is not at hand (its rows, its base model).

    `fit`: recipe -> audit; `linked_rows`: the share of the rows that name their database.
    """

    runs: list[Run]
    recipes: dict[Column, str]
    published: Published
    fit: dict[str, FitAudit] = field(default_factory=dict)
    profile: Profile | None = None
    linked_rows: float | None = None
    ablation: list[Effect] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def by_column(self, measure: Callable[[str], Value]) -> dict[Column, Value]:
        """Column of the claims -> what `measure` makes of its recipe."""
        return {column: measure(self.recipes[column]) for column in COLUMNS}

    def of_recipe(self, recipe: str) -> list[Run]:
        return [run for run in self.runs if run.recipe == recipe]

    def named(self, recipe: str, name: str) -> list[Run]:
        """The seeds of one run of a recipe, or of the run that has the same settings."""
        published = self.published.runs.get(name)
        for wanted in (name, published and published.same_settings_as):
            found = [run for run in self.of_recipe(recipe) if run.name == wanted]
            if found:
                return found
        return []

    def grid(self, recipe: str) -> dict[tuple[float, int, int], Run]:
        """(learning rate, batch size, seed) -> run of experiment 3."""
        return {
            (run.settings.learning_rate, run.settings.batch_size, run.seed): run
            for run in self.of_recipe(recipe)
            if run.settings.experiment == 3
        }

    def names(self, recipe: str) -> list[str]:
        return list(dict.fromkeys(run.name for run in self.of_recipe(recipe)))

    def score(
        self, recipe: str, name: str, metric: str, split: str = "val", task: str = "all"
    ) -> Measured | None:
        """Over seeds where there are several, else the score with its interval over rows."""
        scores = [
            score
            for run in self.named(recipe, name)
            for score in run.scores
            if (score.metric, score.split, score.task) == (metric, split, task)
            and score.value is not None
        ]
        if len(scores) != 1:
            return over_seeds([score.value for score in scores])
        only = scores[0]
        if only.low is None or only.high is None:
            return Measured(only.value)
        return Measured(only.value, only.low, only.high, "rows")

    def held_out(self, recipe: str) -> str:
        return held_out(score.split for run in self.of_recipe(recipe) for score in run.scores)

    def pairs(
        self, recipe: str, first: str, second: str, value: Callable[[Run], float | None]
    ) -> list[tuple[float, float]]:
        """(value of the first run, value of the second) for each seed that has both."""
        others = {run.seed: value(run) for run in self.named(recipe, second)}
        pairs = [(value(run), others.get(run.seed)) for run in self.named(recipe, first)]
        return [pair for pair in pairs if None not in pair]

    def difference(
        self, recipe: str, first: str, second: str, value: Callable[[Run], float | None]
    ) -> Measured | None:
        """Value of the first run - value of the second, over the seeds that have both."""
        return over_seeds([a - b for a, b in self.pairs(recipe, first, second, value)])
