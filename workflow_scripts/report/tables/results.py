"""The tables of results: all numbers, the same over seeds, and one summary to read.

`results.csv` has one line for each number of each fine-tuning; `over_seeds.csv` the mean over seeds
with a 95 % interval (Student's t); `summary.csv` and `summary.html` one line for each run.
"""

import argparse
import math
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import run_cli
from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import mean_over_seeds
from workflow_scripts.report.numbers import rate, to_csv
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import Run, held_out, read_runs

KEY = ["recipe", "run", "split", "task", "metric"]
COLUMNS = ["recipe", "run", "seed", "split", "task", "metric", "value", "low", "high", "n"]
SUMMARY = {
    "eval_loss": ("eval_loss", "val"),
    "loss_per_token": ("loss_per_token", "val"),
    "rouge_l_val": ("rouge_l", "val"),
    "exact_match_val": ("exact_match", "val"),
    "rouge_l_test": ("rouge_l", "test"),
    "exact_match_test": ("exact_match", "test"),
    "execution_accuracy_test": ("execution_accuracy", "test"),
}

BY_TASK = {
    "exact_match": "exact match",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "execution accuracy",
}
AGENTS = "Decomposer and Refiner"  # a Selector writes no SQL
HEADS = {
    "eval_loss": "eval loss",
    "loss_per_token": "loss per token",
    "rouge_l_val": "ROUGE-L, val",
    "exact_match_val": "exact match, val",
    "rouge_l_test": "ROUGE-L, test",
    "exact_match_test": "exact match, test",
    "execution_accuracy_test": f"execution accuracy, test ({AGENTS})",
}


def results_table(runs: list[Run]) -> pd.DataFrame:
    """Every number of every run, in the order of the runs given."""
    lines = [
        {"recipe": run.recipe, "run": run.name, "seed": run.seed, **score.model_dump()}
        for run in runs
        for score in run.scores
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def over_seeds(results: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for key, group in results.groupby(KEY, sort=False):
        values = group["value"].dropna().tolist()
        if values:
            mean, low, high = mean_over_seeds(values)
            rows.append((*key, len(values), mean, low, high))
    return pd.DataFrame(rows, columns=[*KEY, "seeds", "mean", "low", "high"])


def summary_table(runs: list[Run], means: pd.DataFrame) -> pd.DataFrame:
    """One line for each run: what it was and what it reached, means over its seeds."""
    whole = means[means["task"] == "all"].set_index(["recipe", "run", "metric", "split"])
    rows = {}
    for run in runs:
        settings, training = run.settings, run.training
        row = rows.setdefault((run.recipe, run.name), {"recipe": run.recipe, "run": run.name})
        row |= {"sampling": settings.sampling, "rows": settings.rows}
        row |= {"batch_size": settings.batch_size, "learning_rate": settings.learning_rate}
        row["seeds"] = row.get("seeds", 0) + 1
        row.setdefault("epochs_done", []).append(training.epochs_done)
        row.setdefault("best_epoch", []).append(training.best_epoch)
    for (recipe, name), row in rows.items():
        for key in ("epochs_done", "best_epoch"):
            row[key] = math.fsum(row[key]) / len(row[key])
        for column, (metric, split) in SUMMARY.items():
            found = (recipe, name, metric, split) in whole.index
            entry = whole.loc[(recipe, name, metric, split)] if found else None
            row[column] = entry["mean"] if found else math.nan
            row[f"{column}_low"] = entry["low"] if found else math.nan
            row[f"{column}_high"] = entry["high"] if found else math.nan
    return pd.DataFrame(list(rows.values())).dropna(axis="columns", how="all")


def summary_page(summary: pd.DataFrame, by_task: pd.DataFrame, note: str) -> str:
    parts = [
        '<p class="lead">Losses are those of the epoch that was kept. <em>eval_loss</em> is the '
        "recipe's own (padding counted where the recipe counts it) and can only be compared within "
        "a recipe; <em>loss_per_token</em> counts real target tokens alone and can be compared "
        "between recipes with the same tokenizer: a lossless answer has more and easier tokens. "
        "<em>val</em>: validation rows, those that chose the epoch unless a run was scored on "
        "another's (as run, A6). <em>test</em>: rows kept from all training. With several seeds: "
        "mean, and the 95 % interval in brackets.</p>"
    ]
    shown = [column for column in SUMMARY if column in summary.columns]
    for recipe, group in summary.groupby("recipe", sort=False):
        rows = [
            [html.Name(row["run"]), row["sampling"], row["batch_size"]]
            + [html.Number(rate(row["learning_rate"])), row["seeds"]]
            + [row["epochs_done"], row["best_epoch"]]
            + [html.number(row[c], row.get(f"{c}_low"), row.get(f"{c}_high")) for c in shown]
            for row in group.to_dict("records")
        ]
        heads = ["run", "sampling", "batch", "learning rate", "seeds", "epochs", "best epoch"]
        heads += [HEADS[column] for column in shown]
        parts += [f"<h2>{html.escape(recipe)}</h2>", html.table(heads, rows)]
    parts.append("<h2>By task, on held-out rows</h2>")
    parts.append(_by_task(by_task))
    return html.page("Results of all runs", note, "\n".join(parts))


def _by_task(means: pd.DataFrame) -> str:
    split = held_out(means["split"])
    own = means[means["split"] == split]
    shown = {name: label for name, label in BY_TASK.items() if (own["metric"] == name).any()}
    values = own.set_index(KEY)["mean"]
    names = list(dict.fromkeys(zip(own["recipe"], own["run"], strict=True)))
    rows = [
        [html.Name(recipe), html.Name(run)]
        + [
            html.number(values.get((recipe, run, split, task, metric)))
            for metric in shown
            for task in TASKS
        ]
        for recipe, run in names
    ]
    heads = [f"{label} {task}" for label in shown.values() for task in TASKS]
    return html.table(["recipe", "run", *heads], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, help="all run folders")
    parser.add_argument("--folder", required=True, help="where the four tables go")
    parser.add_argument("--note", default="", help="small print: what the data and model are")
    args = parser.parse_args()
    runs = read_runs(args.runs)
    results = results_table(runs)
    means = over_seeds(results)
    summary = summary_table(runs, means)
    folder = Path(args.folder)
    write_text(folder / "results.csv", to_csv(results))
    write_text(folder / "over_seeds.csv", to_csv(means))
    write_text(folder / "summary.csv", to_csv(summary))
    write_text(folder / "summary.html", summary_page(summary, means, args.note))


if __name__ == "__main__":
    run_cli(main)
