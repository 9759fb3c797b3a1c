"""What a reader would see at once on a figure: points cut off, texts that cover each other."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from workflow_scripts.report.figures.style import SMALL

TOLERANCE = 1.0  # pixels


def faults(figure: Figure) -> list[str]:
    """In words, with the text or the point; a good figure has none."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = {text: text.get_window_extent(renderer) for text in _texts(figure)}
    outside = (text for text, box in texts.items() if not _is_within(box, figure.bbox))
    small = (text for text in texts if text.get_fontsize() < SMALL)
    return [
        *_points_outside(figure),
        *(f"{_words(text)}: outside the figure" for text in outside),
        *(f"{_words(text)}: too small" for text in small),
        *(
            f"{_words(one)} and {_words(other)}: overlap"
            for one, other in combinations(texts, 2)
            if not (one.get_rotation() % 90 and other.get_rotation() % 90)
            and _overlap(texts[one], texts[other])
        ),
        *(
            f"{_words(text)}: on a mark"
            for text in texts
            for axes in figure.axes
            for mark in _marks(axes)
            if _overlap(texts[text], mark)
        ),
    ]


def _words(text: Text) -> str:
    return repr(text.get_text())


def _texts(figure: Figure) -> Iterator[Text]:
    """All that are seen; of tick labels those within the range of their axis."""
    labels = {}
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                labels |= dict.fromkeys((tick.label1, tick.label2), low <= tick.get_loc() <= high)
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and labels.get(text, True):
            yield text


def _points_outside(figure: Figure) -> Iterator[str]:
    for axes in figure.axes:
        for axis, side in ((axes.xaxis, "labelbottom"), (axes.yaxis, "labelleft")):
            has_numbers = any(label.get_text() for label in axis.get_ticklabels())
            if axis.get_tick_params()[side] and not has_numbers:
                yield f"{_words(axes.title)}: an axis without numbers"
        for line in axes.get_lines():
            size = _reach(line) if line.get_marker() == "*" else 0
            boxes = [Bbox([point - size, point + size]) for point in _pixels(line)]
            if not all(_is_within(box, axes.bbox) for box in boxes):
                yield f"{_words(axes.title)}: a point of {line.get_label()!r} is outside"
        if not all(_is_within(bar.get_window_extent(), axes.bbox) for bar in axes.patches):
            yield f"{_words(axes.title)}: a bar is outside"


def _pixels(line: Line2D) -> np.ndarray:
    points = line.get_transform().transform(np.asarray(line.get_xydata(), dtype=float))
    return points[np.isfinite(points).all(axis=1)]


def _reach(line: Line2D) -> float:
    """Half of a marker, in pixels."""
    return line.get_markersize() / 2 * line.get_figure().dpi / 72


def _marks(axes: Axes) -> Iterator[Bbox]:
    """Boxes around the marks of lines, and around intervals."""
    for line in axes.get_lines():
        points = _pixels(line)
        if line.get_marker() not in ("None", "", None):
            yield from (Bbox([point - _reach(line), point + _reach(line)]) for point in points)
        elif len(points) == 2 and line.get_linestyle() == "-":
            yield Bbox([points.min(axis=0), points.max(axis=0)])


def _is_within(box: Bbox, outer: Bbox) -> bool:
    return (
        box.x0 >= outer.x0 - TOLERANCE
        and box.x1 <= outer.x1 + TOLERANCE
        and box.y0 >= outer.y0 - TOLERANCE
        and box.y1 <= outer.y1 + TOLERANCE
    )


def _overlap(one: Bbox, other: Bbox) -> bool:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > TOLERANCE and height > (TOLERANCE if other.height else -TOLERANCE)
