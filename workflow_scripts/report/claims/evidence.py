"""What the claims are tested on, and what testing one gives.

A claim says that something lies above a limit, or below it: it holds where the whole 95% interval
does, fails where the whole interval lies on the other side, and is open where the interval holds
the limit, for too little to tell is not the same as refuted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from workflow_scripts.artifacts.data import Profile
from workflow_scripts.artifacts.published import Published
from workflow_scripts.report.means import Mean, held_out, mean_of_answers, mean_score
from workflow_scripts.text.audit import FitAudit

# What a claim is measured under; the configuration's `claims` says which recipe each one is.
COLUMNS = ("as_run", "as_written", "repaired")
# Whether a claim holds under one recipe.
HOLDS, FAILS, OPEN, NOT_MEASURED = "holds", "fails", "open", "not measured"
# Fewer rows decide nothing. From 12 rows on Wilson's interval of a share is never wider than half
# of the scale (its width is at most z / sqrt(n + z^2), so n >= 3 z^2), which is the least that
# tells a quarter from three quarters.
LEAST_ROWS = 12


@dataclass(frozen=True)
class Outcome:
    """What testing a claim under one recipe gives; `doubt`: what leaves it open.

    `mean`: what the claim says to lie above 0, where it is of that kind.
    """

    text: str
    finding: str = NOT_MEASURED
    mean: Mean | None = None
    doubt: str = ""


@dataclass
class Evidence:
    """What claims are tested on. `missing`: what of the report is lacking (its rows, its model).

    `recipes`: column of the claims -> recipe; `fit`: recipe -> audit; `linked_rows`: the share of
    the rows that name their database; `ablation`: the rows of ablation.csv.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    steps: pd.DataFrame
    scores: pd.DataFrame
    answers: pd.DataFrame
    recipes: dict[str, str]
    published: Published
    fit: dict[str, FitAudit] = field(default_factory=dict)
    profile: Profile | None = None
    linked_rows: float | None = None
    ablation: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: list[str] = field(default_factory=list)

    def named(self, recipe: str, name: str) -> pd.DataFrame:
        """The seeds of one run of a recipe, or of the run that has the same settings."""
        published = self.published.runs.get(name)
        names = [name, published.same_settings_as if published else None]
        of_recipe = self.runs[self.runs.recipe == recipe]
        known = [each for each in names if (of_recipe.run == each).any()]
        return of_recipe[of_recipe.run == (known[0] if known else None)]

    def seeds(
        self, recipe: str, name: str, metric: str, split: str = "val", task: str = "all"
    ) -> pd.DataFrame:
        """The rows of `scores` that hold one score of a run, one per seed."""
        run = self.named(recipe, name).run
        return self.scores[
            (self.scores.recipe == recipe)
            & self.scores.run.isin(run)
            & (self.scores.metric == metric)
            & (self.scores.split == split)
            & (self.scores.task == task)
        ]

    def score(self, *address: str) -> Mean | None:
        return mean_score(self.seeds(*address), self.answers)

    def over_answers(
        self, recipe: str, metric: str, split: str, task: str = "all"
    ) -> dict[str, Mean]:
        """Run of a recipe -> the mean of its answers, where the metric was measured."""
        own = self.answers[(self.answers.recipe == recipe) & (self.answers.split == split)]
        own = own if task == "all" else own[own.task == task]
        means = {run: mean_of_answers(each, metric) for run, each in own.groupby("run", sort=False)}
        return {run: mean for run, mean in means.items() if mean}

    def held_out(self, recipe: str) -> str:
        return held_out(self.scores[self.scores.recipe == recipe].split.unique())

    def by_column(self, measure: Callable[[str], Any]) -> dict[str, Any]:
        return {column: measure(self.recipes[column]) for column in COLUMNS}


def above(text: str, value: Mean, limit: float) -> Outcome:
    """The claim that something lies above a limit."""
    if not value.has_interval:
        return Outcome(f"{text} (no interval)")
    if doubt := too_few(value.rows):
        return Outcome(text, OPEN, value, doubt)
    if value.low > limit:
        return Outcome(text, HOLDS, value)
    if value.high < limit:
        return Outcome(text, FAILS, value)
    return Outcome(text, OPEN, value, f"the interval holds {limit:g}")


def below(text: str, value: Mean, limit: float) -> Outcome:
    """The claim that a share of rows lies below a limit."""
    outcome = above(text, value, limit)
    turned = {HOLDS: FAILS, FAILS: HOLDS}
    return Outcome(text, turned.get(outcome.finding, outcome.finding), doubt=outcome.doubt)


def holds_if(text: str, condition: bool) -> Outcome:
    return Outcome(text, HOLDS if condition else FAILS)


def too_few(rows: int | None) -> str:
    """The doubt where too few rows are behind a value; None: it has none to count."""
    return "" if rows is None or rows >= LEAST_ROWS else f"too few rows ({rows})"


def not_converged(runs: pd.DataFrame) -> str:
    """What to say where runs came to their limit of epochs before patience stopped them.

    It leaves no claim open: the limit is part of the procedure that a claim is about.
    """
    running = int((~runs.stopped_early.astype(bool)).sum())
    return f"; {running} of {len(runs)} runs had not converged" if running else ""


def doubted(outcome: Outcome, *doubts: str) -> Outcome:
    """Open for the first reason there is, where anything was measured."""
    doubt = next(filter(None, doubts), "")
    if not doubt or outcome.finding == NOT_MEASURED:
        return outcome
    return replace(outcome, finding=OPEN, mean=None, doubt=doubt)


NOTHING = Outcome("not measured")
