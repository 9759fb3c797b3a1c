"""Differences between runs on the same held-out rows, with paired intervals.

Predictions of all runs come in. `differences.csv` holds, for each task and metric, the mean of
first minus second over the rows that both have answered (each row's score is the mean over the
seeds) and its 95 % paired bootstrap interval over rows; `differences.html` the same to be read.
Compared are: a run under one recipe with the same run under another, and under each recipe every
run with the report's choice.
"""

import argparse
from itertools import combinations
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import run_cli
from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import difference_over_rows
from workflow_scripts.report.claims.evidence import CHOSEN
from workflow_scripts.report.numbers import to_csv
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import Run, read_runs
from workflow_scripts.report.scores_by_row import METRICS, scores_by_row

CAPTION = """\
What one run has over another on the same test rows: first minus second, for each task.

**How to read it.** The interval is a paired bootstrap over rows, whose scores are means over the
seeds: it says how far the difference could move with other rows of the same kind. Marked
differences leave out 0; of many that are compared, one in twenty would by chance alone. Runs under
two recipes are compared with each other, and under each recipe every run with the report's choice
(learning rate 1e-4, batch 4). Execution accuracy is there where databases are. `as_run` kept no
test rows, so it is not here.
"""

SPLIT = "test"  # the one split whose rows are the same for all runs
COLUMNS = ["first", "second", "metric", "task", "n", "difference", "low", "high"]
LABELS = {
    "exact_match": "Exact match",
    "exact_match_decoded": "Exact match with what the tokenizer can write of the answer",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "Execution accuracy",
}
Address = tuple[str, str]  # recipe, run


def pairs(addresses: list[Address]) -> list[tuple[Address, Address]]:
    """(first, second): the later recipe minus the earlier one, a run minus the report's choice."""
    recipes = list(dict.fromkeys(recipe for recipe, _ in addresses))
    runs = list(dict.fromkeys(run for _, run in addresses))
    wanted = [((b, run), (a, run)) for run in runs for a, b in combinations(recipes, 2)]
    wanted += [((recipe, run), (recipe, CHOSEN)) for recipe in recipes for run in runs]
    return [
        (first, second)
        for first, second in wanted
        if first != second and first in addresses and second in addresses
    ]


def differences(runs: list[Run]) -> pd.DataFrame:
    """One line for each pair, metric and task ("all" first); runs without test rows are out."""
    seeds: dict[Address, list[Run]] = {}
    for run in runs:
        seeds.setdefault((run.recipe, run.name), []).append(run)
    lines = []
    for metric in METRICS:
        scores = {name: scores_by_row(some, metric, SPLIT) for name, some in seeds.items()}
        tested = [name for name, rows in scores.items() if rows]
        for first, second in pairs(tested):
            mine, base = scores[first], scores[second]
            for task in ("all", *TASKS):
                shared = sorted(
                    key for key in mine.keys() & base.keys() if task in ("all", mine[key][0])
                )
                if shared:
                    values = ([part[key][1] for key in shared] for part in (mine, base))
                    row = (" ".join(first), " ".join(second), metric, task, len(shared))
                    lines.append((*row, *difference_over_rows(*values)))
    return pd.DataFrame(lines, columns=COLUMNS)


def page(frame: pd.DataFrame, note: str) -> str:
    lead = (
        '<p class="lead">First minus second on the same test rows, with the 95 % interval of a '
        "paired bootstrap over rows; where there are seeds, a row's score is their mean. An "
        "interval that leaves out 0 is marked.</p>"
    )
    parts = [lead]
    for metric, some in frame.groupby("metric", sort=False):
        rows = []
        for (first, second), own in some.groupby(["first", "second"], sort=False):
            by_task = own.set_index("task")
            cells = [_cell(by_task, task) for task in ("all", *TASKS)]
            rows.append([first, second, *cells])
        heads = ["first", "second", "all tasks", *TASKS]
        parts += [f"<h2>{LABELS[metric]}</h2>", html.table(heads, rows)]
    return html.page("Differences between runs", note, "\n".join(parts))


def _cell(by_task: pd.DataFrame, task: str) -> html.Markup | str:
    if task not in by_task.index:
        return ""
    difference, low, high = by_task.loc[task, ["difference", "low", "high"]]
    text = f"{difference:+.2f} [{low:+.2f}, {high:+.2f}]"
    if low > 0 or high < 0:
        return html.tag(text, "good" if low > 0 else "bad")
    return html.Markup(html.escape(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, help="run folders of all recipes")
    parser.add_argument("--note", default="", help="small print: what the data and model are")
    parser.add_argument("--folder", required=True, type=Path, help="results/tables")
    args = parser.parse_args()
    frame = differences(read_runs(args.runs))
    write_text(args.folder / "differences.csv", to_csv(frame))
    write_text(args.folder / "differences.html", page(frame, args.note))


if __name__ == "__main__":
    run_cli(main)
