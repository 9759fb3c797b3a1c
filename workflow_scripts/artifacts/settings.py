"""The settings of one fine-tuning: a recipe, a run, how to train, and the seed.

They come from the configuration (`config.run_settings`), stand on the command line of the stages
that train and answer, and are kept in training.json.
"""

from typing import Literal

from pydantic import Field, PositiveInt

from workflow_scripts.artifacts.base import Artifact

LONGEST_WINDOW = 50  # steps between two looks at the loss: a run that broke must not go on
Number = int | float  # kept as it was written: 10 stays 10


class Origin(Artifact):
    """origin.json: the rows and the base model that results come from, in words."""

    rows: str
    model: str


class Recipe(Artifact):
    """How text meets the model: nothing but settings; no code asks for its name.

    `source_tokens` and `target_tokens` include the end token; `generate_tokens` is the limit on
    new tokens in an answer.
    """

    name: str
    prompt: Literal["full", "own", "compact"]
    source_tokens: PositiveInt
    target_tokens: PositiveInt
    tokenizer: Literal["stock", "lossless"]
    padding_in_loss: bool
    generate_tokens: PositiveInt


class RunSettings(Artifact):
    """One run of the configuration; `learning_rate` is before `learning_rate_scale`.

    `sources`: own, or other: each row is given the source of another row of its task.
    """

    name: str
    experiment: int
    sampling: str
    rows: PositiveInt
    batch_size: PositiveInt
    learning_rate: Number
    epochs: PositiveInt
    patience: int | None
    sources: Literal["own", "other"] = "own"


class TrainingSettings(Artifact):
    """How every run is trained; see rules/config.schema.yaml for what each key means."""

    learning_rate_scale: Number
    scheduler: str
    warmup_steps: int
    weight_decay: Number
    max_grad_norm: Number
    eval_batch_size: PositiveInt
    log_every: PositiveInt
    checkpoint_steps: PositiveInt | None = Field(
        default=None,
        exclude_if=lambda steps: steps is None,
        description="Steps between checkpoints within an epoch; None: each epoch's end alone.",
    )
    best_metric: Literal["eval_loss", "loss_per_token"] = Field(
        description="Its minimum decides which epoch's weights are kept."
    )


class Lora(Artifact):
    """Adapters of low rank that are trained in place of the weights (Hu et al. 2021)."""

    rank: PositiveInt
    alpha: Number = Field(description="What the adapters add is scaled by alpha / rank.")
    dropout: Number
    targets: list[str] | None = Field(
        description="Names of layers; None: all linear layers but the last."
    )


class ModelSettings(Artifact):
    """What kind of model is trained, and how it is held in memory while it is."""

    architecture: Literal["encoder-decoder", "causal"] = "encoder-decoder"
    lora: Lora | None = None
    gradient_checkpointing: bool = False
    load_4bit: bool = False
    liger: bool = False


PLAIN_MODEL = ModelSettings()


class Settings(Artifact):
    """All that decides a fine-tuning besides its rows and its first weights."""

    recipe: Recipe
    run: RunSettings
    training: TrainingSettings
    seed: int
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "fp32", "bf16"]
    model: ModelSettings = Field(default=PLAIN_MODEL, exclude_if=lambda model: model == PLAIN_MODEL)

    @property
    def learning_rate(self) -> float:
        return self.run.learning_rate * self.training.learning_rate_scale

    @property
    def log_every(self) -> int:
        return min(self.training.log_every, LONGEST_WINDOW)
