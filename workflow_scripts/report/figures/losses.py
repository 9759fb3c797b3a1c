"""Figures of losses: of runs side by side, by task, and of runs end to end.

5.1, 5.3, 5.5 to 5.7: training and evaluation loss, one column per recipe, one row per run. 5.2 and
5.4: the training loss by task, as the notebooks drew it and as it is. Carried weights: the
evaluation loss of runs that each started from the weights of the one before, end to end.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures import style
from workflow_scripts.report.frames import logged_losses
from workflow_scripts.tables import RUN

UNFINISHED = "* training ended with the last epoch allowed, not by patience"
PADDING = {True: "with padding", False: "without padding"}
TASK_LINES = {"Selector": "-", "Decomposer": "--", "Refiner": "-."}
COUNTED = ["tokenizer", "padding_in_loss", "target_tokens"]  # losses compare where these are equal
NARROWEST = 2.3  # inches of one column
STEPS = 800  # the first of a run, of which the losses by task are shown


def lay_out_panels(runs: pd.DataFrame, rows: int) -> tuple[Figure, NDArray]:
    """Panels [row, recipe]; recipes whose losses compare share an axis, labelled at the first."""
    recipes = runs.drop_duplicates("recipe")
    figure = style.new_figure(0.9 + 1.9 * rows, max(style.WIDTH, NARROWEST * len(recipes)))
    panels = figure.subplots(rows, len(recipes), sharex=True, squeeze=False)
    first: dict[tuple, Axes] = {}  # panel of each loss axis
    before = None
    for column, recipe in zip(panels.T, recipes.to_dict("records"), strict=True):
        counted = tuple(recipe[name] for name in COUNTED)
        leader = first.setdefault(counted, column[0])
        for axes in column:
            if axes is not leader:
                axes.sharey(leader)
            if leader is column[0]:
                axes.set_ylabel(f"loss {PADDING[recipe['padding_in_loss']]}")
            axes.tick_params(axis="y", labelleft=counted != before)
        before = counted
        column[0].annotate(
            recipe["recipe"], (0, 1), xycoords="axes fraction", xytext=(0, 27),
            textcoords="offset points", fontweight="bold",
        )  # fmt: skip
    return figure, panels


def finish_panels(panels: NDArray, x: str) -> None:
    """The axes of all panels, once everything is drawn: only then are their ranges known."""
    panels[0, 0].set_xlim(left=0)
    for axes in panels.flat:
        style.scale_losses(axes)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in panels[-1]:
        axes.set_xlabel(x)


def of_run(frame: pd.DataFrame, run: pd.Series) -> pd.DataFrame:
    return frame[(frame[list(RUN)] == run[list(RUN)]).all(axis=1)]


def size_of(run: pd.Series) -> str:
    return f"batch {run.batch_size}, {run.train_all:,} rows"


def draw_losses(
    runs: pd.DataFrame, epochs: pd.DataFrame, steps: pd.DataFrame, quoted: dict[str, Any]
) -> Figure:
    """Training and evaluation loss; published runs where their loss counts the same tokens."""
    names = list(runs.run.unique())
    figure, panels = lay_out_panels(runs, len(names))
    for column, (_, of_recipe) in zip(panels.T, runs.groupby("recipe", sort=False), strict=True):
        for axes, name in zip(column, names, strict=True):
            axes.set_title(f"no run {name}", fontsize=8)
            for _, run in of_recipe[of_recipe.run == name].iterrows():
                _draw_run(axes, run, of_run(epochs, run), of_run(steps, run))
                if name in quoted and run.padding_in_loss and run.tokenizer == "stock":
                    log = pd.DataFrame(quoted[name]["log"])
                    look = {"color": style.GREY, "markersize": 3, "label": "evaluation, published"}
                    axes.plot(log.epoch, log.eval_loss, "o:", **look)
    finish_panels(panels, "epoch")
    style.add_legend(figure, columns=3)
    return figure


def _draw_run(axes: Axes, run: pd.Series, epochs: pd.DataFrame, steps: pd.DataFrame) -> None:
    logged = logged_losses(steps, run.log_every)
    label = f"training (mean of {run.log_every} steps)"
    look = {"marker": "." if len(logged) == 1 else "", "linewidth": 1, "label": label}
    axes.plot(logged.epoch, logged.loss, color=style.BLUE, **look)
    look = {"color": style.ORANGE, "markersize": 3, "label": "evaluation (each epoch)"}
    axes.plot(epochs.epoch, epochs.eval_loss, "s--", **look)
    fill, ended = (
        (style.BLACK, "stopped by patience") if run.stopped_early else ("white", "all epochs used")
    )
    look = {"markerfacecolor": fill, "markeredgecolor": style.BLACK, "markersize": 10, "zorder": 3}
    look |= {"color": "none", "label": f"best epoch ({ended})"}
    axes.plot(run.best_epoch, run.best_eval_loss, "*", **look)
    best = f"lowest {run.best_eval_loss:.3f}: epoch {run.best_epoch}, step {run.best_step:,}"
    axes.set_title(f"{size_of(run)}\n{best}", fontsize=8)


def notebook_losses(steps: pd.DataFrame, log_every: int, row_tasks: Sequence[str]) -> pd.DataFrame:
    """The notebooks' losses by task; `row_tasks` in the order of the file.

    After every step, the loss logged last (a mean over all tasks) is booked to the task of training
    row number `step`, although the Trainer shuffles.
    """
    numbers = steps[steps.task == "all"].step.sort_values()
    last = logged_losses(steps, log_every).set_index("step").loss.reindex(numbers).ffill()
    tasks = [row_tasks[(step - 1) % len(row_tasks)] for step in numbers]
    return pd.DataFrame({"step": numbers.array, "task": tasks, "loss": last.array}).dropna()


def true_losses(steps: pd.DataFrame, window: int) -> pd.DataFrame:
    """The loss per token by task, over the last `window` steps that had rows of the task."""
    of_task = steps[steps.task != "all"].sort_values("step").set_index("step")
    sums = of_task.groupby("task")[["loss_sum", "tokens"]].rolling(window, min_periods=1).sum()
    return (sums.loss_sum / sums.tokens.clip(lower=1)).rename("loss").reset_index()


def draw_task_losses(
    runs: pd.DataFrame, steps: pd.DataFrame, task_orders: list[list[str]]
) -> Figure:
    """Upper row: the rule of the notebooks, applied to one run per recipe. Lower row: the truth."""
    steps = steps[steps.step <= STEPS]
    figure, panels = lay_out_panels(runs, rows=2)
    for (upper, lower), (_, run), tasks in zip(panels.T, runs.iterrows(), task_orders, strict=True):
        own, window = of_run(steps, run), max(5, min(STEPS, run.steps_done) // 40)
        drawn = notebook_losses(own, run.log_every, tasks)
        for axes, losses in ((upper, drawn), (lower, true_losses(own, window))):
            for task in TASKS:
                of_task = losses[losses.task == task]
                look = {"color": style.TASK_COLOURS[task], "linestyle": TASK_LINES[task]}
                axes.plot(of_task.step, of_task.loss, label=task, linewidth=1.3, **look)
        upper.set_title(f"{size_of(run)}\nas the notebooks drew it", fontsize=8)
        lower.set_title(f"true, over a task's last {window} steps", fontsize=8)
    finish_panels(panels, "step")
    style.add_legend(figure)
    return figure


def words_of_chain(runs: pd.DataFrame, published: dict[str, Any]) -> str:
    """What becomes of the loss along the most runs each of which starts from the one before it."""
    chains: dict[str | None, list[int]] = {}  # name of the last run -> the chain up to it
    for place, run in enumerate(runs.itertuples()):
        chains[run.run] = [*chains.get(run.starts_from, []), place]
    chain = runs.iloc[max(chains.values(), key=len)]
    names = chain.run.tolist()
    rows = ", ".join(f"{rows:,}" for rows in sorted(chain.train_all.unique()))
    words = f"{chain.recipe.iloc[0]}, {len(names)} runs on {rows} rows, {names[0]} to {names[-1]}:"
    losses = {"measured": chain.best_eval_loss.tolist()}
    if all(name in published for name in names):
        losses["published"] = [published[name]["best_eval_loss"] for name in names]
    for kind, each in losses.items():
        changes = np.diff(each)
        words += f"\n{kind}: {each[0]:.3f} at first, {each[-1]:.3f} at last (falls "
        words += f"{(changes < 0).sum()} of {len(changes)} times, rises {(changes > 0).sum()})"
    return words


def draw_carried_weights(
    runs: pd.DataFrame, epochs: pd.DataFrame, starts: list[str | None], published: dict[str, Any]
) -> Figure:
    """One panel per recipe; runs in the order of training."""
    recipes = dict(list(runs.assign(starts_from=starts).groupby("recipe", sort=False)))
    figure = style.new_figure(0.6 + 3.4 * len(recipes))
    panels = figure.subplots(len(recipes), squeeze=False)[:, 0]
    for axes, of_recipe in zip(panels, recipes.values(), strict=True):
        _draw_chain(axes, of_recipe, epochs, published["runs"])
        axes.set_title(words_of_chain(of_recipe, published["runs"]), fontsize=8)
        style.scale_losses(axes)
    words = "runs in the order of training; one point per epoch"
    panels[-1].set_xlabel(words if runs.stopped_early.all() else f"{words}\n{UNFINISHED}")
    style.add_legend(figure)
    return figure


def _draw_chain(axes: Axes, runs: pd.DataFrame, epochs: pd.DataFrame, published: dict) -> None:
    start, ticks = 0.0, {}
    for place, (_, run) in enumerate(runs.iterrows()):
        quoted = [each["eval_loss"] for each in published.get(run.run, {}).get("log", [])]
        measured = of_run(epochs, run).eval_loss.tolist()
        width = max(len(quoted), len(measured)) + 1.0
        if place % 2:
            axes.axvspan(start, start + width, color="#F2F2F2", linewidth=0)
        hollow = {"color": style.GREY, "markerfacecolor": "white", "linestyle": ":"}
        look = {"color": style.BLUE, "marker": "^", "label": "measured, from the base model"}
        if pd.notna(run.starts_from):
            look = {"color": style.ORANGE, "marker": "s", "label": "measured, weights carried over"}
        hollow |= {"marker": "o", "label": "published"}
        for losses, marks in ((quoted, hollow), (measured, look)):
            if losses:
                x = start + 1 + np.arange(len(losses))
                axes.plot(x, losses, markersize=3.5, **marks)
        ticks[start + width / 2] = run.run + "*" * (not run.stopped_early)
        start += width
    axes.set_xticks(list(ticks), list(ticks.values()), rotation=35, ha="right")
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set(xlim=(0, start), ylabel=f"evaluation loss {PADDING[runs.padding_in_loss.iloc[0]]}")
