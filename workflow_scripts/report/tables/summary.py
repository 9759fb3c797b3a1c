"""The summary of all runs: what each was and what it reached, as a table and as a page."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from workflow_scripts.artifacts.csv import write_table
from workflow_scripts.artifacts.report import Mean
from workflow_scripts.artifacts.settings import RunSettings
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import Run, by_address, held_out

# Column -> (metric, split, head on the page); the Selector writes no SQL.
SCORES = {
    "eval_loss": ("eval_loss", "val", "eval loss"),
    "loss_per_token": ("loss_per_token", "val", "loss per token"),
    "rouge_l_val": ("rouge_l", "val", "ROUGE-L, val"),
    "exact_match_val": ("exact_match", "val", "exact match, val"),
    "rouge_l_test": ("rouge_l", "test", "ROUGE-L, test"),
    "exact_match_test": ("exact_match", "test", "exact match, test"),
    "execution_accuracy_test": (
        "execution_accuracy",
        "test",
        "execution accuracy, test (Decomposer and Refiner)",
    ),
}
BY_TASK = {
    "exact_match": "exact match",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "execution accuracy",
}
LEAD = (
    "Losses are those of the epoch that was kept. <em>eval_loss</em> is the "
    "recipe's own (padding counted where the recipe counts it) and can only be compared within "
    "a recipe; <em>loss_per_token</em> counts real target tokens alone and can be compared "
    "between recipes with the same tokenizer: a lossless answer has more and easier tokens. "
    "<em>val</em>: validation rows, those that chose the epoch unless a run was scored on "
    "another's (as run, A6). <em>test</em>: rows kept from all training. With several seeds: "
    "mean, and the 95 % interval in brackets."
)


@dataclass
class Summary:
    """One run; numbers of epochs and `scores` (by column) are means over its seeds."""

    recipe: str
    settings: RunSettings
    seeds: int
    epochs_done: float
    best_epoch: float
    scores: dict[str, Mean]


def summarise(runs: list[Run], means: list[Mean]) -> list[Summary]:
    columns = {(metric, split): column for column, (metric, split, _) in SCORES.items()}
    scores: dict[tuple[str, str], dict[str, Mean]] = {}
    for mean in means:
        column = columns.get((mean.metric, mean.split))
        if column and mean.task == "all":
            scores.setdefault((mean.recipe, mean.run), {})[column] = mean
    return [
        Summary(
            recipe=key[0],
            settings=of_run[0].settings,
            seeds=len(of_run),
            epochs_done=fmean(run.training.epochs_done for run in of_run),
            best_epoch=fmean(run.training.best_epoch for run in of_run),
            scores=scores.get(key, {}),
        )
        for key, of_run in by_address(runs).items()
    ]


def write_summary(path: Path, summaries: list[Summary]) -> None:
    """summary.csv; columns in which no run has a value are left out."""
    lines = [_line(summary) for summary in summaries]
    names = [name for name in lines[0] if any(line[name] is not None for line in lines)]
    write_table(path, names, ([line[name] for name in names] for line in lines))


def _line(summary: Summary) -> dict[str, Any]:
    run = summary.settings
    line = {"recipe": summary.recipe, "run": run.name, "sampling": run.sampling, "rows": run.rows}
    line |= {"batch_size": run.batch_size, "learning_rate": run.learning_rate}
    line |= {"seeds": summary.seeds, "epochs_done": summary.epochs_done}
    line |= {"best_epoch": summary.best_epoch}
    for column in SCORES:
        mean = summary.scores.get(column)
        several = mean is not None and mean.seeds > 1  # one seed has no interval
        line[column] = mean.mean if mean else None
        line[f"{column}_low"] = mean.low if several else None
        line[f"{column}_high"] = mean.high if several else None
    return line


def summary_page(summaries: list[Summary], means: list[Mean]) -> html.Page:
    shown = [column for column in SCORES if any(column in each.scores for each in summaries)]
    heads = ["run", "sampling", "batch", "learning rate", "seeds", "epochs", "best epoch"]
    heads += [SCORES[column][2] for column in shown]
    tables = {}
    for recipe in dict.fromkeys(summary.recipe for summary in summaries):
        rows = [_row(summary, shown) for summary in summaries if summary.recipe == recipe]
        tables[recipe] = html.Table(heads, rows)
    tables["By task, on held-out rows"] = _by_task(means)
    return html.tables("Results of all runs", LEAD, tables)


def _row(summary: Summary, columns: list[str]) -> list[Any]:
    run = summary.settings
    means = [summary.scores.get(column) for column in columns]
    numbers = [(mean.mean, mean.low, mean.high) if mean else (None,) for mean in means]
    return [
        html.Name(run.name), run.sampling, run.batch_size, html.Number(rate(run.learning_rate)),
        summary.seeds, summary.epochs_done, summary.best_epoch,
        *(html.number(*each) for each in numbers),
    ]  # fmt: skip


def _by_task(means: list[Mean]) -> html.Table:
    split = held_out(mean.split for mean in means)
    values = {
        (mean.recipe, mean.run, mean.metric, mean.task): mean.mean
        for mean in means
        if mean.split == split
    }
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
    return html.Table(["recipe", "run", *heads], rows)
