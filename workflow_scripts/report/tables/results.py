"""The tables of results: all numbers, the same over seeds, and one summary to read.

`results.csv` has one line for each number of each fine-tuning; `over_seeds.csv` the mean over seeds
with a 95 % interval (Student's t); `summary.csv` and `summary.html` one line for each run.
"""

import math
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

from workflow_scripts.artifacts.csv import write_csv, write_table
from workflow_scripts.artifacts.report import Mean, Result
from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import mean_over_seeds
from workflow_scripts.report.look import PLAIN, Look
from workflow_scripts.report.numbers import rate
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


def all_results(runs: list[Run]) -> list[Result]:
    """Every number of every run, in the order of the runs given."""
    return [
        Result(run.recipe, run.name, run.seed, **score.model_dump())
        for run in runs
        for score in run.scores
    ]


def over_seeds(results: list[Result]) -> list[Mean]:
    values: dict[tuple[str, ...], list[float]] = {}
    for result in results:
        key = (result.recipe, result.run, result.split, result.task, result.metric)
        values.setdefault(key, [])
        if result.value is not None:
            values[key].append(result.value)
    return [Mean(*key, len(of), *mean_over_seeds(of)) for key, of in values.items() if of]


def summarise(runs: list[Run], means: list[Mean]) -> list[dict[str, Any]]:
    """A line for each run: what it was and what it reached, means over its seeds.

    The columns of what was measured nowhere are left out.
    """
    whole = {(m.recipe, m.run, m.metric, m.split): m for m in means if m.task == "all"}
    seeds: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        seeds.setdefault((run.recipe, run.name), []).append(run)
    lines = []
    for (recipe, name), of in seeds.items():
        settings = of[0].settings
        line: dict[str, Any] = {"recipe": recipe, "run": name}
        line |= {"sampling": settings.sampling, "rows": settings.rows}
        line |= {"batch_size": settings.batch_size, "learning_rate": settings.learning_rate}
        line["seeds"] = len(of)
        line["epochs_done"] = fmean(run.training.epochs_done for run in of)
        line["best_epoch"] = fmean(run.training.best_epoch for run in of)
        for column, score in SUMMARY.items():
            found = whole.get((recipe, name, *score))
            line[column] = found.mean if found else math.nan
            line[f"{column}_low"] = found.low if found else math.nan
            line[f"{column}_high"] = found.high if found else math.nan
        lines.append(line)
    measured = [key for key in lines[0] if any(line[key] == line[key] for line in lines)]
    return [{key: line[key] for key in measured} for line in lines]


def summary_page(summary: list[dict[str, Any]], means: list[Mean], note: str) -> str:
    parts = [
        '<p class="lead">Losses are those of the epoch that was kept. <em>eval_loss</em> is the '
        "recipe's own (padding counted where the recipe counts it) and can only be compared within "
        "a recipe; <em>loss_per_token</em> counts real target tokens alone and can be compared "
        "between recipes with the same tokenizer: a lossless answer has more and easier tokens. "
        "<em>val</em>: validation rows, those that chose the epoch unless a run was scored on "
        "another's (as run, A6). <em>test</em>: rows kept from all training. With several seeds: "
        "mean, and the 95 % interval in brackets.</p>"
    ]
    shown = [column for column in SUMMARY if column in summary[0]]
    for recipe in dict.fromkeys(line["recipe"] for line in summary):
        rows = [
            [html.Name(row["run"]), row["sampling"], row["batch_size"]]
            + [html.Number(rate(row["learning_rate"])), row["seeds"]]
            + [row["epochs_done"], row["best_epoch"]]
            + [html.number(row[c], row.get(f"{c}_low"), row.get(f"{c}_high")) for c in shown]
            for row in summary
            if row["recipe"] == recipe
        ]
        heads = ["run", "sampling", "batch", "learning rate", "seeds", "epochs", "best epoch"]
        heads += [HEADS[column] for column in shown]
        parts += [f"<h2>{html.escape(recipe)}</h2>", html.table(heads, rows)]
    parts.append("<h2>By task, on held-out rows</h2>")
    parts.append(_by_task(means))
    return html.page("Results of all runs", note, "\n".join(parts))


def _by_task(means: list[Mean]) -> str:
    split = held_out(mean.split for mean in means)
    values = {(m.recipe, m.run, m.metric, m.task): m.mean for m in means if m.split == split}
    measured = {metric for _, _, metric, _ in values}
    shown = {metric: label for metric, label in BY_TASK.items() if metric in measured}
    rows = [
        [html.Name(recipe), html.Name(run)]
        + [
            html.number(values.get((recipe, run, metric, task)))
            for metric in shown
            for task in TASKS
        ]
        for recipe, run in dict.fromkeys((recipe, run) for recipe, run, _, _ in values)
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
    numbers = all_results(read)
    of_seeds = over_seeds(numbers)
    of_runs = summarise(read, of_seeds)
    write_csv(results, Result, numbers)
    write_csv(means, Mean, of_seeds)
    write_table(summary, list(of_runs[0]), (line.values() for line in of_runs))
    write_text(page, summary_page(of_runs, of_seeds, look.note))


if __name__ == "__main__":
    run_stage(tabulate_results)
