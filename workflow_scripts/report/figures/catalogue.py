"""Which figures there are: their numbers, titles and chapters, and which runs each shows.

The report's own figures keep its numbers, so that both can be laid side by side: 5.1 and 5.3 are
the losses of the runs of experiment 1, 5.2 and 5.4 the same by task, 5.5 to 5.7 those of the
learning rates of experiment 3. A figure that the report does not have is numbered E1, E2 and so on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from workflow_scripts.report.numbers import rate

Runs = dict[str, dict[str, Any]]  # a recipe's runs, as `config.runs_of` gives them
MIX = {"natural": ("5.1", "5.2", "natural mix"), "balanced": ("5.3", "5.4", "balanced tasks")}
RATES = {1e-4: "5.5", 3e-5: "5.6", 5e-5: "5.7"}
LOSSES = "Training and evaluation loss"


@dataclass(frozen=True)
class Figure:
    """`kind`: what draws it, and its caption in resources/captions/figures; `name` of its files.

    `runs` whose losses it shows: recipe -> names, the smallest batch first.
    """

    name: str
    kind: str
    chapter: str
    title: str
    number: str = ""
    experiment: int = 0
    runs: dict[str, list[str]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.number} {self.title}"


def list_figures(recipes: dict[str, Runs], rate_scale: float, ablation: str) -> list[Figure]:
    """All figures in the order of the report; `recipes`: recipe -> its runs.

    `rate_scale`: what the report's learning rates are multiplied by; `ablation`: the run of it.
    """
    losses = loss_figures(recipes, rate_scale)
    return numbered(
        [
            Figure("figure_3.1_tasks", "tasks", "data", "Rows by task", "3.1"),
            Figure("lengths", "lengths", "data", "Length of source and target by task"),
            Figure("fit", "fit", "fit", "What each recipe leaves of the rows"),
            *(figure for figure in losses if figure.experiment < 3),
            *task_loss_figures(recipes, rate_scale),
            *(figure for figure in losses if figure.experiment == 3),
            Figure("heatmap", "heatmap", "exp3", "Learning rate and batch size (experiment 3)"),
            *(figure for figure in losses if figure.experiment > 3),
            Figure(
                "execution", "execution", "results", "Execution accuracy of each recipe's best run"
            ),
            Figure("agents", "agents", "results", "What each agent is worth to the others"),
            Figure("carried_weights", "carried_weights", "claims", "The chain of carried weights"),
            Figure("ablation", "ablation", "claims", f"What each repair is worth ({ablation})"),
        ]
    )


def numbered(figures: Iterable[Figure]) -> list[Figure]:
    """The same figures; those without a number have E1, E2 and so on, in the order given."""
    own = count(1)
    return [replace(each, number=each.number or f"E{next(own)}") for each in figures]


def loss_figures(recipes: dict[str, Runs], rate_scale: float) -> list[Figure]:
    """The figures of training and evaluation losses.

    Experiment 1 has a figure for each run; later experiments have one for each learning rate, with
    all batch sizes. Titles give the learning rate and, where `rate_scale` makes it another, the one
    that is used.
    """
    figures: dict[str, Figure] = {}
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
            title = ", ".join(filter(None, [LOSSES, what, _rates(run, rate_scale)]))
            chapter = "exp1" if experiment == 1 else "exp3"
            figure = Figure(key, "losses", chapter, title, number, experiment)
            figures.setdefault(key, figure).runs.setdefault(recipe, []).append(name)
    return _in_order(figures.values())


def task_loss_figures(recipes: dict[str, Runs], rate_scale: float) -> list[Figure]:
    """The figures of losses by task, 5.2 and 5.4: a recipe's first run of each mix."""
    figures: dict[str, Figure] = {}
    for recipe, runs in recipes.items():
        for name, run in runs.items():
            if run["experiment"] == 1:
                _, number, mix = MIX[run["sampling"]]
                title = f"Training loss by task, {mix}, {_rates(run, rate_scale)}"
                figure = Figure(f"figure_{number}_tasks", "task_losses", "exp1", title, number, 1)
                figures.setdefault(number, figure).runs.setdefault(recipe, [name])
    return _in_order(figures.values())


def _rates(run: dict[str, Any], rate_scale: float) -> str:
    words = f"learning rate {rate(run['learning_rate'])}"
    return words if rate_scale == 1 else f"{words} (here {rate(run['learning_rate'] * rate_scale)})"


def _in_order(figures: Iterable[Figure]) -> list[Figure]:
    """By experiment, those with a number of the report's first."""
    last = "~"
    return sorted(figures, key=lambda each: (each.experiment, each.number or last))


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
