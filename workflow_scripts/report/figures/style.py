"""One look for all figures, and files that are the same bytes for the same data.

Colours are those of Okabe and Ito (2008), "Color Universal Design"; every series also differs in
line style, marker or place, so that a figure can be read without colour. A figure has no title: it
stands above the figure in the report.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import written_whole

BLUE, ORANGE, GREEN, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#222222", "#767676"
TASK_COLOURS = {"Selector": BLUE, "Decomposer": ORANGE, "Refiner": GREEN}
WIDTH = 7.2  # inches; figures are meant to be printed as wide as that
SMALL = 7  # points; no text of a figure is smaller
WIDE_RANGE = 4  # a loss that falls to less than this part of itself has ticks at 1, 2, 5, 10 ...

USES_FILES = ["essence.mplstyle"]
STYLE = Path(__file__).with_name("essence.mplstyle")


def save_figure(
    draw: Callable[[], Figure], svg: Path, png: Path, note: str = "", style: dict | None = None
) -> None:
    """Draw a figure and write it with small print, without dates, versions or random ids."""
    with drawn_with(style):
        figure = draw()
        add_note(figure, note)
        with written_whole(svg) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
        with written_whole(png) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


@contextlib.contextmanager
def drawn_with(style: dict | None = None) -> Iterator[None]:
    """Our style with settings over it. Raises EssenceError naming one that matplotlib refuses."""
    with matplotlib.rc_context(matplotlib.rc_params_from_file(STYLE, use_default_template=False)):
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
    """An empty figure, in inches, whose panels leave room for legend and small print."""
    return Figure(figsize=(width, height), layout="constrained")


def add_note(figure: Figure, note: str) -> None:
    figure.supxlabel(note, x=0.99, ha="right", fontsize=SMALL, color=GREY, style="italic")


def add_legend(figure: Figure, columns: int = 4) -> None:
    """One legend for all panels, above them, where it covers no data."""
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    look = {"ncols": columns, "handlelength": 2.4, "columnspacing": 1.4}
    figure.legend(entries.values(), entries.keys(), loc="outside upper left", **look)


def scale_losses(axes: Axes) -> None:
    """A logarithmic axis with plain numbers; call it when everything is drawn on the axes."""
    axes.set_yscale("log")
    axes.margins(y=0.1)
    low, high = axes.get_ylim()
    wide = high > WIDE_RANGE * low
    axes.yaxis.set_major_locator(
        LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(5, steps=(1, 2, 5, 10))
    )
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def draw_interval(
    axes: Axes, place: float, mean: tuple[float, float, float], text: str, **marker: Any
) -> None:
    """A mean with its low and high end, lying at a height; its number stands right of the panel."""
    value, low, high = mean
    look = {"marker": "o", "markersize": 5, "zorder": 3, "clip_on": False} | marker
    axes.plot([low, high], [place, place], color=marker["color"], linewidth=1.6)
    axes.plot(value, place, linestyle="none", **look)
    axes.annotate(
        text, (1, place), xycoords=axes.get_yaxis_transform(), xytext=(7, 0),
        textcoords="offset points", va="center", fontsize=SMALL,
    )  # fmt: skip


def lay_rows(axes: Axes, last: float) -> None:
    """Set out a panel of intervals, from the height 0 on top to `last`, on a scale of shares."""
    axes.set(xlim=(0, 1), ylim=(last + 0.6, -0.6))
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0, pad=7)
