"""What a fine-tuning leaves in results/runs/<recipe>/<run>/seed<k>/, and its scores."""

from pathlib import PurePath

from pydantic import Field

from workflow_scripts.records import Record
from workflow_scripts.settings import Settings

STOP = "stop"  # how an answer ends that its model ended


class Losses(Record):
    """Means over tokens; `train_loss` None where no training row is of the task."""

    train_loss: float | None
    eval_loss: float
    loss_per_token: float


class Epoch(Losses):
    epoch: int
    step: int
    tasks: dict[str, Losses]


class Training(Record):
    """training.json: the epochs of a run, and which of them was best by training.best_metric."""

    recipe: str
    run: str
    seed: int
    settings: Settings
    epochs: list[Epoch]
    best_epoch: int
    best_step: int
    best_eval_loss: float
    best_loss_per_token: float
    stopped_early: bool
    epochs_done: int
    steps_done: int
    steps_planned: int
    rows: dict[str, dict[str, int]]  # train, val -> "all" and each task -> rows

    @property
    def best(self) -> Epoch:
        return next(epoch for epoch in self.epochs if epoch.step == self.best_step)


class Git(Record):
    commit: str | None
    dirty: bool | None


class ModelSource(Record):
    """source.json beside a downloaded model: what it is and what it was made from."""

    name: str  # on the hub
    commit: str
    downloaded: dict[str, str]  # file -> sha256
    made: list[str]  # files that the repository lacks
    sentence: str | None  # how the weights compare with the report's


class Base(Record):
    """The model that a run started from; `source`: where it was downloaded from, if it was."""

    folder: str
    digest: str
    source: ModelSource | None = None

    @property
    def run(self) -> str | None:
        """The run whose weights these are, or None for the base model itself."""
        parts = PurePath(self.folder).parts  # results/runs/<recipe>/<run>/seed<k>/model
        return parts[3] if parts[:2] == ("results", "runs") else None


class Weights(Record):
    sha256: str
    bytes: int
    parameters: int
    trained: int | None = Field(
        default=None,
        exclude_if=lambda count: count is None,
        description="Parameters of the adapters that were trained; None: all parameters.",
    )


class DeviceFacts(Record):
    kind: str  # cpu | cuda
    name: str
    precision: str  # fp32 | bf16
    threads: int


class Provenance(Record):
    """provenance.json: what a run was made from and on."""

    recipe: str
    run: str
    seed: int
    settings: Settings
    fingerprint: str  # of settings, rows, base, code, versions and kind of device
    data: dict[str, str]  # train, val -> sha256
    base: Base
    code: str
    lock: str | None
    device: DeviceFacts
    versions: dict[str, str]
    git: Git
    rows_at_once: int  # of the batch, that were computed together
    seconds: dict[str, float]  # train: in all starts; all: in the last one
    peak_memory_mib: int
    model: Weights


class Ranked(Record):
    run: str
    value: float


class BestRun(Record):
    """A recipe's best run, its first seed, and all runs of the recipe by evaluation loss."""

    recipe: str
    run: str
    seed: int
    ranking: list[Ranked]


class BestRuns(Record):
    """best_runs.json: recipe -> its run with the lowest mean evaluation loss."""

    recipes: dict[str, BestRun]


class Answering(Record):
    """answering.json: what the answers to some rows or questions took, each counted once.

    `asked` rows or questions led to `answers` that differ in what was sent, of each `ended` (kind
    of ending) so many. Tokens and `cost` are None where they are not known. `seconds` is the sum
    over all answers, of which several were waited for at a time.
    """

    model: str
    served: list[str]
    asked: int
    answers: int
    ended: dict[str, int]
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    seconds: float
