"""Which runs stand in which figure of losses, under which of the report's numbers.

The report's figures of losses: 5.1 and 5.3 for the runs of experiment 1, 5.2 and 5.4 for the same
by task, 5.5 to 5.7 for the learning rates of experiment 3. Runs that it doesn't have are in figures
without a number.
"""

from dataclasses import dataclass, field
from typing import Any

from workflow_scripts.report.numbers import rate

Runs = dict[str, dict[str, Any]]  # a recipe's runs, as `config.runs_of` gives them
MIX = {"natural": ("5.1", "5.2", "natural mix"), "balanced": ("5.3", "5.4", "balanced tasks")}
RATES = {1e-4: "5.5", 3e-5: "5.6", 5e-5: "5.7"}


@dataclass
class LossFigure:
    """`number` is empty where the report has no such figure; `runs` go from left to right."""

    number: str
    text: str
    experiment: int
    runs: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"Figure {self.number}  {self.text}" if self.number else self.text

    @property
    def label(self) -> str:
        return f"{self.number} {self.text}".strip()


def loss_figures(runs: Runs) -> dict[str, LossFigure]:
    """Name -> figure of training and evaluation losses.

    Experiment 1 has a figure for each run; later experiments have one for each learning rate, with
    the batch sizes side by side.
    """
    figures: dict[str, LossFigure] = {}
    for name, run in runs.items():
        experiment = run["experiment"]
        if experiment == 1:
            number, _, shown = MIX[run["sampling"]]
            key = f"figure_{number}_losses"
            if key in figures:
                key, number, shown = f"losses_{name}", "", f"{shown} ({name})"
        else:
            learning_rate = rate(run["learning_rate"])
            number = RATES.get(run["learning_rate"], "") if experiment == 3 else ""
            ours = experiment != 3
            shown = f"experiment {experiment}, " * ours + f"learning rate {learning_rate}"
            key = f"losses_{f'experiment{experiment}_' * ours}lr{learning_rate}"
            key = f"figure_{number}_losses" if number else key
        text = f"Training and evaluation loss, {shown}"
        figures.setdefault(key, LossFigure(number, text, experiment)).runs.append(name)
    for figure in figures.values():
        figure.runs.sort(key=lambda name: runs[name]["batch_size"])
    return dict(sorted(figures.items()))


def task_loss_figures(runs: Runs) -> dict[str, LossFigure]:
    """Name -> figure of the losses by task: Figures 5.2 and 5.4, the first run of each mix."""
    figures: dict[str, LossFigure] = {}
    for name, run in runs.items():
        if run["experiment"] == 1:
            _, number, mix = MIX[run["sampling"]]
            figure = LossFigure(number, f"Training loss by task, {mix}", 1, [name])
            figures.setdefault(f"figure_{number}_tasks", figure)
    return dict(sorted(figures.items()))


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
