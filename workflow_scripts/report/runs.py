"""Reading what a fine-tuning left in its folder `results/runs/<recipe>/<run>/seed<k>/`."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, read_jsonl

TASKS = ("Selector", "Decomposer", "Refiner")


@dataclass(frozen=True)
class Run:
    """One fine-tuning: its folder, and its files read when asked for."""

    folder: Path

    @cached_property
    def training(self) -> dict[str, Any]:
        return read_json(self.folder / "training.json")

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        return list(read_jsonl(self.folder / "training_log.jsonl"))

    @cached_property
    def scores(self) -> list[dict[str, Any]]:
        """Scores of the text, and of the SQL where it was executed."""
        scores = read_json(self.folder / "scores.json")["scores"]
        executed = self.folder / "sql_scores.json"
        return scores + (read_json(executed)["scores"] if executed.is_file() else [])

    @cached_property
    def provenance(self) -> dict[str, Any]:
        return read_json(self.folder / "provenance.json")

    @property
    def recipe(self) -> str:
        return self.training["recipe"]

    @property
    def name(self) -> str:
        return self.training["run"]

    @property
    def seed(self) -> int:
        return self.training["seed"]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the run alone: batch size, learning rate, epochs and so on."""
        return self.training["settings"]["run"]

    @property
    def log_every(self) -> int:
        return self.training["settings"]["training"]["log_every"]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [event for event in self.log if event["event"] == "step"]

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        return [event for event in self.log if event["event"] == "eval"]

    def score(self, metric: str, split: str = "val", task: str = "all") -> float | None:
        """A measured value, or None; losses are the kept epoch's, on validation rows."""
        for row in self.scores:
            if (row["metric"], row["split"], row["task"]) == (metric, split, task):
                return row["value"]
        return None


def read_runs(folders: Iterable[str | Path]) -> list[Run]:
    """Raises EssenceError when no folder is given."""
    runs = [Run(Path(folder)) for folder in folders]
    if not runs:
        raise EssenceError("--runs: no run folder given. Name one or more results/runs/*/*/seed*.")
    return runs


def best_runs(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Recipe -> all seeds of its run with the lowest mean evaluation loss.

    The loss is that of each run's own validation rows, so no test row takes part in the choice.
    """
    named: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        named.setdefault(run.recipe, {}).setdefault(run.name, []).append(run)
    return {
        recipe: min(some.values(), key=lambda seeds: mean_of(seeds, "best_eval_loss"))
        for recipe, some in named.items()
    }


def mean_of(runs: list[Run], key: str) -> float:
    """Mean over seeds of a number in training.json."""
    return fmean(run.training[key] for run in runs)


def first_seed(runs: Iterable[Run]) -> dict[str, Run]:
    """The runs by name, each with the seed that comes first among those given."""
    chosen: dict[str, Run] = {}
    for run in runs:
        chosen.setdefault(run.name, run)
    return chosen


def logged_losses(run: Run) -> list[dict[str, float]]:
    """The training loss as the Trainer logs it: the mean over each `log_every` steps."""
    points, window = [], []
    for event in run.steps:
        window.append(event["loss"])
        if event["step"] % run.log_every == 0:
            mean = sum(window) / len(window)
            points.append({"step": event["step"], "epoch": event["epoch"], "loss": mean})
            window = []
    return points


def score_rows(run: Run) -> list[dict[str, Any]]:
    """All scores of a run as rows of results.csv."""
    key = {"recipe": run.recipe, "run": run.name, "seed": run.seed}
    kept = ("split", "task", "metric", "value", "low", "high", "n")
    return [{**key, **{name: row.get(name) for name in kept}} for row in run.scores]
