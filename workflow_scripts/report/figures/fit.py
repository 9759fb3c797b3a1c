"""The fit audit as a figure: what each recipe leaves of the rows, by task, before any training.

All bars are shares of a task's rows, so that 100 % is a recipe that loses nothing.
"""

from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.fit import FitAudit, TaskFit
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.stage import Input, run_stage

CAPTION = """\
The fit audit: what is left of the rows once a recipe has built the input, cut it, and passed the
answer through the tokenizer. No model takes part.

**How to read it.** Bars are shares of a task's rows; the numbers above them are counts (per cent in
the last panel). *Rows whose question is in the input*: the others lost it to the cut. *Distinct
inputs left*: if all rows of a task have become one input, a model can only give all of them one
answer. *Answers that survive the tokenizer*: equal to the byte after encoding and decoding.
*Highest exact match within reach*: of a model that gives equal inputs equal answers, and is right
wherever its tokenizer can write the raw answer.

**What the report says.** Nothing; it took for granted that the model sees its rows. On the real
rows 3,038 of 3,375 lose question and schema (A1), and no answer survives the stock T5 tokenizer
(A2).
"""

PANELS = {
    "question_kept": "rows whose question is in the input",
    "distinct_inputs": "distinct inputs left",
    "targets_surviving": "answers that survive the tokenizer",
    "max_exact_match_given_inputs": "highest exact match within reach",
}
WIDTH = 0.32  # of a bar; three stand together
HATCHES = {"Selector": "", "Decomposer": "///", "Refiner": "..."}


def plot_fit(
    fit: Annotated[list[FitAudit], Input("results/fit/<recipe>.json of each recipe")],
) -> Figure:
    figure = style.new_figure(height=4.6)
    panels = figure.subplots(2, 2, sharey=True)
    for axes, (measure, title) in zip(panels.flat, PANELS.items(), strict=True):
        for offset, task in enumerate(TASKS):
            _draw_task(axes, fit, measure, task, (offset - 1) * WIDTH)
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_xticks(range(len(fit)), [audit.recipe for audit in fit])
        axes.grid(axis="x", visible=False)
        axes.set_xlim(-0.5, len(fit) - 0.5)
        axes.set_ylim(0, 1.16)
        axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    for axes in panels[:, 0]:
        axes.set_ylabel("share of rows")
    style.legend_below(figure)
    return figure


def bar(fit: TaskFit, measure: str) -> tuple[float, str]:
    """(share of a task's rows, label); counts are labelled as counts, rates as per cent."""
    value = getattr(fit, measure)
    if isinstance(value, float):
        return value, f"{value:.0%}"
    return value / max(fit.rows, 1), f"{value:,}"


def _draw_task(axes: Axes, audits: list[FitAudit], measure: str, task: str, offset: float) -> None:
    rows = max(audit.tasks[task].rows if task in audit.tasks else 0 for audit in audits)
    bars = [
        bar(audit.tasks[task], measure) if task in audit.tasks else (np.nan, "") for audit in audits
    ]
    drawn = axes.bar(
        np.arange(len(audits)) + offset, [height for height, _ in bars], WIDTH,
        color=style.TASK_COLOURS[task], hatch=HATCHES[task], edgecolor="white", linewidth=0,
        label=f"{task} (n = {rows:,})",
    )  # fmt: skip
    axes.bar_label(drawn, [label for _, label in bars], fontsize=style.SMALL, padding=1)


if __name__ == "__main__":
    run_stage(plot_fit, save_figure)
