"""Differences between runs on the same held-out rows, with paired intervals.

Predictions of all runs come in. `differences.csv` holds, for each task and metric, the mean of
first minus second over the rows that both have answered (each row's score is the mean over the
seeds) and its 95 % interval over these pairs; `differences.html` the same to be read.
Compared are: a run under one recipe with the same run under another, and under each recipe every
run with the report's choice.
"""

from itertools import combinations
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.csv import write_csv
from workflow_scripts.artifacts.published import Published
from workflow_scripts.artifacts.report import Difference
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import difference_over_rows
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.runs import Run, by_address
from workflow_scripts.report.scores_by_row import METRICS, scores_by_row
from workflow_scripts.stage import Input, Output, Setting, run_stage

CAPTION = """\
How much better or worse one run answers than another, on the same test rows.

**How to read it.** A difference is the first run's score minus the second's. Its interval says how
far it could move with other rows of the same kind. Where no run is better than another, about one
difference in twenty would still be marked, by chance. A run is compared with itself under another
recipe, and under each recipe with the report's choice (learning rate 1e-4, batch size 4). A recipe
without test rows, as *as_run*, is not here.
"""

SPLIT = "test"  # the one split whose rows are the same for all runs
LEAD = (
    "The first run's score minus the second's, on the same test rows, with a 95 % interval over "
    "rows: Newcombe's for shares of one seed, else the paired bootstrap. With several seeds the "
    "score of a row is their mean. Intervals that do not hold 0 are marked."
)
Address = tuple[str, str]  # recipe, run


def pairs_of(addresses: list[Address], chosen: str) -> list[tuple[Address, Address]]:
    """(first, second): the later recipe minus the earlier one, a run minus the report's choice."""
    recipes = list(dict.fromkeys(recipe for recipe, _ in addresses))
    runs = list(dict.fromkeys(run for _, run in addresses))
    wanted = [
        ((late, run), (early, run)) for run in runs for early, late in combinations(recipes, 2)
    ]
    wanted += [((recipe, run), (recipe, chosen)) for recipe in recipes for run in runs]
    return [
        (first, second)
        for first, second in wanted
        if first != second and first in addresses and second in addresses
    ]


def differences_of(runs: list[Run], chosen: str) -> list[Difference]:
    """One line for each pair, metric and task ("all" first); runs without test rows are out."""
    seeds = by_address(runs)
    lines = []
    for metric in METRICS:
        scores = {address: scores_by_row(of, metric, SPLIT) for address, of in seeds.items()}
        tested = [address for address, rows in scores.items() if rows]
        for first, second in pairs_of(tested, chosen):
            own, base = scores[first], scores[second]
            for task in ("all", *TASKS):
                rows = sorted(
                    row for row in own.keys() & base.keys() if task in ("all", own[row].task)
                )
                if rows:
                    values = ([side[row].value for row in rows] for side in (own, base))
                    names = (" ".join(first), " ".join(second))
                    interval = difference_over_rows(*values)
                    lines.append(Difference(*names, metric, task, len(rows), *interval))
    return lines


def differences_page(lines: list[Difference]) -> html.Page:
    tables = {}
    for metric in METRICS:
        by_pair: dict[tuple[str, str], dict[str, Difference]] = {}
        for line in lines:
            if line.metric == metric:
                by_pair.setdefault((line.first, line.second), {})[line.task] = line
        rows = [
            [*pair, *(_cell(by_task.get(task)) for task in ("all", *TASKS))]
            for pair, by_task in by_pair.items()
        ]
        if rows:
            tables[METRICS[metric]] = html.Table(["first", "second", "all tasks", *TASKS], rows)
    return html.tables("Differences between runs", LEAD, tables)


def _cell(line: Difference | None) -> str:
    if line is None:
        return ""
    text = f"{line.difference:+.2f} [{line.low:+.2f}, {line.high:+.2f}]"
    if line.low > 0 or line.high < 0:
        return html.tag(text, "good" if line.low > 0 else "bad")
    return text


def tabulate_differences(
    runs: Annotated[list[Run], Setting("run folders of all recipes")],
    published: Annotated[Published, Input("resources/published.json: the report's choice")],
    table: Annotated[Path, Output("differences.csv")],
) -> html.Page:
    lines = differences_of(runs, published.chosen)
    write_csv(table, Difference, lines)
    return differences_page(lines)


if __name__ == "__main__":
    run_stage(tabulate_differences, write_page)
