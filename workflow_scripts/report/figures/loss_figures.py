"""The figures of the report: their numbers, and which runs stand in which figure of losses.

The report's own figures keep its numbers, so that both can be laid side by side: 5.1 and 5.3 are
the losses of the runs of experiment 1, 5.2 and 5.4 the same by task, 5.5 to 5.7 those of the
learning rates of experiment 3. A figure that the report does not have is numbered E1, E2 and so on.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from workflow_scripts.report.tabulate import rate

Runs = dict[str, dict[str, Any]]  # a recipe's runs, as `config.runs_of` gives them
MIX = {"natural": ("5.1", "5.2", "natural mix"), "balanced": ("5.3", "5.4", "balanced tasks")}
RATES = {1e-4: "5.5", 3e-5: "5.6", 5e-5: "5.7"}


@dataclass(frozen=True)
class Title:
    """`number`: the report's own, or empty where it has no such figure."""

    number: str
    text: str

    @property
    def title(self) -> str:
        return f"Figure {self.number}  {self.text}"

    @property
    def label(self) -> str:
        return f"{self.number} {self.text}"


@dataclass(frozen=True)
class LossFigure(Title):
    """`runs`: recipe -> its runs, the smallest batch first."""

    experiment: int
    runs: dict[str, list[str]] = field(default_factory=dict)


def numbered(figures: dict[str, Title]) -> dict[str, Title]:
    """The same figures; those without a number have E1, E2 and so on, in the order given."""
    own = count(1)
    return {
        name: Title(figure.number or f"E{next(own)}", figure.text)
        for name, figure in figures.items()
    }


def loss_figures(recipes: dict[str, Runs], rate_scale: float) -> dict[str, LossFigure]:
    """Name -> figure of training and evaluation losses; `recipes`: recipe -> its runs.

    Experiment 1 has a figure for each run; later experiments have one for each learning rate, with
    all batch sizes. Titles give the learning rate and, where `rate_scale` makes it another, the one
    that is used.
    """
    figures: dict[str, LossFigure] = {}
    first: dict[str, str] = {}  # mix -> the run that has the report's number
    for recipe, runs in recipes.items():
        for name, run in sorted(runs.items(), key=lambda each: each[1]["batch_size"]):
            experiment, learning_rate = run["experiment"], run["learning_rate"]
            number, what = "", f"experiment {experiment}"
            key = f"losses_experiment{experiment}_lr{rate(learning_rate)}"
            if experiment == 1:
                number, _, what = MIX[run["sampling"]]
                if first.setdefault(run["sampling"], name) != name:
                    number, what, key = "", f"{what} ({name})", f"losses_{name}"
            elif experiment == 3:
                number, what = RATES.get(learning_rate, ""), ""
                key = f"losses_lr{rate(learning_rate)}"
            key = f"figure_{number}_losses" if number else key
            words = ["Training and evaluation loss", what, _rates(run, rate_scale)]
            figure = LossFigure(number, ", ".join(filter(None, words)), experiment)
            figures.setdefault(key, figure).runs.setdefault(recipe, []).append(name)
    return _in_order(figures)


def task_loss_figures(recipes: dict[str, Runs], rate_scale: float) -> dict[str, LossFigure]:
    """Name -> figure of the losses by task, 5.2 and 5.4: a recipe's first run of each mix."""
    figures: dict[str, LossFigure] = {}
    for recipe, runs in recipes.items():
        for name, run in runs.items():
            if run["experiment"] == 1:
                _, number, mix = MIX[run["sampling"]]
                text = f"Training loss by task, {mix}, {_rates(run, rate_scale)}"
                figure = figures.setdefault(f"figure_{number}_tasks", LossFigure(number, text, 1))
                figure.runs.setdefault(recipe, [name])
    return _in_order(figures)


def _rates(run: dict[str, Any], rate_scale: float) -> str:
    words = f"learning rate {rate(run['learning_rate'])}"
    return words if rate_scale == 1 else f"{words} (here {rate(run['learning_rate'] * rate_scale)})"


def _in_order(figures: dict[str, LossFigure]) -> dict[str, LossFigure]:
    """By experiment, those with a number of the report's first."""
    last = "~"
    return dict(
        sorted(figures.items(), key=lambda each: (each[1].experiment, each[1].number or last))
    )


def training_order(runs: Runs) -> list[str]:
    """Names of the runs by experiment, each after the run whose weights it takes over."""
    ordered: list[str] = []

    def add(name: str) -> None:
        before = runs[name]["starts_from"]
        if before in runs and before not in ordered:
            add(before)
        if name not in ordered:
            ordered.append(name)

    for name in sorted(runs, key=lambda name: runs[name]["experiment"]):
        add(name)
    return ordered
