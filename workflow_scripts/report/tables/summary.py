"""The summary of all runs: what each was and what it reached, as a table and as a page."""

from statistics import fmean
from typing import Any

from workflow_scripts.artifacts.report import Mean
from workflow_scripts.artifacts.tables import TEST_SPLITS
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import Run, by_address

TEXT = {
    "rouge_l": "ROUGE-L",
    "exact_match": "exact match",
    "exact_match_at_most": "highest exact match possible",
}
# Column -> (metric, split, head on the page); the Selector writes no SQL.
SCORES = {
    "eval_loss": ("eval_loss", "val", "eval loss"),
    "loss_per_token": ("loss_per_token", "val", "loss per token"),
    **{
        f"{metric}_{split}": (metric, split, f"{label}, {split}")
        for metric, label in TEXT.items()
        for split in ("val", *TEST_SPLITS)
    },
    **{
        f"execution_accuracy_{split}": (
            "execution_accuracy",
            split,
            f"execution accuracy, {split} (Decomposer and Refiner)",
        )
        for split in TEST_SPLITS
    },
}
BY_TASK = {
    "exact_match": "exact match",
    "exact_match_at_most": "highest exact match possible",
    "answer_in_training": "answer also in training rows",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "execution accuracy",
}
LEAD = (
    "Losses are those of the epoch that was kept. <em>eval_loss</em> is the loss by which the "
    "recipe trains; it counts padding where the recipe does, so it can only be compared within a "
    "recipe. <em>loss_per_token</em> counts the tokens of answers alone and can be compared "
    "between recipes with the same tokenizer. (Another one splits answers into other tokens, "
    "which are easier or harder to predict.) <em>val</em>: validation rows, which chose the "
    "epoch; in two runs as the notebooks did them, those of another run (A6). <em>test</em>: rows "
    "kept from all training; other rows about the same databases were trained on. "
    "<em>unseen</em>: rows of whole databases that were kept from all training. <em>other</em>: "
    "rows of another file and its databases. <em>highest exact match possible</em>: of any model, "
    "since equal inputs have equal answers and a tokenizer cannot write every character. "
    "<em>answer also in training rows</em>: the share of rows whose right answer is, letter for "
    "letter, also the answer to a row that the run was trained on. With several seeds: mean, and "
    "the 95 % interval in brackets (where no two seeds differ, the one over rows)."
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
    tables["By task, on rows that were kept from all training"] = _by_task(means)
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
    """A line for each run and split of test rows; validation rows where there are no others."""
    splits = {mean.split for mean in means} & set(TEST_SPLITS) or {"val"}
    lines: dict[tuple[str, str, str], dict[tuple[str, str], float]] = {}
    for mean in means:
        if mean.split in splits:
            scores = lines.setdefault((mean.recipe, mean.run, mean.split), {})
            scores[mean.metric, mean.task] = mean.mean
    measured = {metric for scores in lines.values() for metric, _ in scores}
    columns = [(metric, task) for metric in BY_TASK if metric in measured for task in TASKS]
    rows = [
        [*map(html.Name, address), *(html.number(scores.get(column)) for column in columns)]
        for address, scores in lines.items()
    ]
    heads = [f"{BY_TASK[metric]} {task}" for metric, task in columns]
    return html.Table(["recipe", "run", "rows", *heads], rows)
