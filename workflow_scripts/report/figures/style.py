"""One look for all figures: colours that survive colour blindness and print, and files that are
the same bytes for the same data.

Colours are those of Okabe and Ito (2008), "Color Universal Design"; every series also differs in
line style or marker, so that a figure can be read without colour.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
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
NOTE_INCHES = 0.17  # height of the small print
NOTE: ContextVar[str] = ContextVar("small print of the figure that is drawn", default="")

BASE_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "figure.titlesize": 11,
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
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
    style: Annotated[
        dict | None, Setting('matplotlib settings over ours, e.g. {"font.size": 9}')
    ] = None,
) -> None:
    """How every stage of a figure ends: no dates, no versions, no random ids in its files."""
    with drawn_with(note, style):
        figure = draw()
        with written_whole(svg) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
        with written_whole(png) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


@contextlib.contextmanager
def drawn_with(note: str, style: dict | None = None) -> Iterator[None]:
    """Our style, with these settings over it and this small print, for what is drawn inside.

    Raises EssenceError naming the setting that matplotlib doesn't know or accept.
    """
    token = NOTE.set(note)
    with matplotlib.rc_context(BASE_STYLE):
        for key, value in (style or {}).items():
            try:
                matplotlib.rcParams[key] = value
            except (KeyError, ValueError) as error:
                raise EssenceError(
                    f"figures.style: {key}: {value!r} is no matplotlib setting ({error}). "
                    "The names are those of matplotlib's rcParams."
                ) from error
        try:
            yield
        finally:
            NOTE.reset(token)


def new_figure(title: str, size: tuple[float, float]) -> Figure:
    """A figure with its title and, when there is one, the small print below.

    `size` is in inches; 7.2 is the text width of an A4 page.
    """
    note = NOTE.get()
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    if note:
        y = 0.25 * NOTE_INCHES / size[1]
        figure.text(0.99, y, note, ha="right", fontsize=7, color=GREY, style="italic")
    _keep_free(figure, NOTE_INCHES if note else 0)
    return figure


def legend_below(figure: Figure, columns: int = 4) -> None:
    """One legend for all panels, under them, where it covers no data."""
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    below = NOTE_INCHES if figure.texts else 0.0
    figure.legend(
        list(entries.values()), list(entries), loc="lower left",
        bbox_to_anchor=(0, below / figure.get_figheight()),
        ncols=min(columns, len(entries)), handlelength=2.4, columnspacing=1.4,
    )  # fmt: skip
    rows = -(-len(entries) // columns)
    _keep_free(figure, below + 0.12 + 0.17 * rows)


def _keep_free(figure: Figure, inches: float) -> None:
    """Lay the panels out above a strip at the bottom of the figure."""
    fraction = inches / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, fraction, 1, 1 - fraction))
