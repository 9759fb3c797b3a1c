"""The best run of each recipe, with the ranking that it comes from."""

from pathlib import Path
from typing import Annotated

from workflow_scripts.files import write_json
from workflow_scripts.report.frames import read_runs, select
from workflow_scripts.report.means import best_runs
from workflow_scripts.stage import Output, Setting, run_stage


def choose_best(
    runs: Annotated[list[Path], Setting("run folders of all recipes")],
    best: Annotated[Path, Output("best_runs.json: recipe -> run, first seed, ranking")],
) -> None:
    """Choose the run with the lowest mean evaluation loss of each recipe."""
    frame, chosen = read_runs(runs), {}
    for recipe, run in best_runs(frame).items():
        own = select(frame, recipe=recipe)
        losses = own.groupby("run", sort=False).best_eval_loss.mean().sort_values(kind="stable")
        ranking = [{"run": name, "value": value} for name, value in losses.items()]
        seed = int(select(own, run=run).seed.iloc[0])
        chosen[recipe] = {"recipe": recipe, "run": run, "seed": seed, "ranking": ranking}
    write_json(best, {"recipes": chosen})


if __name__ == "__main__":
    run_stage(choose_best)
