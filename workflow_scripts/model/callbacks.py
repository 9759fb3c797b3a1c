"""What happens between the steps of a training: the log and the progress."""

import time
from typing import TYPE_CHECKING

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
