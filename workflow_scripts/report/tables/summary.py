"""The summary of all runs: what each was and what it reached, as a table and as a page."""

from statistics import fmean
from typing import Any

from workflow_scripts.artifacts.report import Mean
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
    "mean, and the 95 % interval in brackets (where no two seeds differ, the one over rows)."
)


Line = dict[str, Any]  # column of summary.csv -> value


def summary_lines(runs: list[Run], means: list[Mean]) -> list[Line]:
    """A line for each run, its epochs means over seeds; columns without a value are left out."""
    scores = {
        (mean.recipe, mean.run, mean.metric, mean.split): mean
        for mean in means
        if mean.task == "all"
    }
    lines = []
    for (recipe, name), seeds in by_address(runs).items():
        run = seeds[0].settings
        line = {"recipe": recipe, "run": name, "sampling": run.sampling, "rows": run.rows}
        line |= {"batch_size": run.batch_size, "learning_rate": run.learning_rate}
        line |= {"seeds": len(seeds)}
        line |= {"epochs_done": fmean(run.training.epochs_done for run in seeds)}
        line |= {"best_epoch": fmean(run.training.best_epoch for run in seeds)}
        for column, (metric, split, _) in SCORES.items():
            mean = scores.get((recipe, name, metric, split))
            several = mean is not None and mean.seeds > 1  # one seed has no interval
            line[column] = mean.mean if mean else None
            line[f"{column}_low"] = mean.low if several else None
            line[f"{column}_high"] = mean.high if several else None
        lines.append(line)
    measured = [name for name in lines[0] if any(line[name] is not None for line in lines)]
    return [{name: line[name] for name in measured} for line in lines]


def summary_page(lines: list[Line], means: list[Mean]) -> html.Page:
    shown = [column for column in SCORES if column in lines[0]]
    heads = ["run", "sampling", "batch", "learning rate", "seeds", "epochs", "best epoch"]
    heads += [SCORES[column][2] for column in shown]
    tables = {}
    for recipe in dict.fromkeys(line["recipe"] for line in lines):
        rows = [_row(line, shown) for line in lines if line["recipe"] == recipe]
        tables[recipe] = html.Table(heads, rows)
    tables["By task, on held-out rows"] = _by_task(means)
    return html.tables("Results of all runs", LEAD, tables)


def _row(line: Line, scores: list[str]) -> list[Any]:
    intervals = ((line[name], line.get(f"{name}_low"), line.get(f"{name}_high")) for name in scores)
    return [
        html.Name(line["run"]),
        line["sampling"],
        line["batch_size"],
        html.Number(rate(line["learning_rate"])),
        *(line[name] for name in ("seeds", "epochs_done", "best_epoch")),
        *(html.number(*interval) for interval in intervals),
    ]


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
