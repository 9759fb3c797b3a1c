"""The best run of each recipe, with the ranking that it comes from.

Everything in the report that speaks of a best run means this one.
"""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.files import write_json
from workflow_scripts.report.frames import read_runs
from workflow_scripts.report.means import ADDRESS, rankings
from workflow_scripts.stage import Output, Setting, run_stage


def rank_runs(runs: pd.DataFrame) -> dict[str, Any]:
    """best_runs.json: recipe -> its run with the lowest mean evaluation loss, and the ranking."""
    first_seed = runs.groupby(ADDRESS).seed.first()
    return {
        "recipes": {
            recipe: {
                "recipe": recipe,
                "run": losses.index[0],
                "seed": int(first_seed[recipe, losses.index[0]]),
                "ranking": [{"run": run, "value": value} for run, value in losses.items()],
            }
            for recipe, losses in rankings(runs).items()
        }
    }


def choose_best(
    runs: Annotated[list[Path], Setting("run folders of all recipes")],
    best: Annotated[Path, Output("best_runs.json")],
) -> None:
    write_json(best, rank_runs(read_runs(runs)))


if __name__ == "__main__":
    run_stage(choose_best)
