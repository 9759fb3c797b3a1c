"""The Hugging Face trainer with losses that are true for each task, and checkpoints to trust."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)

from workflow_scripts.files import write_json
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.model import checkpoints
from workflow_scripts.model.batches import IGNORED, Collator
from workflow_scripts.model.device import Device
from workflow_scripts.model.settings import Settings
from workflow_scripts.model.training_log import TrainingLog, check_finite, eval_event, step_event

NOTES = "essence.json"  # what a checkpoint knows beyond the trainer's own state
LOG = "training_log.jsonl"


def make_trainer(
    settings: Settings,
    device: Device,
    model: Any,
    collator: Collator,
    train: list[dict[str, Any]],
    val: list[dict[str, Any]],
    work: Path,
    micro_batch: int,
) -> "TaskLossTrainer":
    """A trainer for one run; `micro_batch` rows at a time, the run's batch size in all."""
    options, batch = settings.training, settings.run["batch_size"]
    metric = options["best_metric"]
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=batch // micro_batch,
        per_device_eval_batch_size=max(1, options["eval_batch_size"] * micro_batch // batch),
        learning_rate=settings.learning_rate,
        num_train_epochs=settings.run["epochs"],
        lr_scheduler_type=options["scheduler"],
        warmup_steps=options["warmup_steps"],
        weight_decay=options["weight_decay"],
        max_grad_norm=options["max_grad_norm"],
        optim="adamw_torch_fused",
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=device.bf16,
        use_cpu=device.kind == "cpu",
        dataloader_pin_memory=device.kind == "cuda",
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        metric_for_best_model=metric if metric.startswith("eval_") else f"eval_{metric}",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,
        use_cache=True,  # else published as config.json's own, and answering takes minutes
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = TaskLossTrainer(
        model=model, args=arguments, data_collator=collator, train_dataset=train, eval_dataset=val
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Recorder(trainer, settings))
    if settings.run["patience"] is not None:
        trainer.add_callback(EarlyStoppingCallback(settings.run["patience"]))
    return trainer


class TaskLossTrainer(Seq2SeqTrainer):
    """Sums token losses and counts by task, in the very batches that are trained on.

    The loss of a step is the mean over all tokens that count in its whole batch, however many
    micro-batches that was computed in.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.model_accepts_loss_kwargs = True  # so that the tokens of the whole batch are counted
        self.task_sums = self._no_sums()
        self.log_file = TrainingLog(Path(self.args.output_dir) / LOG)
        self.pending: list[tuple[int, float, float, torch.Tensor]] = []
        self.seconds_before = 0.0
        self.starts = 1
        self.started = time.monotonic()

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        sums, loss = self._sums(model, inputs)
        self.task_sums += sums
        return loss / num_items_in_batch

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        """Mean loss over all tokens of all rows (the library's own is a mean over batches)."""
        self.flush_steps()
        self.model.eval()
        total = self._evaluated(eval_dataset)
        event = eval_event(self.state.global_step, self.state.epoch, total.tolist())
        self.log_file.append([event])
        metrics = {
            "eval_loss": event["eval_loss"],
            "eval_loss_per_token": event["loss_per_token"],
        }
        say(
            f"epoch {event['epoch']:g}: eval_loss {event['eval_loss']:.4f}, "
            f"loss per real token {event['loss_per_token']:.4f}"
        )
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _evaluated(self, rows: Any) -> torch.Tensor:
        """Sums over all rows; half as many at a time when the GPU's memory does not suffice."""
        while True:
            total = self._no_sums()
            try:
                with torch.no_grad(), self.compute_loss_context_manager():
                    for inputs in self.get_eval_dataloader(rows):
                        total += self._sums(self.model, self._prepare_inputs(inputs))[0]
                return total
            except torch.OutOfMemoryError:
                if self.args.per_device_eval_batch_size == 1:
                    raise
                self.args.per_device_eval_batch_size //= 2
                size = self.args.per_device_eval_batch_size
            say(f"out of GPU memory: evaluating {size} rows at a time")
            torch.cuda.empty_cache()

    def flush_steps(self) -> None:
        """Write the steps since the last look. Raises EssenceError for a loss that is no number."""
        rows = self.pending
        if rows:
            sums = torch.stack([row[3] for row in rows]).tolist()
            events = [step_event(*row[:3], each) for row, each in zip(rows, sums, strict=True)]
            self.pending = []
            self.log_file.append(events)

    def _save_checkpoint(self, model, trial):
        self.flush_steps()
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        with checkpoints.removed_on_error(folder), checkpoints.telling_full_disk(folder):
            super()._save_checkpoint(model, trial)
            (folder / LOG).write_bytes(self.log_file.path.read_bytes())
            seconds = self.seconds_before + time.monotonic() - self.started
            notes = {
                "finished": self.control.should_training_stop,
                "seconds": seconds,
                "starts": self.starts,
            }
            write_json(folder / NOTES, notes)
            checkpoints.seal(folder)
        checkpoints.keep(folder.parent, self.state.best_global_step)

    def _sums(self, model, inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """(task x [loss, tokens, real loss, real tokens], loss summed over all tokens)."""
        labels = inputs["labels"]
        logits = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            decoder_input_ids=self.model.prepare_decoder_input_ids_from_labels(labels=labels),
            use_cache=False,
        ).logits
        losses = cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
        ).view(labels.shape)
        with torch.no_grad():
            places = torch.arange(labels.shape[1], device=labels.device)
            real = places < inputs["target_length"][:, None]
            counted = labels != IGNORED
            columns = (losses.double(), counted, losses.double() * real, real)
            rows = torch.stack([column.sum(1).double() for column in columns], 1)
            sums = self._no_sums().index_add_(0, inputs["task"], rows)
        return sums, losses.sum()

    def _no_sums(self) -> torch.Tensor:
        return torch.zeros(len(TASKS), 4, dtype=torch.float64, device=self.args.device)


class Recorder(TrainerCallback):
    """Collects each step for the log, says how far the run is, saves and leaves when told to."""

    def __init__(self, trainer: TaskLossTrainer, settings: Settings):
        self.trainer = trainer
        self.log_every = settings.log_every
        self.save_every = settings.training.get("checkpoint_steps")
        self.learning_rate = 0.0
        self.signal: int | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        self.first_step, self.started = state.global_step, time.monotonic()

    def on_optimizer_step(self, args, state, control, lr_scheduler=None, **kwargs):
        self.learning_rate = lr_scheduler.get_last_lr()[0]

    def on_step_end(self, args, state, control, **kwargs):
        trainer, step = self.trainer, state.global_step
        sums = trainer.task_sums[:, :2].clone()
        trainer.task_sums.zero_()
        trainer.pending.append((step, state.epoch, self.learning_rate, sums))
        if len(trainer.pending) >= self.log_every:
            self._tell(args, state)
            trainer.flush_steps()
        # The last step of an epoch is saved after its evaluation, which a resumed run would skip.
        if step % (state.max_steps // args.num_train_epochs) and (
            self.signal or (self.save_every and step % self.save_every == 0)
        ):
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if self.signal:
            say(f"told to stop: saved at step {state.global_step}; the same command goes on there")
            sys.exit(128 + self.signal)

    @contextmanager
    def saving_on_signals(self) -> Iterator[None]:
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

    def _tell(self, args, state) -> None:
        done = state.global_step - self.first_step
        seconds = time.monotonic() - self.started
        left = int(seconds / done * (state.max_steps - state.global_step))
        step, epoch, rate, sums = self.trainer.pending[-1]
        event = step_event(step, epoch, rate, sums.tolist())
        check_finite(event)
        rows = done * args.train_batch_size * args.gradient_accumulation_steps / seconds
        say(
            f"step {step}/{state.max_steps}, epoch {epoch:.2f}, loss {event['loss']:.4f}, "
            f"learning rate {rate:.2e}, {rows:.1f} rows/s, ETA {left // 60}:{left % 60:02d}"
        )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
