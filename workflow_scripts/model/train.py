"""Fine-tune a model on one sample: one run of one recipe with one seed.

Publishes model/, training_log.jsonl, training.json and provenance.json into `out`, together or not
at all. Checkpoints lie in `work` under a fingerprint of all that decides the result; a training
that was stopped at any point resumes from the last whole one when the same command is given again.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from workflow_scripts.locks import take
from workflow_scripts.model.adapters import (
    check_extras,
    model_to_train,
    trained_model,
    trained_parameters,
)
from workflow_scripts.model.batches import TrainingData
from workflow_scripts.model.checkpoints import Resume
from workflow_scripts.model.device import choose_device
from workflow_scripts.model.load import check_base
from workflow_scripts.model.micro_batch import MicroBatch
from workflow_scripts.model.outcome import Outcome, end_of
from workflow_scripts.model.progress import say
from workflow_scripts.model.provenance import Clock, Sources, provenance
from workflow_scripts.model.publish import is_published, published, save_model
from workflow_scripts.records import write_lines
from workflow_scripts.settings import Settings
from workflow_scripts.stage import Input, Setting, run_stage

if TYPE_CHECKING:
    from workflow_scripts.model.trainer import TaskLossTrainer

WAIT = 3600  # seconds that another training of the same run is waited for


def train(
    settings: Annotated[Settings, Setting("recipe, run and training: JSON, or a file with it")],
    base: Annotated[Path, Setting("folder of the model to start from")],
    train: Annotated[Path, Input("rows to train on")],
    val: Annotated[Path, Input("rows that the best epoch is chosen by")],
    out: Annotated[Path, Setting("folder of the run")],
    work: Annotated[Path, Setting("folder for checkpoints")],
    threads: Annotated[int, Setting("CPU threads of torch")] = 1,
) -> None:
    """Raises EssenceError for anything in the way that the user can remove."""
    check_base(base, settings.model.architecture)
    data = TrainingData.load(train, val, base, settings)
    device = choose_device(settings.device, settings.precision, threads)
    check_extras(settings.model, device)
    sources = Sources.of(settings, {"train": train, "val": val}, base, device)
    checkpoints = work / sources.fingerprint
    with take(work / "lock", str(work), WAIT):
        if is_published(out, sources.fingerprint):
            say(f"{out} was just published by another process")
            return
        clock = Clock()
        say(f"rows: {len(data.train)} train, {len(data.val)} val; checkpoints: {checkpoints}")

        def fit(rows_at_once: int) -> "TaskLossTrainer":
            from workflow_scripts.model.trainer import TaskLossTrainer, training_arguments

            model = model_to_train(base, data.tokenizer, settings, device)
            arguments = training_arguments(settings, device, checkpoints, rows_at_once)
            trainer = TaskLossTrainer(settings, arguments, model, data)
            clock.part_done("load")
            trainer.fit(Resume.newest(checkpoints))
            clock.part_done("train")
            return trainer

        micro_batch = MicroBatch(settings.run.batch_size, checkpoints)
        trainer = micro_batch.largest_that_fits(fit)
        starts = trainer.resume.notes.starts + 1
        trained = trained_parameters(trainer.model)
        outcome = Outcome(checkpoints)
        clock.seconds["train_in_all_starts"] = round(outcome.notes.seconds, 3)
        summary = outcome.summary(settings, data.row_counts())
        with published(out) as stage:
            model = trained_model(base, outcome.best, data.reads)
            weights = save_model(model, data.tokenizer, stage / "model", trained)
            write_lines(stage / "training_log.jsonl", [*outcome.log, end_of(summary)])
            summary.write(stage / "training.json")
            clock.part_done("publish")
            facts = provenance(sources, micro_batch, starts, clock.seconds, weights)
            facts.write(stage / "provenance.json")
        say(
            f"published {out}: best epoch {summary.best_epoch} of {summary.epochs_done}, "
            f"eval_loss {summary.best_eval_loss:.4f}"
        )
        shutil.rmtree(checkpoints)


if __name__ == "__main__":
    run_stage(train)
