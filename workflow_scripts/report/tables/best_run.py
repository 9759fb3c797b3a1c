"""The best run of each recipe, with the ranking that it comes from.

Everything in the report that speaks of a best run means this one (`report.runs.best_runs`).
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.runs import BestRun, BestRuns
from workflow_scripts.report.runs import Run, best_runs, ranking
from workflow_scripts.stage import Output, Setting, run_stage


def choose_best(
    runs: Annotated[list[Run], Setting("run folders of all recipes")],
    best: Annotated[Path, Output("best_runs.json")],
) -> None:
    rankings = ranking(runs)
    BestRuns(
        recipes={
            recipe: BestRun(recipe=recipe, run=run.name, seed=run.seed, ranking=rankings[recipe])
            for recipe, (run, *_) in best_runs(runs).items()
        }
    ).write(best)


if __name__ == "__main__":
    run_stage(choose_best)
