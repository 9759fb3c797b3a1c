"""Experiment 4, first part: the best run, by a criterion on measured results.

`results.csv` comes in; `best_run.json` goes out: the chosen run (its first seed is the one looked
at), and the whole ranking, so that a choice by one row in two hundred can be seen for what it is.
"""

import argparse

import pandas as pd

from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import write_json

LOWER_IS_BETTER = ("eval_loss", "loss_per_token")


def choose(
    results: pd.DataFrame, recipe: str, metric: str, split: str, runs: list[str]
) -> dict[str, object]:
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
    means = chosen.groupby("run", sort=False)["value"].mean()
    ranked = means.sort_values(ascending=metric in LOWER_IS_BETTER, kind="stable")
    return {
        "recipe": recipe,
        "run": ranked.index[0],
        "seed": int(chosen["seed"].iloc[0]),
        "metric": metric,
        "split": split,
        "value": float(ranked.iloc[0]),
        "ranking": [{"run": name, "value": float(value)} for name, value in ranked.items()],
    }


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
    write_json(args.out, choose(results, args.recipe, args.metric, args.split, args.runs))


if __name__ == "__main__":
    run_cli(main)
