"""Which figures there are (resources/figures.yaml), their numbers and the runs that each shows.

The report's own figures keep its numbers, so that both can be laid side by side: 5.1 and 5.3 are
the losses of the runs of experiment 1, 5.2 and 5.4 the same by task, 5.5 to 5.7 those of the
learning rates of experiment 3. A figure that the report does not have is numbered E1, E2 and so on.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

import yaml

from workflow_scripts.files import own_file
from workflow_scripts.report.means import rate

FILE = own_file("resources/figures.yaml")
Runs = dict[str, dict[str, Any]]  # a recipe's runs, as `config.runs_of` gives them
MIX = {"natural": ("5.1", "5.2", "natural mix"), "balanced": ("5.3", "5.4", "balanced tasks")}
RATES = {1e-4: "5.5", 3e-5: "5.6", 5e-5: "5.7"}
LOSSES = "Training and evaluation loss"


def list_figures(recipes: dict[str, Runs], rate_scale: float, ablation: str) -> list[dict]:
    """All figures in the order of figures.yaml, each with its keys, `kind` and `label`.

    `recipes`: recipe -> its runs; `rate_scale`: what the report's learning rates are multiplied by;
    `ablation`: the run of it. `losses_of`: recipe -> the runs whose losses a figure shows.
    """
    losses, own, figures = loss_figures(recipes, rate_scale), count(1), []
    for kind, entry in yaml.safe_load(FILE.read_text(encoding="utf-8")).items():
        of_losses = [each for each in losses if each["kind"] == kind]
        for each in of_losses or [{"name": kind}] * ("title" in entry):
            figure = {"kind": kind, **each, **entry}
            number = figure.get("number") or f"E{next(own)}"
            label = f"{number} {figure['title'].format(ablation=ablation)}"
            figures.append({**figure, "label": label})
    return figures


def loss_figures(recipes: dict[str, Runs], rate_scale: float) -> list[dict[str, Any]]:
    """The figures of losses by experiment, those with a number of the report's first.

    Experiment 1 has one for each run, and one of its losses by task; later experiments have one for
    each learning rate, with all batch sizes, the smallest first.
    """
    figures: dict[str, dict] = {}
    first: dict[str, str] = {}
    for recipe, runs in recipes.items():
        for name, run in sorted(runs.items(), key=lambda each: each[1]["batch_size"]):
            for figure in _figures_of(name, run, rate_scale, first):
                shown = figures.setdefault(figure["name"], figure | {"losses_of": {}})
                shown["losses_of"].setdefault(recipe, []).append(name)
    return sorted(figures.values(), key=lambda each: (each["experiment"], each["number"] or "~"))


def _figures_of(
    name: str, run: dict[str, Any], rate_scale: float, first: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """The figures that show a run; `first`: mix -> the run that has the report's numbers (grows).

    Titles give the report's learning rate and, where `rate_scale` makes it another, the one used.
    """

    def figure(kind: str, file: str, title: str, number: str = "") -> dict[str, Any]:
        chapter = "exp1" if experiment == 1 else "exp3"
        shown = {"name": file, "title": title, "number": number, "chapter": chapter}
        return {"kind": kind, "experiment": experiment, **shown}

    experiment, value = run["experiment"], run["learning_rate"]
    words = f"learning rate {rate(value)}"
    if rate_scale != 1:
        words += f" (here {rate(value * rate_scale)})"
    if experiment == 1:
        number, of_tasks, mix = MIX[run["sampling"]]
        if first.setdefault(run["sampling"], name) == name:
            yield figure("losses", f"figure_{number}_losses", f"{LOSSES}, {mix}, {words}", number)
            title = f"Training loss by task, {mix}, {words}"
            yield figure("task_losses", f"figure_{of_tasks}_tasks", title, of_tasks)
        else:
            yield figure("losses", f"losses_{name}", f"{LOSSES}, {mix} ({name}), {words}")
    elif experiment == 3:
        number = RATES.get(value, "")
        file = f"figure_{number}_losses" if number else f"losses_lr{rate(value)}"
        yield figure("losses", file, f"{LOSSES}, {words}", number)
    else:
        file = f"losses_experiment{experiment}_lr{rate(value)}"
        yield figure("losses", file, f"{LOSSES}, experiment {experiment}, {words}")


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
