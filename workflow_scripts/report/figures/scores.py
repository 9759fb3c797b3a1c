"""Figures of scores: learning rate by batch size, execution accuracy, what each agent is worth."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.losses import UNFINISHED
from workflow_scripts.report.frames import select
from workflow_scripts.report.means import (
    LOWER_IS_BETTER,
    WORDS,
    best_runs,
    held_out,
    mean_of_answers,
    rate,
)
from workflow_scripts.report.models import ALL_AGENTS
from workflow_scripts.tables import ANSWERS, NUMBER, RUN

EQUAL = "#E9E9E9"  # a panel whose cells are all equal
LUMINANCE = (0.2126, 0.7152, 0.0722)  # what red, green and blue weigh (Rec. 709)
ROUNDING = 1e-9
NEEDED = ("split", "idx", "task", "db_id", "database", "hardness", "execution_accuracy")
JUDGED = {name: ANSWERS.get(name, NUMBER) for name in (*RUN, *NEEDED)}  # columns of answers
GROUPS = {  # words -> column, value; the hardness of the gold SQL is in Spider's levels
    **{task: ("task", task) for task in ("Decomposer", "Refiner")},
    **{f"{level} SQL": ("hardness", level) for level in ("easy", "medium", "hard", "extra")},
}
HELD_OUT = "held-out rows"
SPLITS = {"test": HELD_OUT, "val": HELD_OUT, "unseen": "databases never seen"}
SPLITS |= {"other": "rows of another file"}
COLOURS, MARKERS = (style.BLACK, style.BLUE, style.ORANGE, style.GREEN), "s^oD"  # of the recipes


# --- learning rate by batch size


def grids_of(
    metric: str, runs: pd.DataFrame, scores: pd.DataFrame, published: dict[str, Any]
) -> dict[str, pd.DataFrame]:
    """Recipe, "published" first -> a line per learning rate (as used) and batch size."""
    quoted = pd.DataFrame(run for run in published["runs"].values() if run["experiment"] == 3)
    quoted = quoted.rename(
        columns={"learning_rate": "rate", WORDS["heatmap"][metric]["published"]: "value"}
    )
    quoted = quoted.assign(rows=published["dataset"]["validation_rows"], stopped_early=True)
    known = select(scores, split="val", task="all", metric=metric)
    values = runs.merge(known, on=list(RUN)).assign(rate=lambda run: run.used_learning_rate)
    cells = values.groupby(["recipe", "rate", "batch_size"], sort=False, as_index=False).agg(
        value=("value", "mean"), rows=("val_all", "sum"), stopped_early=("stopped_early", "all")
    )
    return {"published": quoted, **dict(list(cells.groupby("recipe", sort=False)))}


def best_cell(cells: pd.DataFrame, metric: str) -> tuple[float, int] | None:
    """Learning rate and batch size with the lowest loss, or the highest score.

    None where there is no other, where two share it, or where a score is ahead of the next by no
    more than one row could make.
    """
    lower = metric in LOWER_IS_BETTER
    if len(cells) < 2:
        return None
    first, second = cells.sort_values("value", ascending=lower).iloc[:2].itertuples()
    lead = abs(first.value - second.value)
    one_row = 0 if lower else 1 / first.rows
    return (first.rate, first.batch_size) if lead > one_row + ROUNDING else None


def draw_heatmap(runs: pd.DataFrame, numbers: pd.DataFrame, published: dict[str, Any]) -> Figure:
    """First row: what the notebooks printed. Below, one row per recipe: what was measured here."""
    measured = set(numbers[(numbers.split == "val") & numbers.value.notna()].metric)
    grids = {metric: grids_of(metric, runs, numbers, published) for metric in WORDS["heatmap"]
             if metric in measured}  # fmt: skip
    sizes = {"published": [published["dataset"]["validation_rows"]]}
    sizes |= dict(list(runs.groupby("recipe", sort=False).val_all))
    figure = style.new_figure(0.6 + 1.1 * len(sizes))
    panels = figure.subplots(len(sizes), len(grids), squeeze=False)
    for column, (metric, of_metric) in zip(panels.T, grids.items(), strict=True):
        for axes, name in zip(column, sizes, strict=True):
            _draw_grid(axes, of_metric[name], metric)
        column[0].set_title(WORDS["heatmap"][metric]["title"])
        column[-1].set_xlabel("learning rate")
    for axes, (name, rows) in zip(panels[:, 0], sizes.items(), strict=True):
        axes.set_ylabel(f"{name}\nn = {_listed(rows)}\nbatch size")
    words = f"each run is trained on {_listed(runs.train_all)} rows"
    words += f"\n{UNFINISHED}" * (not runs.stopped_early.all())
    figure.suptitle(words, x=0.01, ha="left", fontsize=8)
    return figure


def _listed(numbers: Iterable[int]) -> str:
    """Different numbers, the smallest first: "67" or "67, 264"."""
    return ", ".join(f"{number:,}" for number in sorted(set(numbers)))


def _draw_grid(axes: Axes, cells: pd.DataFrame, metric: str) -> None:
    values = cells.pivot(index="batch_size", columns="rate", values="value")
    equal = cells.value.nunique() == 1 < len(cells)
    colours, scale = colormaps["cividis"], Normalize(0, 1)
    if metric in LOWER_IS_BETTER:
        colours, scale = colours.reversed(), Normalize(cells.value.min(), cells.value.max())
    if equal:  # exact match 0 everywhere: no colour may suggest a spread
        axes.set_facecolor(EQUAL)
    else:
        axes.imshow(values, cmap=colours, norm=scale, aspect="auto")
    best = None if equal else best_cell(cells, metric)
    for cell in cells.itertuples():
        x, y = values.columns.get_loc(cell.rate), values.index.get_loc(cell.batch_size)
        dark = not equal and np.dot(colours(scale(cell.value))[:3], LUMINANCE) < 0.45
        text = f"{cell.value:.3f}" + "*" * (not cell.stopped_early)
        colour = "white" if dark else style.BLACK
        axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=8)
        if (cell.rate, cell.batch_size) == best:
            corner = (x - 0.46, y - 0.46)
            axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor=style.ORANGE, lw=2))
    axes.set(xlim=(-0.5, len(values.columns) - 0.5), ylim=(len(values) - 0.5, -0.5))
    axes.set_xticks(range(len(values.columns)), [rate(each) for each in values.columns])
    axes.set_yticks(range(len(values)), [str(batch) for batch in values.index])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


# --- execution accuracy


def executed_rows(answers: pd.DataFrame, chosen: dict[str, str]) -> pd.DataFrame:
    """Answers of each recipe's chosen run to held-out rows whose gold SQL was executed."""
    own = answers[answers.run == answers.recipe.map(chosen)]
    splits = own.groupby("recipe").split.transform(held_out)
    own = own[(own.split == splits) | own.split.isin(["unseen", "other"])]
    rows = own.dropna(subset=["hardness", "execution_accuracy"])
    return rows.sort_values("recipe", key=lambda names: names.map(list(chosen).index))


def draw_execution(answers: pd.DataFrame, runs: pd.DataFrame) -> Figure:
    """One panel per kind of rows; per task and hardness, a line for each recipe."""
    rows = executed_rows(answers, best_runs(runs)).assign(panel=lambda row: row.split.map(SPLITS))
    kinds = [name for name in dict.fromkeys(SPLITS.values()) if name in set(rows.panel)]
    kinds = kinds or [HELD_OUT]  # no gold SQL could be executed: an empty panel
    recipes = list(rows.recipe.unique())
    groups = {words: key for words, key in GROUPS.items() if (rows[key[0]] == key[1]).any()}
    step = len(recipes) + 1  # places of one group: a line per recipe, and one left free
    figure = style.new_figure(1.0 + 0.17 * step * len(groups) + 0.17 * len(recipes))
    panels = dict(zip(kinds, figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0],
                      strict=True))  # fmt: skip
    for (kind, recipe), own in rows.groupby(["panel", "recipe"], sort=False):
        place = recipes.index(recipe)
        its = " (its validation rows)" * bool((own.split == "val").all())
        look = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)]}
        look |= {"label": f"{recipe}: {own.run.iloc[0]}{its}"}
        for number, (column, value) in enumerate(groups.values()):
            if mean := mean_of_answers(own[own[column] == value], "execution_accuracy"):
                text = f"{mean.value:.2f}, n = {mean.rows}"
                style.draw_interval(panels[kind], place + step * number, mean[:3], text, **look)
    for kind, axes in panels.items():
        axes.set(title=kind, xlabel="execution accuracy")
        style.lay_rows(axes, step * len(groups) - 2)
    middles = [step * number + (step - 2) / 2 for number in range(len(groups))]
    panels[kinds[0]].set_yticks(middles, list(groups))
    style.add_legend(figure, columns=1)
    return figure


# --- the agents


def draw_agents(agents: pd.DataFrame) -> Figure:
    """Execution accuracy of the agents in each setup, one panel per set of databases."""
    setups, splits = list(agents.setup.unique()), list(agents.split.unique())
    titles = SPLITS | {"test": "databases that training rows ask of"}
    figure = style.new_figure(0.8 + 0.26 * len(setups))
    panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
    for axes, split in zip(panels, splits, strict=True):
        own = agents[agents.split == split]
        n = own.n.mode()[0]
        for line in own.itertuples():
            together = line.setup == ALL_AGENTS
            colour = style.ORANGE if line.setup.startswith("without") else style.GREEN
            look = {"color": style.BLUE, "marker": "D"} if together else {"color": colour}
            mean = (line.value, line.low, line.high)
            text = f"{line.value:.2f}" + (f", n = {line.n}" if line.n != n else "")
            style.draw_interval(axes, setups.index(line.setup), mean, text, **look)
            if together:
                axes.axvline(line.value, color=style.BLUE, linewidth=1, linestyle=":")
        axes.set(title=titles[split], xlabel=f"execution accuracy (n = {n})")
        style.lay_rows(axes, len(setups) - 1)
    panels[0].set_yticks(range(len(setups)), setups)
    return figure
