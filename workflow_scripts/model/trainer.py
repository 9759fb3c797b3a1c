"""The Hugging Face trainer with losses that are true for each task, and checkpoints to trust."""

import shutil
import time
from pathlib import Path
from typing import Any

import torch
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
)

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.model import checkpoints
from workflow_scripts.model.batches import IGNORED, TrainingData
from workflow_scripts.model.callbacks import StepRecorder
from workflow_scripts.model.checkpoints import LOG, Notes, Resume
from workflow_scripts.model.logits import token_losses
from workflow_scripts.model.progress import say
from workflow_scripts.model.training_log import TrainingLog, eval_event, step_event
from workflow_scripts.runs import DeviceFacts
from workflow_scripts.settings import Settings

# Its losses are means over all tasks; ours are sums by task, so of its kernels the others are used.
LIGER = {"cross_entropy": False, "fused_linear_cross_entropy": False}


def training_arguments(
    settings: Settings, device: DeviceFacts, folder: Path, micro_batch: int
) -> Seq2SeqTrainingArguments:
    """Checkpoints go to `folder`; `micro_batch` rows are computed at a time."""
    run, training = settings.run, settings.training
    metric = training.best_metric
    return Seq2SeqTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=run.batch_size // micro_batch,
        per_device_eval_batch_size=max(1, training.eval_batch_size * micro_batch // run.batch_size),
        learning_rate=settings.learning_rate,
        num_train_epochs=run.epochs,
        lr_scheduler_type=training.scheduler,
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        activation_checkpointing=settings.model.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        use_liger_kernel=settings.model.liger,
        liger_kernel_config=LIGER,
        optim="adamw_torch_fused",
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=device.precision == "bf16",
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


class TaskLossTrainer(Seq2SeqTrainer):
    """Sums token losses and counts by task, in the very batches that are trained on.

    The loss of a step is the mean over all tokens that count in its whole batch, however many
    micro batches that was computed in.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self,
        settings: Settings,
        arguments: Seq2SeqTrainingArguments,
        model: Any,
        data: TrainingData,
    ):
        super().__init__(
            model=model,
            args=arguments,
            data_collator=data.collator,
            train_dataset=data.train,
            eval_dataset=data.val,
        )
        self.pad = data.reads.pad
        self.model_accepts_loss_kwargs = True  # so that the tokens of the whole batch are counted
        self.folder = Path(arguments.output_dir)
        self.log_file = TrainingLog(self.folder / LOG)
        self.task_sums = self._no_sums()  # of the batch that is being computed
        self.pending: list[tuple[int, float, float, torch.Tensor]] = []  # steps yet to be logged
        self.remove_callback(PrinterCallback)
        self.add_callback(StepRecorder(self, settings.log_every))
        if settings.run.patience is not None:
            self.add_callback(EarlyStoppingCallback(settings.run.patience))

    def fit(self, resume: Resume) -> None:
        """Train to the end from where an earlier start was stopped; the checkpoints hold all."""
        self.resume, self.started = resume, time.monotonic()
        last = resume.checkpoint
        self.log_file.start(last / LOG if last else None)
        if resume.notes.finished:
            return
        if last:
            say(f"resuming from {last}")
        with checkpoints.explaining_full_disk(self.folder):
            self.train(resume_from_checkpoint=str(last) if last else None)

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
        metrics = {"eval_loss": event.eval_loss, "eval_loss_per_token": event.loss_per_token}
        say(
            f"epoch {event.epoch:g}: eval_loss {event.eval_loss:.4f}, "
            f"loss per real token {event.loss_per_token:.4f}"
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
        """Log the pending steps. Raises EssenceError for a loss that is no number."""
        if self.pending:
            sums = torch.stack([step[3] for step in self.pending]).tolist()
            steps = zip(self.pending, sums, strict=True)
            events = [step_event(*step[:3], each) for step, each in steps]
            self.pending = []
            self.log_file.append(events)

    def _save_checkpoint(self, model, trial):
        self.flush_steps()
        folder = self.folder / f"checkpoint-{self.state.global_step}"
        before = self.resume.notes
        try:
            with checkpoints.explaining_full_disk(folder):
                super()._save_checkpoint(model, trial)
                (folder / LOG).write_bytes(self.log_file.path.read_bytes())
                notes = Notes(
                    finished=self.control.should_training_stop,
                    seconds=before.seconds + time.monotonic() - self.started,
                    starts=before.starts + 1,
                )
                checkpoints.seal(folder, notes)
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)  # gives its space back
            raise
        checkpoints.keep(self.folder, self.state.best_global_step)

    def _sums(self, model, inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """(task x [loss, tokens, real loss, real tokens], loss summed over all tokens)."""
        labels = inputs["labels"]
        losses = token_losses(model, inputs, self.pad, self.accelerator.autocast)
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
