"""What a training that came to its end has left beside its checkpoints, and its summary."""

from pathlib import Path

from workflow_scripts.model.checkpoints import LOG, NOTES, Notes, all_whole, trainer_state
from workflow_scripts.model.training_log import epochs_of
from workflow_scripts.records import read_lines
from workflow_scripts.runs import LOG_EVENT, End, Training
from workflow_scripts.settings import Settings


class Outcome:
    """`best` is the checkpoint whose weights are published."""

    def __init__(self, folder: Path):
        last = all_whole(folder)[-1]
        self.state = trainer_state(last)
        self.notes = Notes.read(last / NOTES)
        self.log = list(read_lines(LOG_EVENT, last / LOG))
        self.best = folder / f"checkpoint-{self.state['best_global_step']}"

    def summary(self, settings: Settings, rows: dict[str, dict[str, int]]) -> Training:
        """training.json; `rows` counts them by split and task."""
        epochs, state = epochs_of(self.log), self.state
        best = next(epoch for epoch in epochs if epoch.step == state["best_global_step"])
        return Training(
            recipe=settings.recipe.name,
            run=settings.run.name,
            seed=settings.seed,
            settings=settings,
            epochs=epochs,
            best_epoch=best.epoch,
            best_step=best.step,
            best_eval_loss=best.eval_loss,
            best_loss_per_token=best.loss_per_token,
            stopped_early=state["global_step"] < state["max_steps"],
            epochs_done=len(epochs),
            steps_done=state["global_step"],
            steps_planned=state["max_steps"],
            rows=rows,
        )


def end_of(summary: Training) -> End:
    """The last line of the published log."""
    keys = End.model_fields.keys() - {"event"}
    return End(**{key: getattr(summary, key) for key in keys})
