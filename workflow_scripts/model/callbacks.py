"""What happens between the steps of a training: the log, the progress, saves within an epoch."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from workflow_scripts.model.progress import say, time_left
from workflow_scripts.model.training_log import check_finite, step_event

if TYPE_CHECKING:
    from workflow_scripts.model.trainer import TaskLossTrainer


class StepRecorder(TrainerCallback):
    """Collects the losses of each step, and every `log_every` steps writes them and says so."""

    def __init__(self, trainer: "TaskLossTrainer", log_every: int):
        self.trainer = trainer
        self.log_every = log_every
        self.learning_rate = 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        self.first_step, self.started = state.global_step, time.monotonic()

    def on_optimizer_step(self, args, state, control, lr_scheduler=None, **kwargs):
        self.learning_rate = lr_scheduler.get_last_lr()[0]

    def on_step_end(self, args, state, control, **kwargs):
        trainer = self.trainer
        sums = trainer.task_sums[:, :2].clone()
        trainer.task_sums.zero_()
        trainer.pending.append((state.global_step, state.epoch, self.learning_rate, sums))
        if len(trainer.pending) >= self.log_every:
            self._say_progress(args, state)
            trainer.flush_steps()

    def _say_progress(self, args, state) -> None:
        step, epoch, rate, sums = self.trainer.pending[-1]
        event = step_event(step, epoch, rate, sums.tolist())
        check_finite(event)
        done = step - self.first_step
        rows = done * args.train_batch_size * args.gradient_accumulation_steps
        say(
            f"step {step}/{state.max_steps}, epoch {epoch:.2f}, loss {event.loss:.4f}, "
            f"learning rate {rate:.2e}, {rows / (time.monotonic() - self.started):.1f} rows/s, "
            f"ETA {time_left(self.started, done, state.max_steps - step)}"
        )


class SaveWithinEpochs(TrainerCallback):
    """Saves every so many steps, and once more when the process is asked to end."""

    def __init__(self, every: int | None):
        self.every = every
        self.signal: int | None = None

    def on_step_end(self, args, state, control, **kwargs):
        step = state.global_step
        # The last step of an epoch is saved after its evaluation, which a resumed run would skip.
        if step % (state.max_steps // args.num_train_epochs) and (
            self.signal or (self.every and step % self.every == 0)
        ):
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if self.signal:
            say(f"asked to stop: saved at step {state.global_step}, where the same command resumes")
            sys.exit(128 + self.signal)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT save a checkpoint and end the process; a second one ends it now."""

        def note(number: int, frame: Any) -> None:
            self.signal = number
            signal.signal(number, before[number])

        before = {each: signal.signal(each, note) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
