"""Which figures there are: their numbers, titles and chapters, and which runs each shows.

The report's own figures keep its numbers, so that both can be laid side by side: 5.1 and 5.3 are
the losses of the runs of experiment 1, 5.2 and 5.4 the same by task, 5.5 to 5.7 those of the
learning rates of experiment 3. A figure that the report does not have is numbered E1, E2 and so on.
"""

from collections.abc import Iterable, Iterator
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
    best = "Execution accuracy of each recipe's best run"
    return numbered(
        [
            Figure("figure_3.1_tasks", "tasks", "data", "Rows by task", "3.1"),
            Figure("lengths", "lengths", "data", "Length of source and target by task"),
            Figure("fit", "fit", "fit", "What each recipe leaves of the rows"),
            *(figure for figure in losses if figure.experiment <= 3),
            Figure("heatmap", "heatmap", "exp3", "Learning rate and batch size (experiment 3)"),
            *(figure for figure in losses if figure.experiment > 3),
            Figure("execution", "execution", "results", best),
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
    """The figures of losses by experiment, those with a number of the report's first.

    Experiment 1 has one for each run, and one of its losses by task; later experiments have one for
    each learning rate, with all batch sizes.
    """
    figures: dict[str, Figure] = {}
    first: dict[str, str] = {}
    for recipe, runs in recipes.items():
        for name, run in sorted(runs.items(), key=lambda each: each[1]["batch_size"]):
            for figure in _figures_of(name, run, rate_scale, first):
                shown = figures.setdefault(figure.name, figure).runs
                shown.setdefault(recipe, []).append(name)
    return sorted(figures.values(), key=lambda each: (each.experiment, each.number or "~"))


def _figures_of(
    name: str, run: dict[str, Any], rate_scale: float, first: dict[str, str]
) -> Iterator[Figure]:
    """The figures that show a run; `first`: mix -> the run that has the report's numbers (grows).

    Titles give the report's learning rate and, where `rate_scale` makes it another, the one used.
    """
    experiment, value = run["experiment"], run["learning_rate"]
    words = f"learning rate {rate(value)}"
    if rate_scale != 1:
        words += f" (here {rate(value * rate_scale)})"
    if experiment == 1:
        number, of_tasks, mix = MIX[run["sampling"]]
        if first.setdefault(run["sampling"], name) == name:
            title = f"{LOSSES}, {mix}, {words}"
            yield Figure(f"figure_{number}_losses", "losses", "exp1", title, number, 1)
            title = f"Training loss by task, {mix}, {words}"
            yield Figure(f"figure_{of_tasks}_tasks", "task_losses", "exp1", title, of_tasks, 1)
        else:
            title = f"{LOSSES}, {mix} ({name}), {words}"
            yield Figure(f"losses_{name}", "losses", "exp1", title, experiment=1)
    elif experiment == 3:
        number = RATES.get(value, "")
        key = f"figure_{number}_losses" if number else f"losses_lr{rate(value)}"
        yield Figure(key, "losses", "exp3", f"{LOSSES}, {words}", number, 3)
    else:
        key = f"losses_experiment{experiment}_lr{rate(value)}"
        title = f"{LOSSES}, experiment {experiment}, {words}"
        yield Figure(key, "losses", "exp3", title, experiment=experiment)


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
