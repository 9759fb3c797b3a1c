"""pretrain.json beside the stand-in model: how it was made, and what it was measured to do."""

from pydantic import PositiveInt

from workflow_scripts.artifacts.base import Artifact


class PretrainingSettings(Artifact):
    """`steps` are those of one cycle: each warms up and decays anew, from the weights before.

    `free_rows` are unused rows of the embedding; `measure` questions are asked of each kind.
    """

    seed: int = 7
    cycles: PositiveInt = 2
    steps: PositiveInt = 5000
    batch_size: PositiveInt = 32
    learning_rate: float = 1e-3
    warmup_steps: PositiveInt = 300
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    source_tokens: PositiveInt = 448
    target_tokens: PositiveInt = 128
    vocabulary: PositiveInt = 3200
    vocabulary_examples: PositiveInt = 20_000
    free_rows: int = 40
    threads: PositiveInt = 2
    log_every: PositiveInt = 50
    measure: PositiveInt = 300


class Accuracy(Artifact):
    """Shares of `n` questions; `low` and `high` are the 95% Wilson interval of the first."""

    execution_accuracy: float
    low: float
    high: float
    exact_match: float
    n: int


class Measured(Artifact):
    """Layout of the input (see data/twin/layouts.py) -> databases -> accuracy."""

    compact: dict[str, Accuracy]
    original: dict[str, Accuracy]


class MeanLoss(Artifact):
    """Mean loss per target token of the steps up to this one, since the last entry."""

    step: int
    loss: float


class Pretraining(Artifact):
    settings: PretrainingSettings
    shape: dict[str, int]  # keys of T5Config
    parameters: int
    tokens: int
    embedding_rows: int
    examples: int
    history: list[MeanLoss]
    measured: Measured
