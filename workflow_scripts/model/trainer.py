"""The Hugging Face trainer with losses that are true for each task, and its checkpoints.

What is logged of each step and epoch lies in the trainer's own `state.log_history`, so that a
checkpoint holds it.
"""

import gc
import json
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.integrations import get_available_reporting_integrations
from transformers.modeling_outputs import BaseModelOutput

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.model import say
from workflow_scripts.model.batches import IGNORED, TrainingData
from workflow_scripts.model.saving import explain_full_disk
from workflow_scripts.runs import DeviceFacts
from workflow_scripts.settings import Settings

STATE = "trainer_state.json"  # written last: a checkpoint without it is not whole
TRACKER = "ESSENCE_REPORT_TO"  # of the trainer's report_to; no setting, as it changes no result


def fit(
    settings: Settings,
    device: DeviceFacts,
    folder: Path,
    make_model: Callable[[], Any],
    data: TrainingData,
) -> None:
    """Train until the newest checkpoint in `folder` is of a finished training.

    When the GPU's memory does not suffice, fewer rows are computed at a time, and gradients
    accumulated, so that the batch learned from stays the same. Raises EssenceError when a single
    row is too much.
    """
    batch, shrink = settings.run.batch_size, 1
    most = settings.training.rows_at_once or batch
    while True:
        rows = max((n for n in range(1, most // shrink + 1) if batch % n == 0), default=1)
        evaluated = max(1, settings.training.eval_batch_size // shrink)
        arguments = training_arguments(settings, device, folder, rows, evaluated)
        try:
            return TaskLossTrainer(settings, arguments, make_model(), data).fit()
        except torch.OutOfMemoryError:
            pass  # the model can only be freed once the error and its frames are gone
        if rows == evaluated == 1:
            raise EssenceError(
                "the GPU has too little memory for a single row. Lower the recipe's source_tokens "
                "or target_tokens, or set model.device to cpu."
            )
        shrink *= 2
        say(f"out of GPU memory with {rows} rows at a time, {evaluated} in evaluation: halved")
        gc.collect()
        torch.cuda.empty_cache()


def training_arguments(
    settings: Settings, device: DeviceFacts, folder: Path, rows: int, evaluated: int
) -> TrainingArguments:
    """Checkpoints go to `folder`; `rows` are trained on at a time, `evaluated` evaluated."""
    run, training = settings.run, settings.training
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=run.batch_size // rows,
        per_device_eval_batch_size=evaluated,
        learning_rate=settings.learning_rate,
        num_train_epochs=run.epochs,
        lr_scheduler_type=training.scheduler,
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        activation_checkpointing=settings.model.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
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
        metric_for_best_model=training.best_metric,  # the library puts eval_ before it
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,
        use_cache=True,  # else published as config.json's own, and answering takes minutes
        remove_unused_columns=False,
        report_to=tracker(settings),
        run_name=run_name(settings),
        disable_tqdm=True,
    )


def tracker(settings: Settings) -> str:
    """Where losses are shown while a run is trained, such as tensorboard; none if unset.

    Raises EssenceError when the package that it needs is not here.
    """
    wanted, available = os.environ.get(TRACKER, "none"), get_available_reporting_integrations()
    if wanted not in ("none", *available):
        raise EssenceError(
            f"{TRACKER} is {wanted!r}, and here are: none, {', '.join(available)}. Type "
            f"`pip install {wanted}` in the environment, or unset {TRACKER}."
        )
    if wanted == "tensorboard":
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", f"logs/tensorboard/{run_name(settings)}")
    return wanted


def run_name(settings: Settings) -> str:
    return f"{settings.recipe.name}/{settings.run.name}/seed{settings.seed}"


def whole_checkpoints(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Checkpoints with the trainer's state in them, by step; what a kill cut off is left out."""
    whole = []
    for path in folder.glob(f"checkpoint-*/{STATE}"):
        try:
            whole.append((path.parent, json.loads(path.read_text(encoding="utf-8"))))
        except ValueError:
            continue
    return sorted(whole, key=lambda checkpoint: checkpoint[1]["global_step"])


def is_finished(state: dict[str, Any]) -> bool:
    """Whether a training had come to its end when it saved this state."""
    return state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"]


class TaskLossTrainer(Trainer):
    """Sums token losses and counts by task, in the very batches that are trained on.

    The loss of a step is the mean over all tokens that count in its whole batch, however many
    micro batches that was computed in.
    """

    loss_is_scaled_for_ga = True

    def __init__(
        self, settings: Settings, arguments: TrainingArguments, model: Any, data: TrainingData
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
        self.step_sums, self.epoch_sums = self._no_sums(), self._no_sums()
        self.remove_callback(PrinterCallback)
        self.add_callback(StepLog(self, settings.training.log_every))
        if settings.run.patience is not None:
            self.add_callback(EarlyStoppingCallback(settings.run.patience))

    def fit(self) -> None:
        """Train to the end, from the newest checkpoint if there is one."""
        last = next((str(path) for path, _ in reversed(whole_checkpoints(self.folder))), None)
        if last:
            say(f"resuming from {last}")
        self.since = time.monotonic()
        with explain_full_disk(self.folder):
            self.train(resume_from_checkpoint=last)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        sums, loss = self._sums(model, inputs)
        self.step_sums += sums
        return loss / num_items_in_batch

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        """Mean loss over all tokens of all rows (the library's own is a mean over batches)."""
        self.model.eval()
        total = self._no_sums()
        with torch.no_grad(), self.compute_loss_context_manager():
            for inputs in self.get_eval_dataloader(eval_dataset):
                total += self._sums(self.model, self._prepare_inputs(inputs))[0]
        losses = _mean_losses(self.epoch_sums.sum(0).tolist(), total.sum(0).tolist())
        sums = zip(TASKS, self.epoch_sums.tolist(), total.tolist(), strict=True)
        tasks = {
            task: _mean_losses(trained, evaluated)
            for task, trained, evaluated in sums
            if evaluated[1]
        }
        self.epoch_sums.zero_()
        now = time.monotonic()
        measured = losses["eval_loss"]
        self.log_event(measured, event="epoch", **losses, tasks=tasks, seconds=now - self.since)
        self.since = now
        say(
            f"epoch {self.state.epoch:g}: eval_loss {measured:.4f}, "
            f"loss per real token {losses['loss_per_token']:.4f}"
        )
        metrics = {"eval_loss": measured, "eval_loss_per_token": losses["loss_per_token"]}
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def log_event(self, measured: float, **facts: Any) -> None:
        """Log a step or an epoch. Raises EssenceError where the loss measured is no number."""
        step, epoch = self.state.global_step, self.state.epoch
        if not math.isfinite(measured):
            raise EssenceError(
                f"the loss is {measured} at step {step} (epoch {epoch:.2f}): this run is stopped "
                "and nothing of it is published. Lower its learning_rate or "
                "training.learning_rate_scale, or set model.precision to fp32."
            )
        self.state.log_history.append({"step": step, "epoch": round(epoch, 6), **facts})
        shown = {key: value for key, value in facts.items() if isinstance(value, float)}
        self.callback_handler.on_log(self.args, self.state, self.control, shown)

    def _save_checkpoint(self, model, trial):
        """Save one, and delete all others but the best, which may be published."""
        super()._save_checkpoint(model, trial)
        for path, state in whole_checkpoints(self.folder):
            if state["global_step"] not in (self.state.global_step, self.state.best_global_step):
                (path / STATE).unlink()
                shutil.rmtree(path)

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


class StepLog(TrainerCallback):
    """Logs the losses of each step, and says them every `log_every` steps."""

    def __init__(self, trainer: TaskLossTrainer, log_every: int):
        self.trainer, self.log_every = trainer, log_every

    def on_optimizer_step(self, args, state, control, lr_scheduler=None, **kwargs):
        self.learning_rate = lr_scheduler.get_last_lr()[0]

    def on_step_end(self, args, state, control, **kwargs):
        trainer, rate = self.trainer, self.learning_rate
        trainer.epoch_sums += trainer.step_sums
        sums = trainer.step_sums[:, :2].tolist()
        trainer.step_sums.zero_()
        tasks = {
            task: {"loss_sum": loss_sum, "tokens": int(tokens)}
            for task, (loss_sum, tokens) in zip(TASKS, sums, strict=True)
            if tokens
        }
        loss = sum(loss_sum for loss_sum, _ in sums) / sum(tokens for _, tokens in sums)
        trainer.log_event(loss, event="step", loss=loss, learning_rate=rate, tasks=tasks)
        if state.global_step % self.log_every == 0:
            say(
                f"step {state.global_step}/{state.max_steps}, epoch {state.epoch:.2f}, "
                f"loss {loss:.4f}, learning rate {rate:.2e}"
            )


def _mean_losses(trained: list[float], evaluated: list[float]) -> dict[str, float | None]:
    """Means over tokens; both are sums, as of `_sums`."""
    return {
        "train_loss": trained[0] / trained[1] if trained[1] else None,
        "eval_loss": evaluated[0] / evaluated[1],
        "loss_per_token": evaluated[2] / evaluated[3],
    }


def token_losses(
    model: Any, batch: dict[str, torch.Tensor], pad: int, autocast: Callable[[], Any]
) -> torch.Tensor:
    """The loss of each label, batch x longest target, 0 where it is ignored."""
    labels = batch["labels"]
    logits = target_logits(model, batch, pad, autocast).float()
    losses = cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return losses.view(labels.shape)


def target_logits(
    model: Any, batch: dict[str, torch.Tensor], pad: int, autocast: Callable[[], Any]
) -> torch.Tensor:
    """Logits, batch x longest target x vocabulary; `batch` is as the Collator makes it.

    Those of a decoder-only model are computed at the answers alone, which all begin at one place.
    """
    ids, mask, labels = (batch[key] for key in ("input_ids", "attention_mask", "labels"))
    if model.config.is_encoder_decoder:
        with autocast():  # as inside the model's own forward
            encoded = encode_distinct(model, ids, mask)
        return model(
            input_ids=ids,
            attention_mask=mask,
            encoder_outputs=encoded,
            decoder_input_ids=model.prepare_decoder_input_ids_from_labels(labels=labels),
            use_cache=False,
        ).logits
    answers = labels.where(labels != IGNORED, pad)
    whole = torch.cat([mask, torch.ones_like(answers)], 1)
    logits = model(
        input_ids=torch.cat([ids, answers], 1),
        attention_mask=whole,
        position_ids=(whole.cumsum(1) - 1).clamp(min=0),
        logits_to_keep=answers.shape[1] + 1,
        use_cache=False,
    ).logits
    return logits[:, :-1]  # each place predicts the next token


def encode_distinct(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> BaseModelOutput | None:
    """The encoder's output (batch x length x width), equal rows computed once.

    Truncation has made many rows equal. None where dropout, which each kind of model names in its
    own way, tells them apart.
    """
    if model.training and any("drop" in key and value for key, value in vars(model.config).items()):
        return None
    encoder = model.get_encoder()
    distinct, places = torch.stack([ids, mask], 1).unique(dim=0, return_inverse=True)
    if len(distinct) == len(ids):
        return encoder(input_ids=ids, attention_mask=mask)
    encoded = encoder(input_ids=distinct[:, 0], attention_mask=distinct[:, 1])
    return BaseModelOutput(encoded.last_hidden_state.index_select(0, places))
