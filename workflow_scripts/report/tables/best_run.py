"""Experiment 4, first part: the best run, by a criterion on measured results.

`results.csv` comes in; `best_run.json` goes out: the chosen run (its first seed is the one looked
at), and the whole ranking, so that a choice by one row in two hundred can be seen for what it is.
"""

import argparse

import pandas as pd

from workflow_scripts.artifacts.runs import BestRun
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.report.runs import ranked


def choose(results: pd.DataFrame, recipe: str, metric: str, split: str, runs: list[str]) -> BestRun:
    """That of the `runs` with the best mean over seeds of `metric` on `split`, all tasks.

    Ties go to the run that comes first. Raises EssenceError when nothing was measured.
    """
    chosen = results[
        (results["recipe"] == recipe)
        & results["run"].isin(runs)
        & (results["metric"] == metric)
        & (results["split"] == split)
        & (results["task"] == "all")
    ].dropna(subset=["value"])
    if chosen.empty:
        known = sorted(set(zip(results["metric"], results["split"], strict=True)))
        raise EssenceError(
            f"best_run: no {metric} on {split} rows was measured for recipe {recipe}. Measured: "
            + ", ".join(f"{name} on {where}" for name, where in known)
        )
    of_seeds = {name: each.tolist() for name, each in chosen.groupby("run", sort=False)["value"]}
    ranking = ranked(of_seeds, metric)
    return BestRun(
        recipe=recipe, run=ranking[0].run, seed=int(chosen["seed"].iloc[0]),
        metric=metric, split=split, value=ranking[0].value, ranking=ranking,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, help="results/tables/results.csv")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--metric", required=True)
    parser.add_argument("--split", required=True)
    parser.add_argument("--runs", nargs="+", required=True, help="the runs to choose among")
    parser.add_argument("--out", required=True, help="results/tables/best_run.json")
    args = parser.parse_args()
    results = pd.read_csv(args.results)
    choose(results, args.recipe, args.metric, args.split, args.runs).write(args.out)


if __name__ == "__main__":
    run_cli(main)
