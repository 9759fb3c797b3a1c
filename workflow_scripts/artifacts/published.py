"""resources/published.json: what the report's text says and its notebooks printed."""

from workflow_scripts.records import Record


class LoggedEpoch(Record):
    """A line of a notebook's log; `train_loss` is the running mean that was logged last."""

    epoch: int
    train_loss: float
    eval_loss: float


class PublishedRun(Record):
    """One training of the notebooks.

    `starts_from` ("base" or a run) and `scored_on` ("self" or a run) say what its weights came from
    and whose rows it was scored on, as in the configuration. `same_settings_as` is the run of
    experiment 3 that repeats it, and stands in for it where it is not trained twice.
    """

    experiment: int
    batch_size: int
    learning_rate: float
    same_settings_as: str | None = None
    starts_from: str
    scored_on: str
    note: str | None = None
    rouge_l_val: float
    exact_match_val: float
    rouge_l_train: float | None = None
    exact_match_train: float | None = None
    best_eval_loss: float
    epochs_done: int
    steps_planned: int
    train_time: str  # minutes:seconds
    log: list[LoggedEpoch]


class DatasetFacts(Record):
    """Section 3.1; `tasks`: task -> rows, `validation_rows`: of the 1,011 of each run."""

    rows: int
    validation_rows: int
    tasks: dict[str, int]


class TextFacts(Record):
    """What the running text says of single runs: the losses it quotes, and its choice."""

    best_eval_loss: dict[str, float]
    chosen_run: str


class QuotedModels(Record):
    """Annex II: a row is a feature, then its value for each of the `columns`."""

    source: str
    columns: list[str]
    rows: list[list[str]]


class Published(Record):
    source: str
    dataset: DatasetFacts
    runs: dict[str, PublishedRun]
    text: TextFacts
    models: QuotedModels

    @property
    def chosen(self) -> str:
        """The run that the report declares the best."""
        return self.text.chosen_run

    @property
    def grid(self) -> dict[tuple[float, int], PublishedRun]:
        """(learning rate, batch size) -> run of experiment 3."""
        return {
            (run.learning_rate, run.batch_size): run
            for run in self.runs.values()
            if run.experiment == 3
        }
