"""What the claims are tested on: all runs by recipe and name, the fit audits, the ablation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from workflow_scripts.artifacts.claims import COLUMNS, Column
from workflow_scripts.artifacts.data import Profile
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.published import Published
from workflow_scripts.artifacts.report import Effect
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.report.equal_steps import Pair
from workflow_scripts.report.runs import Measured, Run, held_out, mean_score
from workflow_scripts.report.scores_by_row import scores_by_row

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

    def pairs(self, recipe: str, first: str, second: str) -> list[Pair]:
        """Two runs by name, for each seed that has both."""
        others = {run.seed: run for run in self.named(recipe, second)}
        return [(run, others[run.seed]) for run in self.named(recipe, first) if run.seed in others]

    def grid(self, recipe: str) -> list[Run]:
        """The runs of experiment 3: learning rates, batch sizes, seeds."""
        return [run for run in self.of_recipe(recipe) if run.settings.experiment == 3]

    def names(self, recipe: str) -> list[str]:
        return list(dict.fromkeys(run.name for run in self.of_recipe(recipe)))

    def score(
        self, recipe: str, name: str, metric: str, split: str = "val", task: str = "all"
    ) -> Measured | None:
        return mean_score(
            [
                score
                for run in self.named(recipe, name)
                for score in run.scores
                if (score.metric, score.split, score.task) == (metric, split, task)
                and score.value is not None
            ]
        )

    def over_rows(
        self, recipe: str, name: str, metric: str, split: str, task: str = "all"
    ) -> Measured | None:
        """A row counts once, with the mean of its seeds; None where nothing was measured."""
        scores = [
            score.value
            for score in scores_by_row(self.named(recipe, name), metric, split).values()
            if task in ("all", score.task)
        ]
        return Measured(*mean_over_rows(scores), "rows", len(scores)) if scores else None

    def held_out(self, recipe: str) -> str:
        return held_out(score.split for run in self.of_recipe(recipe) for score in run.scores)
