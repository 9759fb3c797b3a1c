"""The tables of results: all numbers, the same over seeds, and one summary to read.

`results.csv` has one line for each number of each fine-tuning; `over_seeds.csv` the mean over seeds
with a 95 % interval (Student's t); `summary.csv` and `summary.html` one line for each run.
"""

import math
from pathlib import Path
from typing import Annotated

import pandas as pd

from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import mean_over_seeds
from workflow_scripts.report.look import PLAIN, Look
from workflow_scripts.report.numbers import rate, to_csv
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import Run, held_out, read_runs
from workflow_scripts.stage import Output, Setting, run_stage

CAPTION = """\
All runs of all recipes in one table, then the scores by task.

**How to read it.** One line for each run. Evaluation loss as the recipe counts it can be compared
only within a recipe; loss per token counts real target tokens alone and can be compared between
recipes with the same tokenizer (*as_run* with *as_written*): a lossless answer has more and easier
tokens. *val*: validation rows, which chose the epoch unless a run was scored on another run's (A6).
*test*: rows kept from all training.

**What the report says.** ROUGE-L between 0.19 and 0.41 and an exact match of 0 in all runs but
one. ROUGE-L hides what the tokenizer loses: it drops everything but letters and digits. Two of
the ten published scores belong to another run's rows (A6).
"""

CAPTION_CSV = """\
Every number that was measured, one line each: recipe, run, seed, split (val, test, train), task,
metric, value, and a 95 % interval over rows where there is one. Losses are those of the epoch
whose weights were kept. The same lies in ``results/tables/results.csv``; means over seeds are in
``over_seeds.csv`` beside it.
"""

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


def tabulate_results(
    runs: Annotated[list[Path], Setting("all run folders")],
    results: Annotated[Path, Output("results.csv: every number")],
    means: Annotated[Path, Output("over_seeds.csv")],
    summary: Annotated[Path, Output("summary.csv: one line a run")],
    page: Annotated[Path, Output("summary.html: the same, to read")],
    look: Annotated[Look, Setting("small print")] = PLAIN,
) -> None:
    read = read_runs(runs)
    all_numbers = results_table(read)
    of_seeds = over_seeds(all_numbers)
    of_runs = summary_table(read, of_seeds)
    write_text(results, to_csv(all_numbers))
    write_text(means, to_csv(of_seeds))
    write_text(summary, to_csv(of_runs))
    write_text(page, summary_page(of_runs, of_seeds, look.note))


if __name__ == "__main__":
    run_stage(tabulate_results)
