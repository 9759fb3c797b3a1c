"""Experiment 4, first part: the best run, by a criterion on measured results.

`results.csv` comes in; `best_run.json` goes out: the chosen run (its first seed is the one looked
at), and the whole ranking, so that a choice by one row in two hundred can be seen for what it is.
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.csv import read_csv
from workflow_scripts.artifacts.report import Result
from workflow_scripts.artifacts.runs import BestRun
from workflow_scripts.errors import EssenceError
from workflow_scripts.report.runs import ranked
from workflow_scripts.stage import Input, Output, Setting, run_stage


def choose(
    results: list[Result], recipe: str, metric: str, split: str, candidates: list[str]
) -> BestRun:
    """That of the candidates with the best mean over seeds of `metric` on `split`, all tasks.

    Raises EssenceError when nothing was measured.
    """
    measured = [
        result
        for result in results
        if (result.recipe, result.metric, result.split, result.task)
        == (recipe, metric, split, "all")
        and result.run in candidates
        and result.value is not None
    ]
    if not measured:
        known = sorted({f"{result.metric} on {result.split}" for result in results})
        raise EssenceError(
            f"best_run: no {metric} on {split} rows was measured for recipe {recipe}. "
            f"Measured: {', '.join(known)}"
        )
    values: dict[str, list[float]] = {}
    for result in measured:
        values.setdefault(result.run, []).append(result.value)
    ranking = ranked(values, metric)
    return BestRun(
        recipe=recipe,
        run=ranking[0].run,
        seed=measured[0].seed,
        metric=metric,
        split=split,
        value=ranking[0].value,
        ranking=ranking,
    )


def choose_best(
    results: Annotated[Path, Input("results.csv")],
    recipe: Annotated[str, Setting("the recipe whose runs are compared")],
    metric: Annotated[str, Setting("a metric of results.csv")],
    split: Annotated[str, Setting("rows that it was measured on")],
    candidates: Annotated[list[str], Setting("the runs to choose among")],
    best: Annotated[Path, Output("best_run.json")],
) -> None:
    choose(read_csv(Result, results), recipe, metric, split, candidates).write(best)


if __name__ == "__main__":
    run_stage(choose_best)
