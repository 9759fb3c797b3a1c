"""The training log: one JSON line a step and an evaluation, true for each task, without times."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS

Event = dict[str, Any]


class TrainingLog:
    """Appends events to a file in the work directory; equal runs write equal bytes.

    A checkpoint carries a copy, from which a resumed run starts, so that steps which were done
    but not saved appear once.
    """

    def __init__(self, path: Path):
        self.path = path

    def start(self, saved: Path | None) -> None:
        """Begin empty, or with the lines of a checkpoint."""
        self.path.write_bytes(saved.read_bytes() if saved else b"")

    def append(self, events: Iterable[Event]) -> None:
        """Raises EssenceError for a loss that is no number, before anything is written."""
        events = list(events)
        for event in events:
            check_finite(event)
        with open(self.path, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(event, allow_nan=False) + "\n" for event in events)


def read_log(path: Path) -> Iterator[Event]:
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def check_finite(event: Event) -> None:
    """Raise EssenceError when the loss of a step or an evaluation is NaN or infinite."""
    loss = event.get("loss", event.get("eval_loss", 0.0))
    if not math.isfinite(loss):
        kind = "evaluation" if event["event"] == "eval" else "training"
        raise EssenceError(
            f"the {kind} loss is {loss} at step {event['step']} (epoch {event['epoch']:.2f}): this "
            "run is stopped and nothing of it is published. Lower its learning_rate or "
            "training.learning_rate_scale, or set model.precision to fp32."
        )


def step_event(step: int, epoch: float, learning_rate: float, sums: list[list[float]]) -> Event:
    """`sums` holds (loss sum, tokens) of each task over the batch that the step was made from."""
    tasks = _by_task(sums, ("loss_sum", "tokens"))
    return {
        "event": "step",
        "step": step,
        "epoch": round(epoch, 6),
        "loss": _mean(tasks.values(), "loss_sum", "tokens"),
        "learning_rate": learning_rate,
        "tasks": tasks,
    }


def eval_event(step: int, epoch: float, sums: list[list[float]]) -> Event:
    """`sums` holds (loss sum, tokens, real loss sum, real tokens) of each task."""
    tasks = _by_task(sums, ("loss_sum", "tokens", "real_loss_sum", "real_tokens"))
    return {
        "event": "eval",
        "step": step,
        "epoch": round(epoch, 6),
        "eval_loss": _mean(tasks.values(), "loss_sum", "tokens"),
        "loss_per_token": _mean(tasks.values(), "real_loss_sum", "real_tokens"),
        "tasks": tasks,
    }


def summarise(events: Iterable[Event]) -> list[dict[str, Any]]:
    """One entry an epoch, from its steps and its evaluation; losses are means over tokens.

    Keys: epoch, step, train_loss, eval_loss, loss_per_token, and the last three of each task.
    """
    epochs, steps = [], []
    for event in events:
        if event["event"] == "step":
            steps.append(event)
        elif event["event"] == "eval":
            seen = [tasks for step in steps for tasks in step["tasks"].values()]
            epochs.append(
                {
                    "epoch": round(event["epoch"]),
                    "step": event["step"],
                    "train_loss": _mean(seen, "loss_sum", "tokens"),
                    "eval_loss": event["eval_loss"],
                    "loss_per_token": event["loss_per_token"],
                    "tasks": {
                        task: _task_summary(task, steps, sums)
                        for task, sums in event["tasks"].items()
                    },
                }
            )
            steps = []
    return epochs


def _task_summary(task: str, steps: list[Event], sums: dict[str, float]) -> dict[str, float | None]:
    seen = [step["tasks"][task] for step in steps if task in step["tasks"]]
    return {
        "train_loss": _mean(seen, "loss_sum", "tokens") if seen else None,
        "eval_loss": _mean([sums], "loss_sum", "tokens"),
        "loss_per_token": _mean([sums], "real_loss_sum", "real_tokens"),
    }


def _by_task(sums: list[list[float]], names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Tasks without tokens are left out; counts become whole numbers."""
    return {
        task: {
            name: int(value) if name.endswith("tokens") else value
            for name, value in zip(names, values, strict=True)
        }
        for task, values in zip(TASKS, sums, strict=True)
        if values[1]
    }


def _mean(sums: Iterable[dict[str, float]], total: str, count: str) -> float:
    sums = list(sums)
    return sum(each[total] for each in sums) / sum(each[count] for each in sums)
