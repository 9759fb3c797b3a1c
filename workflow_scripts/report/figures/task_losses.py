"""Figures 5.2 and 5.4: the training loss of each task over the first steps, true and as it was.

Upper row, the rule of the original notebooks, applied to these runs: after every step, the loss
logged last (a mean over all tasks) is booked to the task of training row number `step`, although
the Trainer shuffles. Lower row, the truth: sum of token losses over number of tokens, for each
task, from the batches that were trained on. A column is a recipe.
"""

from collections import deque
from pathlib import Path
from typing import Annotated

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.parquet import iter_rows
from workflow_scripts.artifacts.runs import StepSums
from workflow_scripts.artifacts.tables import RowSubject
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.panels import loss_panels, size_of
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.runs import Run, logged_losses
from workflow_scripts.stage import Input, Setting, run_stage

CAPTION = """\
Training loss by task over the first steps, as the notebooks drew it and as it is: one column for
each recipe.

**How to read it.** Upper row: the rule of the original notebooks, applied to the run at hand. After
each step, the loss logged last, a mean over all tasks, is booked to the task of the training row
whose number is that of the step, although the rows were shuffled. All three lines follow one step
function; they differ only in where each line happens to have points. Lower row: the true loss. For
every step, the token losses of the rows that were trained on, by task, pooled over a task's last
few steps. Losses compare only where the same tokens are counted, and only such panels share a loss
axis: with padding in the loss (A4), or with another tokenizer (A2), the level is another. Of
several seeds the first is shown.

**What the report says.** Figure 5.2 (natural mix): the Refiner deviates because it is rare. Figure
5.4 (balanced tasks, though its caption says real distribution): all tasks learn at the same pace.
Both are artefact A7: the figures carry no information about tasks.
"""

STEPS = 800  # the first of a run are shown
Curves = dict[str, tuple[list[int], list[float]]]


def as_they_were(run: Run, row_tasks: list[str], steps: int) -> Curves:
    """The notebooks' curves by task: (steps, losses); `row_tasks` in the order of the file."""
    curves: Curves = {task: ([], []) for task in TASKS}
    logged = {point.step: point.loss for point in logged_losses(run)}
    last = None
    for event in run.steps[:steps]:
        last = logged.get(event.step, last)
        if last is not None:
            x, y = curves[row_tasks[(event.step - 1) % len(row_tasks)]]
            x.append(event.step)
            y.append(last)
    return curves


def true_losses(run: Run, steps: int, window: int) -> Curves:
    """The loss per token by task, over the last `window` steps that held the task."""
    curves: Curves = {task: ([], []) for task in TASKS}
    recent: dict[str, deque[StepSums]] = {task: deque(maxlen=window) for task in TASKS}
    for event in run.steps[:steps]:
        for task, sums in event.tasks.items():
            recent[task].append(sums)
            tokens = sum(each.tokens for each in recent[task])
            x, y = curves[task]
            x.append(event.step)
            y.append(sum(each.loss_sum for each in recent[task]) / max(tokens, 1))
    return curves


def plot_task_losses(
    runs: Annotated[list[Run], Setting("folders of the runs to show, one of each recipe")],
    rows: Annotated[list[Path], Input("train.parquet that each of the runs was trained on")],
) -> Figure:
    recipes = [run.training.settings.recipe for run in runs]
    figure, panels = loss_panels(recipes, rows=2, height=1.9)
    for (upper, lower), run, path in zip(panels.T, runs, rows, strict=True):
        row_tasks = [row.task for row in iter_rows(RowSubject, path)]
        steps = min(STEPS, len(run.steps))
        window = max(5, steps // 40)
        _draw_curves(upper, as_they_were(run, row_tasks, steps))
        _draw_curves(lower, true_losses(run, steps, window))
        upper.set_title(f"{size_of(run)}\nas the notebooks drew it", loc="left", fontsize=8)
        lower.set_title(f"true, over a task's last {window} steps", loc="left", fontsize=8)
        lower.set_xlabel("step")
    style.legend_below(figure)
    return figure


def _draw_curves(axes: Axes, curves: Curves) -> None:
    for task, (x, y) in curves.items():
        colour, line = style.TASK_COLOURS[task], style.TASK_LINES[task]
        axes.plot(x, y, color=colour, linestyle=line, linewidth=1.3, label=task)
    axes.set_xlim(left=0)


if __name__ == "__main__":
    run_stage(plot_task_losses, save_figure)
