"""One look for all figures: colours that survive colour blindness and print, and files that are
the same bytes for the same data.

Colours are those of Okabe and Ito (2008), "Color Universal Design"; every series also differs in
line style or marker, so that a figure can be read without colour.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import written_whole
from workflow_scripts.stage import Output, Setting

BLUE, ORANGE, GREEN, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#222222", "#767676"
TASK_COLOURS = {"Selector": BLUE, "Decomposer": ORANGE, "Refiner": GREEN}
TASK_LINES = {"Selector": "-", "Decomposer": "--", "Refiner": "-."}
TRAIN, EVAL, PUBLISHED = BLUE, ORANGE, GREY
WIDTH = 7.2  # inches; figures are meant to be printed as wide as that
SMALL = 7  # points; no text of a figure is smaller
NOTE_INCHES = 0.19  # height of the small print

BASE_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "figure.titlesize": 10.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "savefig.dpi": 160,
    "svg.hashsalt": "essence",
    "svg.fonttype": "path",
}


def save_figure(
    draw: Callable[[], Figure],
    svg: Annotated[Path, Output("the figure")],
    png: Annotated[Path, Output("the same, for a screen")],
    title: Annotated[str, Setting("above the figure")] = "",
    note: Annotated[str, Setting("small print: the rows, the model and the seeds used")] = "",
    style: Annotated[
        dict | None, Setting('matplotlib settings over ours, e.g. {"font.size": 9}')
    ] = None,
) -> None:
    """How every stage of a figure ends: no dates, no versions, no random ids in its files."""
    with drawn_with(style):
        figure = draw()
        label(figure, title, note)
        with written_whole(svg) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
        with written_whole(png) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


@contextlib.contextmanager
def drawn_with(style: dict | None = None) -> Iterator[None]:
    """Our style, with these settings over it, for what is drawn inside.

    Raises EssenceError naming the setting that matplotlib doesn't know or accept.
    """
    with matplotlib.rc_context(BASE_STYLE):
        for key, value in (style or {}).items():
            try:
                matplotlib.rcParams[key] = value
            except (KeyError, ValueError) as error:
                raise EssenceError(
                    f"figures.style: {key}: {value!r} is no matplotlib setting ({error}). "
                    "The names are those of matplotlib's rcParams."
                ) from error
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, in inches, with room for the small print."""
    figure = Figure(figsize=(width, height), layout="constrained")
    _keep_free(figure, NOTE_INCHES)
    return figure


def label(figure: Figure, title: str, note: str) -> None:
    """The title above, the small print below."""
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    y = 0.25 * NOTE_INCHES / figure.get_figheight()
    figure.text(0.99, y, note, ha="right", fontsize=SMALL, color=GREY, style="italic")


def legend_below(figure: Figure, columns: int = 4, footnote: str = "") -> None:
    """One legend for all panels, under them, where it covers no data.

    Below it, where there is one, what a mark in the panels means.
    """
    below = NOTE_INCHES
    if footnote:
        y = 1.2 * NOTE_INCHES / figure.get_figheight()
        figure.text(0.01, y, footnote, fontsize=SMALL)
        below += NOTE_INCHES
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        figure.legend(
            list(entries.values()), list(entries), loc="lower left",
            bbox_to_anchor=(0, below / figure.get_figheight()),
            ncols=min(columns, len(entries)), handlelength=2.4, columnspacing=1.4,
        )  # fmt: skip
        below += 0.12 + 0.17 * -(-len(entries) // columns)
    _keep_free(figure, below)


def _keep_free(figure: Figure, inches: float) -> None:
    """Lay the panels out above a strip at the bottom of the figure."""
    fraction = inches / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, fraction, 1, 1 - fraction))
