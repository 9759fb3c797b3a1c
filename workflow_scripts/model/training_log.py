"""The training log: one JSON line a step and an evaluation, true for each task, without times."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.runs import (
    Epoch,
    EvalSums,
    Evaluation,
    LogEvent,
    Losses,
    Step,
    StepSums,
)


class TrainingLog:
    """Appends events to a file beside the checkpoints; equal runs write equal bytes.

    Each checkpoint carries a copy, from which a resumed run starts, so that steps which were made
    but not saved appear once.
    """

    def __init__(self, path: Path):
        self.path = path

    def start(self, saved: Path | None) -> None:
        """Begin empty, or with the log of a checkpoint."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(saved.read_bytes() if saved else b"")

    def append(self, events: Iterable[LogEvent]) -> None:
        """Raises EssenceError for a loss that is no number, before anything is written."""
        events = list(events)
        for event in events:
            check_finite(event)
        with open(self.path, "a", encoding="utf-8") as file:
            file.writelines(
                json.dumps(event.model_dump(), allow_nan=False) + "\n" for event in events
            )


def check_finite(event: Step | Evaluation) -> None:
    """Raise EssenceError when the loss of a step or an evaluation is NaN or infinite."""
    training = isinstance(event, Step)
    kind, loss = ("training", event.loss) if training else ("evaluation", event.eval_loss)
    if not math.isfinite(loss):
        raise EssenceError(
            f"the {kind} loss is {loss} at step {event.step} (epoch {event.epoch:.2f}): this run "
            "is stopped and nothing of it is published. Lower its learning_rate or "
            "training.learning_rate_scale, or set model.precision to fp32."
        )


def step_event(step: int, epoch: float, learning_rate: float, sums: list[list[float]]) -> Step:
    """`sums` holds (loss sum, tokens) of each task over the batch that the step was made from."""
    tasks = {
        task: StepSums(loss_sum=loss, tokens=int(tokens))
        for task, (loss, tokens) in zip(TASKS, sums, strict=True)
        if tokens
    }
    return Step(
        step=step,
        epoch=round(epoch, 6),
        loss=_mean_loss(tasks.values()),
        learning_rate=learning_rate,
        tasks=tasks,
    )


def eval_event(step: int, epoch: float, sums: list[list[float]]) -> Evaluation:
    """`sums` holds (loss sum, tokens, real loss sum, real tokens) of each task."""
    tasks = {
        task: EvalSums(
            loss_sum=loss, tokens=int(tokens), real_loss_sum=real_loss, real_tokens=int(real_tokens)
        )
        for task, (loss, tokens, real_loss, real_tokens) in zip(TASKS, sums, strict=True)
        if tokens
    }
    return Evaluation(
        step=step,
        epoch=round(epoch, 6),
        eval_loss=_mean_loss(tasks.values()),
        loss_per_token=_mean_real_loss(tasks.values()),
        tasks=tasks,
    )


def epochs_of(events: Iterable[LogEvent]) -> list[Epoch]:
    """One entry an epoch, from its steps and its evaluation; losses are means over tokens."""
    epochs: list[Epoch] = []
    steps: list[Step] = []
    for event in events:
        if isinstance(event, Step):
            steps.append(event)
        else:
            epochs.append(_epoch(steps, event))
            steps = []
    return epochs


def _epoch(steps: list[Step], evaluation: Evaluation) -> Epoch:
    return Epoch(
        epoch=round(evaluation.epoch),
        step=evaluation.step,
        train_loss=_mean_loss([sums for step in steps for sums in step.tasks.values()]),
        eval_loss=evaluation.eval_loss,
        loss_per_token=evaluation.loss_per_token,
        tasks={
            task: _task_losses([step.tasks[task] for step in steps if task in step.tasks], sums)
            for task, sums in evaluation.tasks.items()
        },
    )


def _task_losses(steps: Sequence[StepSums], evaluation: EvalSums) -> Losses:
    return Losses(
        train_loss=_mean_loss(steps) if steps else None,
        eval_loss=_mean_loss([evaluation]),
        loss_per_token=_mean_real_loss([evaluation]),
    )


def _mean_loss(sums: Iterable[StepSums]) -> float:
    sums = list(sums)
    return sum(each.loss_sum for each in sums) / sum(each.tokens for each in sums)


def _mean_real_loss(sums: Iterable[EvalSums]) -> float:
    sums = list(sums)
    return sum(each.real_loss_sum for each in sums) / sum(each.real_tokens for each in sums)
