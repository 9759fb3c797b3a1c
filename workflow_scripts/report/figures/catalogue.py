"""Which figures there are (resources/figures.yaml), their numbers and the runs that each shows.

The report's own figures keep its numbers, so that both can be laid side by side: 5.1 and 5.3 are
the losses of the runs of experiment 1, 5.2 and 5.4 the same by task, 5.5 to 5.7 those of the
learning rates of experiment 3. A figure that the report does not have is numbered E1, E2 and so on.
"""

from itertools import count
from typing import Any

import yaml

from workflow_scripts.files import own_file
from workflow_scripts.report.means import rate

FILE = own_file("resources/figures.yaml")
Runs = dict[str, dict[str, Any]]  # a recipe's runs, as `config.runs_of` gives them
MIX = {"natural": ("natural mix", "5.1", "5.2"), "balanced": ("balanced tasks", "5.3", "5.4")}
RATES = {1e-4: "5.5", 3e-5: "5.6", 5e-5: "5.7"}
TITLES = {"losses": "Training and evaluation loss", "task_losses": "Training loss by task"}


def list_figures(recipes: dict[str, Runs], rate_scale: float, ablation: str) -> list[dict]:
    """All in the order of figures.yaml; `ablation`: its run; `losses_of`: recipe -> runs shown."""
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
    """One for each run of experiment 1, also by task; one for each learning rate of the others."""
    figures: dict[str, dict[str, Any]] = {}
    first: dict[str, str] = {}  # mix of tasks -> the run that has the report's numbers
    for recipe, runs in recipes.items():
        for run, settings in sorted(runs.items(), key=lambda each: each[1]["batch_size"]):
            experiment, value = settings["experiment"], settings["learning_rate"]
            number, words = RATES.get(value, ""), f"learning rate {rate(value)}"
            if rate_scale != 1:
                words += f" (here {rate(value * rate_scale)})"
            if experiment == 1:
                mix, number, of_tasks = MIX[settings["sampling"]]
                shown = [("losses", number, f"figure_{number}_losses", f"{mix}, {words}")]
                shown += [("task_losses", of_tasks, f"figure_{of_tasks}_tasks", shown[0][-1])]
                if first.setdefault(settings["sampling"], run) != run:
                    shown = [("losses", "", f"losses_{run}", f"{mix} ({run}), {words}")]
            elif experiment == 3:
                name = f"figure_{number}_losses" if number else f"losses_lr{rate(value)}"
                shown = [("losses", number, name, words)]
            else:
                name = f"losses_experiment{experiment}_lr{rate(value)}"
                shown = [("losses", "", name, f"experiment {experiment}, {words}")]
            for kind, number, name, title in shown:
                figure = {"kind": kind, "name": name, "number": number, "losses_of": {}}
                figure |= {"title": f"{TITLES[kind]}, {title}", "experiment": experiment}
                figure |= {"chapter": "exp1" if experiment == 1 else "exp3"}
                figure = figures.setdefault(name, figure)
                figure["losses_of"].setdefault(recipe, []).append(run)
    return sorted(figures.values(), key=lambda each: (each["experiment"], each["number"] or "~"))


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
