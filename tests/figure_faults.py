"""What a reader would see at once on a figure: points cut off, texts that cover each other."""

from itertools import combinations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from workflow_scripts.report.figures.style import SMALL

TOLERANCE = 1.0  # pixels


def faults(figure: Figure) -> list[str]:
    """In words, with the text or the panel; a good figure has none."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    out_of_range = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    }
    texts = {
        text: text.get_window_extent(renderer)
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and text not in out_of_range
    }
    level = [text for text in texts if text.get_rotation() % 90 == 0]
    faulty = [
        *(f"{text}: outside the figure" for text in texts if not _within(texts[text], figure.bbox)),
        *(f"{text}: too small" for text in texts if text.get_fontsize() < SMALL),
        *(f"{a} and {b}: overlap" for a, b in combinations(level, 2) if _meet(texts[a], texts[b])),
    ]
    for axes in figure.axes:
        marks = []
        for line in axes.get_lines():
            reach = line.get_markersize() / 2 * figure.dpi / 72
            points = line.get_transform().transform(np.asarray(line.get_xydata(), dtype=float))
            points = points[np.isfinite(points).all(axis=1)]
            around = [Bbox([point - reach, point + reach]) for point in points]
            is_star, has_marks = line.get_marker() == "*", line.get_marker() not in ("None", "")
            seen = around if is_star else [Bbox([point, point]) for point in points]
            marks += around if has_marks else []
            if not all(_within(box, axes.bbox) for box in seen):
                faulty.append(f"{axes.title}: a point of {line.get_label()!r} is outside")
        if not all(_within(bar.get_window_extent(), axes.bbox) for bar in axes.patches):
            faulty.append(f"{axes.title}: a bar is outside")
        faulty += [
            f"{text}: on a mark" for text in texts if any(_meet(texts[text], m) for m in marks)
        ]
    return faulty


def _within(box: Bbox, outer: Bbox) -> bool:
    low, high = box.min + TOLERANCE >= outer.min, box.max - TOLERANCE <= outer.max
    return bool(low.all() and high.all())


def _meet(one: Bbox, other: Bbox) -> bool:
    return bool((np.minimum(one.max, other.max) - np.maximum(one.min, other.min) > TOLERANCE).all())
