"""What fine-tunings left in their folders, as tidy tables: one row per run, epoch or step."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.files import read_jsonl
from workflow_scripts.runs import Training
from workflow_scripts.tables import RUN

STEPS = [*RUN, "step", "epoch", "task", "loss", "loss_sum", "tokens"]


def select(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows of a frame that have these values in these columns."""
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame


def read_trainings(folders: Iterable[Path]) -> dict[Path, Training]:
    return {folder: Training.read(folder / "training.json") for folder in folders}


def read_runs(folders: Iterable[Path]) -> pd.DataFrame:
    """One row per fine-tuning; `used_learning_rate` is after `learning_rate_scale`."""
    return pd.DataFrame(
        {
            **training.settings.recipe.model_dump(),
            **training.settings.run.model_dump(),
            **training.model_dump(exclude={"settings", "epochs", "rows"}),
            **{f"{part}_{task}": count for part, counts in training.rows.items()
               for task, count in counts.items()},
            "folder": str(folder),
            "used_learning_rate": training.settings.learning_rate,
            "log_every": training.settings.training.log_every,
        }
        for folder, training in read_trainings(folders).items()
    )  # fmt: skip


def read_epochs(folders: Iterable[Path]) -> pd.DataFrame:
    """One row per run, epoch and task, "all" first; `kept`: the epoch whose weights were kept."""
    return pd.DataFrame(
        {
            **training.model_dump(include=set(RUN)),
            **{"epoch": epoch.epoch, "step": epoch.step, "task": task},
            **losses.model_dump(include={"train_loss", "eval_loss", "loss_per_token"}),
            "kept": epoch.step == training.best_step,
        }
        for training in read_trainings(folders).values()
        for epoch in training.epochs
        for task, losses in (("all", epoch), *epoch.tasks.items())
    )


def read_steps(folders: Iterable[Path]) -> pd.DataFrame:
    """One row per run, step and task; the loss of a task is `loss_sum` over its `tokens`."""
    lines = []
    for folder, training in read_trainings(folders).items():
        address = training.model_dump(include=set(RUN))
        for event in read_jsonl(folder / "training_log.jsonl"):
            if event["event"] == "step":
                step = address | {"step": event["step"], "epoch": event["epoch"]}
                lines.append(step | {"task": "all", "loss": event["loss"]})
                lines += [step | {"task": task, **sums} for task, sums in event["tasks"].items()]
    return pd.DataFrame(lines, columns=STEPS)


def logged_losses(steps: pd.DataFrame, log_every: int) -> pd.DataFrame:
    """The training loss of one run as the Trainer logs it: its mean over each `log_every` steps."""
    whole = steps[steps.task == "all"].sort_values("step")
    window = (whole.step - 1) // log_every
    logged = whole.groupby(window).agg(step=("step", "last"), epoch=("epoch", "last"),
                                       loss=("loss", "mean"))  # fmt: skip
    return logged[logged.step % log_every == 0]


# Where two runs are compared: after the last epoch or by the last step that both reached (the last
# evaluation before it), at the epoch that each kept, where each stopped.
EQUAL_EPOCHS, EQUAL_STEPS, BEST, LAST = "equal epochs", "equal steps", "best epochs", "last epochs"
SIDES = ("_first", "_second")  # of a pair of runs


def pairs_of(runs: pd.DataFrame, setting: str, first: float, second: float) -> pd.DataFrame:
    """Runs of experiment 3 that differ in one setting alone (batch_size or learning_rate)."""
    grid = runs[runs.experiment == 3]
    keys = ["recipe", "seed", "learning_rate" if setting == "batch_size" else "batch_size"]
    one, other = (grid[grid[setting] == value] for value in (first, second))
    return one.merge(other, on=keys, suffixes=SIDES, sort=False)


def at_place(pairs: pd.DataFrame, epochs: pd.DataFrame, place: str) -> pd.DataFrame:
    """The epochs (task "all") at which pairs of runs are compared, for the pairs that have them."""
    lines = []
    for pair in pairs.itertuples():
        own = epochs[(epochs.recipe == pair.recipe) & (epochs.seed == pair.seed)]
        both = [own[own.run == name] for name in (pair.run_first, pair.run_second)]
        if place == BEST:
            both = [each[each.kept] for each in both]
        elif place != LAST:
            unit = "epoch" if place == EQUAL_EPOCHS else "step"
            shared = min(each[unit].max() for each in both)
            both = [each[each[unit] <= shared] for each in both]
        if all(map(len, both)):
            ends = zip(both, SIDES, strict=True)
            first, second = (each.iloc[-1].drop("seed").add_suffix(side) for each, side in ends)
            lines.append({"seed": pair.seed, **first, **second})
    return pd.DataFrame(lines)
