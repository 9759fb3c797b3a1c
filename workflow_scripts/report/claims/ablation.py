"""What each artefact was worth: one repair added, one repair taken back.

Runs of all recipes of the ablation come in; a table and a figure go out. Scores are compared on the
same held-out rows: the effect of a repair is the paired difference over rows (bootstrap, 95 %), a
row's score being the mean over seeds. A loss has no rows; its interval is over seeds, and it has an
effect only where both ends count the same tokens.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import write_text
from workflow_scripts.intervals import difference_over_rows, mean_over_rows, mean_over_seeds
from workflow_scripts.report.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    drawn_with,
    new_figure,
    save,
)
from workflow_scripts.report.look import Look
from workflow_scripts.report.numbers import to_csv
from workflow_scripts.report.runs import Run, read_runs
from workflow_scripts.report.scores_by_row import METRICS, scores_by_row

CAPTION = """\
What each mistake was worth: one run under the report's text handling with each repair alone, and
under the repaired handling with each repair taken back.

**How to read it.** Diamonds are the two ends, dots one step away from them: blue adds a repair to
*as_written*, orange takes one back from *repaired*. Lines through the points are 95 % intervals
over held-out rows; of the loss, over seeds where there are several, and it compares only between
recipes with the same tokenizer. A repair that does nothing alone, but without which *repaired*
collapses, is necessary and not sufficient: for an answer to equal the raw one, the question must be
in the input **and** the tokenizer must be able to write it. Hollow: the same answers compared as
the notebooks did, with what the tokenizer can write of the right one; then the question alone is
enough.

**What the report says.** It ascribes its exact match of 0 to brackets around names.
"""

LABELS = {
    "exact_match": "exact match",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "execution\naccuracy",
    "loss_per_token": "eval loss per\nreal token",
}
REPAIRS = {
    "prompt": ("question in the input", "A1"),
    "tokenizer": ("lossless tokenizer", "A2"),
    "padding": ("padding kept out of the loss", "A4"),
    "generation": ("answers as long as needed", "A5"),
}


@dataclass(frozen=True)
class Step:
    """One line of the ablation: a recipe, and the end that it differs from by one repair."""

    recipe: str
    end: str
    repair: str | None = None
    sign: str = ""

    @property
    def label(self) -> str:
        if self.repair is None:
            return self.end
        name, artefact = REPAIRS.get(self.repair, (self.repair, ""))
        sign = {"+": "+", "-": "\N{MINUS SIGN}"}[self.sign]
        return f"{sign} {name}" + (f" ({artefact})" if artefact else "")


def steps_of(names: list[str], worse: str, better: str) -> list[Step]:
    """The recipes in `names`: `worse`, `worse+repair` ..., `better-repair` ..., `better`.

    Raises EssenceError when one of the ends is not there.
    """
    forth = [
        Step(name, worse, name[len(worse) + 1 :], "+")
        for name in names
        if name.startswith(f"{worse}+")
    ]
    back = [
        Step(name, better, name[len(better) + 1 :], "-")
        for name in names
        if name.startswith(f"{better}-")
    ]
    for end in (worse, better):
        if end not in names:
            raise EssenceError(f"--runs: no run of the recipe {end}. Train it first.")
    return [Step(worse, worse), *forth, *back, Step(better, better)]


def table(runs: list[Run], worse: str, better: str, split: str) -> pd.DataFrame:
    """One line for each step and metric that has values; `effect`: this recipe minus its end."""
    by_recipe: dict[str, list[Run]] = {}
    for run in runs:
        by_recipe.setdefault(run.recipe, []).append(run)
    lines = []
    for metric in METRICS:
        values = {
            name: {key: score for key, (_, score) in scores_by_row(some, metric, split).items()}
            for name, some in by_recipe.items()
        }
        for step in steps_of(list(by_recipe), worse, better):
            mine, base = values[step.recipe], values[step.end]
            if not mine:  # no database: nothing was executed
                continue
            whole = mean_over_rows(list(mine.values()))
            shared = sorted(mine.keys() & base.keys())
            effect = (math.nan,) * 3
            if step.repair and shared:
                effect = difference_over_rows([mine[k] for k in shared], [base[k] for k in shared])
            lines.append((*_head(step), split, metric, len(mine), *whole, *effect))
    for step in steps_of(list(by_recipe), worse, better):
        losses = {
            name: {run.seed: run.score("loss_per_token") for run in by_recipe[name]}
            for name in (step.recipe, step.end)
        }
        mine, base = losses[step.recipe], losses[step.end]
        effect = (math.nan,) * 3
        if step.repair and len({_tokenizer(by_recipe[name]) for name in losses}) == 1:
            effect = mean_over_seeds([mine[seed] - base[seed] for seed in mine if seed in base])
        whole = mean_over_seeds(list(mine.values()))
        lines.append((*_head(step), "val", "loss_per_token", len(mine), *whole, *effect))
    columns = ["recipe", "end", "repair", "artefact", "split", "metric", "n", "value", "low"]
    columns += ["high", "effect", "effect_low", "effect_high"]
    return pd.DataFrame(lines, columns=columns)


def _tokenizer(runs: list[Run]) -> str:
    return runs[0].training.settings.recipe.tokenizer


def _head(step: Step) -> tuple[str, str, str, str]:
    artefact = REPAIRS.get(step.repair or "", ("", ""))[1]
    return step.recipe, step.end, f"{step.sign}{step.repair or ''}", artefact


def draw(frame: pd.DataFrame, steps: list[Step], title: str, note: str = "") -> Figure:
    figure = new_figure(title, note, size=(7.2, 0.9 + 0.34 * len(steps)))
    labels = {metric: LABELS[metric] for metric in LABELS if (frame["metric"] == metric).any()}
    panels = figure.subplots(1, len(labels), sharey=True)
    places = {step.recipe: place for place, step in enumerate(steps)}
    for axes, (metric, label) in zip(panels, labels.items(), strict=True):
        _draw_metric(axes, frame[frame["metric"] == metric], places, steps)
        if metric == "exact_match":
            _draw_decoded(axes, frame, places)
        axes.set_title(label, loc="left", fontsize=9)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(left=-0.08 * axes.get_xlim()[1])
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(steps)), [step.label for step in steps])
    panels[0].invert_yaxis()
    for place, text in enumerate(panels[0].get_yticklabels()):
        text.set_fontweight("bold" if steps[place].repair is None else "normal")
    return figure


def _draw_metric(
    axes: Axes, frame: pd.DataFrame, places: dict[str, int], steps: list[Step]
) -> None:
    ends = {steps[0].recipe: BLUE, steps[-1].recipe: ORANGE}
    for line in frame.to_dict("records"):
        place, colour = places[line["recipe"]], ends[line["end"]]
        if line["recipe"] in ends:
            axes.axvline(line["value"], color=colour, linewidth=1, linestyle=":")
        if line["low"] == line["low"]:
            axes.plot([line["low"], line["high"]], [place, place], color=colour, linewidth=1.6)
        marker = "D" if line["recipe"] in ends else "o"
        axes.plot(line["value"], place, marker=marker, color=colour, markersize=5)
        _label(axes, f"{line['value']:.2f}", (line["value"], place), 6.5)
    axes.margins(x=0.12)


def _draw_decoded(axes: Axes, frame: pd.DataFrame, places: dict[str, int]) -> None:
    """Hollow, where it differs: exact match with what the tokenizer can write of the answer."""
    own, other = (
        frame[frame["metric"] == metric].set_index("recipe")["value"]
        for metric in ("exact_match", "exact_match_decoded")
    )
    for recipe in [name for name in other.index if abs(other[name] - own[name]) > 0.005]:
        axes.plot(other[recipe], places[recipe], marker="o", color=GREY, mfc="white", markersize=5)
        text = f"{other[recipe]:.2f} as the\nnotebooks compared"
        _label(axes, text, (other[recipe], places[recipe]), 6)


def _label(axes: Axes, text: str, point: tuple[float, float], size: float) -> None:
    axes.annotate(
        text,
        point,
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        fontsize=size,
        color=GREY,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, help="one run's folders, all recipes")
    parser.add_argument("--worse", required=True, help="recipe to which repairs are added")
    parser.add_argument("--better", required=True, help="recipe from which repairs are taken")
    parser.add_argument("--split", default="test", help="rows that are compared")
    parser.add_argument("--table", required=True, help="results/tables/ablation.csv")
    parser.add_argument("--figure", required=True, help="figure without .svg or .png")
    parser.add_argument("--look", default="{}", help="small print and style, as JSON")
    args = parser.parse_args()
    runs = read_runs(args.runs)
    frame = table(runs, args.worse, args.better, args.split)
    write_text(args.table, to_csv(frame))
    steps = steps_of(list(dict.fromkeys(run.recipe for run in runs)), args.worse, args.better)
    seeds = len({run.seed for run in runs})
    title = f"What each repair is worth ({runs[0].name}, {seeds} seed{'s' * (seeds > 1)})"
    look = Look.model_validate_json(args.look)
    with drawn_with(look):
        figure = draw(frame, steps, title, look.note)
        save(figure, Path(f"{args.figure}.svg"), Path(f"{args.figure}.png"))


if __name__ == "__main__":
    run_cli(main)
