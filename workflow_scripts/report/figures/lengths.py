"""Box plots of the lengths of source and target by task, in words and in tokens of the base model.

Dotted lines show where the recipes cut; what lies to the right of one is not seen, or not learnt.
"""

from pathlib import Path
from typing import Annotated

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.parquet import read_rows
from workflow_scripts.artifacts.tables import Lengths
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.stage import Input, Setting, run_stage

CAPTION = """\
The length of the source (what the model reads) and of the target (what it should write), by task,
in words and in tokens of the base model.

**How to read it.** A box holds the middle half of the rows, and the line in it is the median. The
whiskers reach to the last row within one and a half box lengths; dots are rows beyond. Dotted lines
show where a recipe cuts. Lengths are those of the whole prompt; a recipe that rewrites the prompt
(*repaired*) has no line for the source.

**What the report says.** Section 3.1 shows such box plots in words, and finds many outliers and
no cause for concern. In tokens, nearly every source is longer than the 512 tokens that were kept:
this is artefact A1.
"""

PANELS = {
    "source_words": "source, words",
    "target_words": "target, words",
    "source_tokens": "source, tokens",
    "target_tokens": "target, tokens",
}


def plot_lengths(
    lengths: Annotated[Path, Input("results/data/lengths.parquet")],
    limits: Annotated[
        dict[str, dict[str, int]],
        Setting('where recipes cut, JSON: {"as_written": {"source_tokens": 512}}'),
    ],
) -> Figure:
    rows = read_rows(Lengths, lengths)
    figure = style.new_figure(height=4.6)
    panels = figure.subplots(2, 2, sharey="row")
    for axes, (column, title) in zip(panels.flat, PANELS.items(), strict=True):
        _draw_boxes(
            axes,
            {task: [getattr(row, column) for row in rows if row.task == task] for task in TASKS},
        )
        axes.set_title(title, loc="left", fontsize=9)
        recipes: dict[int, list[str]] = {}  # where they cut -> which
        for recipe, cut in limits.items():
            if column in cut:
                recipes.setdefault(cut[column], []).append(recipe)
        axes.set_xlim(0, 1.04 * max([axes.get_xlim()[1], *recipes]))
        for place, limit in enumerate(sorted(recipes)):
            _draw_cut(axes, limit, f"cut at {limit:,}: {', '.join(recipes[limit])}", place)
    for axes in panels[1]:
        axes.set_xlabel("length")
    return figure


def _draw_cut(axes: Axes, limit: int, text: str, place: int) -> None:
    """A dotted line, its label in a line of its own above the boxes, on the side with more room."""
    top = len(TASKS) + 0.7 + 0.4 * place
    axes.set_ylim(top=top + 0.3)
    axes.axvline(limit, color=style.BLACK, linestyle=":", linewidth=1.2)
    left, right = axes.get_xlim()
    leftwards = limit - left > right - limit
    axes.annotate(
        text, (limit, top), xytext=(-3 if leftwards else 3, 0), textcoords="offset points",
        ha="right" if leftwards else "left", va="center", fontsize=style.SMALL,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


def _draw_boxes(axes: Axes, by_task: dict[str, list[int]]) -> None:
    tasks = list(reversed(by_task))  # the first task on top
    boxes = axes.boxplot(
        [by_task[task] for task in tasks], orientation="horizontal", tick_labels=tasks,
        widths=0.6, patch_artist=True,
        medianprops={"color": style.BLACK, "linewidth": 1.4},
        flierprops={"marker": "o", "markersize": 2, "alpha": 0.4, "markeredgewidth": 0.4},
    )  # fmt: skip
    for task, box in zip(tasks, boxes["boxes"], strict=True):
        box.set_facecolor(style.TASK_COLOURS[task])
        box.set_alpha(0.75)
    axes.grid(axis="y", visible=False)


if __name__ == "__main__":
    run_stage(plot_lengths, save_figure)
