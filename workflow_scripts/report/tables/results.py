"""The tables of results: all numbers, the same over seeds, and one summary to read.

`results.csv` has one line for each number of each fine-tuning; `over_seeds.csv` the mean over seeds
with a 95 % interval (Student's t; where no two seeds differ, the one over rows); `summary.csv` and
`summary.html` one line for each run.
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.csv import write_csv, write_table
from workflow_scripts.artifacts.report import Mean, Result
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.runs import Run, mean_score
from workflow_scripts.report.tables.summary import summary_lines, summary_page
from workflow_scripts.stage import Output, Setting, run_stage

CAPTION = """\
All runs: a table for each recipe with a line for each run, then the scores by task on rows that the
run was not trained on. The page says which losses can be compared, and which rows are meant.

**What the report says.** ROUGE-L between 0.19 and 0.41 and an exact match of 0 in all runs but
one. ROUGE-L hides what the tokenizer loses: it drops everything but letters and digits. Two of
the ten published scores belong to another run's rows (A6).
"""

CAPTION_CSV = """\
Every number that was measured, one line each, with a 95 % interval over rows where there is one.
Losses are those of the epoch whose weights were kept. The file is ``results/tables/results.csv``;
means over seeds are in ``over_seeds.csv`` beside it.
"""


def all_results(runs: list[Run]) -> list[Result]:
    """Every number of every run, in the order of the runs given."""
    return [
        Result(recipe=run.recipe, run=run.name, seed=run.seed, **score.model_dump())
        for run in runs
        for score in run.scores
    ]


def over_seeds(results: list[Result]) -> list[Mean]:
    """The same for each run as a whole; numbers that were not measured are left out."""
    seeds: dict[tuple[str, str, str, str, str], list[Result]] = {}
    for line in results:
        if line.value is not None:
            key = (line.recipe, line.run, line.split, line.task, line.metric)
            seeds.setdefault(key, []).append(line)
    means = ((key, len(lines), mean_score(lines)) for key, lines in seeds.items())
    return [
        Mean(*key, count, mean.value, mean.low, mean.high, mean.over or None)
        for key, count, mean in means
    ]


def tabulate_results(
    runs: Annotated[list[Run], Setting("all run folders")],
    results: Annotated[Path, Output("results.csv: every number")],
    means: Annotated[Path, Output("over_seeds.csv")],
    summary: Annotated[Path, Output("summary.csv: one line a run")],
) -> html.Page:
    numbers = all_results(runs)
    of_runs = over_seeds(numbers)
    lines = summary_lines(runs, of_runs)
    write_csv(results, Result, numbers)
    write_csv(means, Mean, of_runs)
    write_table(summary, lines[0], (line.values() for line in lines))
    return summary_page(lines, of_runs)


if __name__ == "__main__":
    run_stage(tabulate_results, write_page)
