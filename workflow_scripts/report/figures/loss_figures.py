"""Which runs stand in which figure of losses, for any set of runs in the configuration."""

from typing import Any

from workflow_scripts.report.numbers import rate

Runs = dict[str, dict[str, Any]]
MIX = {"natural": ("5.1", "5.2", "natural mix"), "balanced": ("5.3", "5.4", "balanced tasks")}
RATES = {1e-4: "5.5", 3e-5: "5.6", 5e-5: "5.7"}


def loss_figures(runs: Runs) -> dict[str, dict[str, Any]]:
    """Figure name -> {"title", "label", "runs"}; `runs`: a recipe's runs as `runs_of` gives them.

    Experiment 1 has a figure for each run; later experiments one for each learning rate, batch
    sizes side by side. What the report has no figure for gets a name of its own.
    """
    figures: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        if run["experiment"] == 1:
            number, _, mix = MIX[run["sampling"]]
            key = f"figure_{number}_losses"
            if key in figures:
                key, number = f"losses_{name}", ""
            figures[key] = _figure(number, f"{mix} ({name})" if not number else mix, [name])
            continue
        value = run["learning_rate"]
        number = RATES.get(value, "") if run["experiment"] == 3 else ""
        experiment = "" if run["experiment"] == 3 else f"experiment{run['experiment']}_"
        key = f"figure_{number}_losses" if number else f"losses_{experiment}lr{rate(value)}"
        words = f"learning rate {rate(value)}"
        if experiment:
            words = f"experiment {run['experiment']}, {words}"
        figures.setdefault(key, _figure(number, words, []))["runs"].append(name)
    for figure in figures.values():
        figure["runs"].sort(key=lambda name: runs[name]["batch_size"])
    return dict(sorted(figures.items()))


def task_figures(runs: Runs) -> dict[str, dict[str, Any]]:
    """The same for the losses by task (Figures 5.2 and 5.4): the first run of each mix."""
    figures = {}
    for name, run in runs.items():
        if run["experiment"] == 1:
            _, number, mix = MIX[run["sampling"]]
            words = f"Figure {number}  Training loss by task, {mix}"
            label = f"{number} Training loss by task, {mix}"
            entry = {"title": words, "label": label, "run": name}
            figures.setdefault(f"figure_{number}_tasks", entry)
    return dict(sorted(figures.items()))


def training_order(runs: Runs) -> list[str]:
    """Runs by experiment, each after the run whose weights it takes over."""
    ordered: list[str] = []

    def add(name: str) -> None:
        before = runs[name]["starts_from"]
        if before != "base" and before not in ordered:
            add(before)
        if name not in ordered:
            ordered.append(name)

    for name in sorted(runs, key=lambda name: runs[name]["experiment"]):
        add(name)
    return ordered


def _figure(number: str, words: str, runs: list[str]) -> dict[str, Any]:
    title = f"Training and evaluation loss, {words}"
    full = f"Figure {number}  {title}" if number else title
    return {"title": full, "label": f"{number} {title}".strip(), "runs": runs}
