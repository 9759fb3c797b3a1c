"""The settings of a sample, of one fine-tuning (a recipe, a run, how to train), and of an endpoint.

They come from the configuration (`config.run_settings`), stand on the command line of the stages
that train and answer, and are kept in training.json.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from workflow_scripts.records import Record

# A model is judged on test rows of databases that its training rows are about too, of databases
# that no run has seen, and of databases that another file of rows is about.
TEST_SPLITS = ("test", "unseen", "other")
SPLITS = ("val", *TEST_SPLITS, "train")  # every split of rows that a run may be asked


def setting(meaning: str, default: Any = ..., **bounds: Any) -> Any:
    """A key of the configuration. Whatever its type, one that may be left out has a default."""
    return Field(default, description=meaning, **bounds)


def _variable_name(name: Any) -> Any:
    """Raise an error that does not show what stands in the place of a variable's name: a key."""
    if name is None or (isinstance(name, str) and name.isidentifier() and name.isupper()):
        return name
    raise PydanticCustomError(
        "secret",
        "it should be the NAME of an environment variable with the key, in capitals, such as "
        "OPENAI_API_KEY; never the key itself",
    )


Text = Annotated[str, Field(min_length=1)]
Rows = Annotated[int, setting("Rows at a time.", ge=1, le=1024)]
Patience = Annotated[
    Annotated[int, Field(ge=1)] | None,
    setting("Epochs without a lower eval_loss before stopping; null: never."),
]
# On the command line of Snakemake, a number in a mapping is text.
Experiment = Annotated[
    Literal[1, 2, 3, 5],
    BeforeValidator(lambda value: int(value) if value in ("1", "2", "3", "5") else value),
]


class TextSettings(Record):
    """How text meets the model; `source_tokens` and `target_tokens` include the end token."""

    prompt: Literal["full", "own", "compact"] = setting(
        "full: cut at source_tokens. own: no constant part. compact: own, on one line."
    )
    source_tokens: int = setting("Source tokens kept.", ge=1, le=8192)
    target_tokens: int = setting("Target tokens kept.", ge=1, le=4096)
    tokenizer: Literal["stock", "lossless"] = setting(
        "stock: the model's. lossless: every target survives."
    )
    padding_in_loss: bool = setting("Whether padding counts in the loss (as in the notebooks).")
    generate_tokens: int = setting("Limit of an answer in tokens.", ge=1, le=4096)


class Recipe(TextSettings):
    """Nothing but settings; no code asks for its name."""

    name: str


class TrainedRun(Record):
    """What a training needs of a run; `learning_rate` is before `learning_rate_scale`."""

    experiment: Experiment = setting("The report's, 1 to 3; 5 is one of ours.")
    sampling: Literal["natural", "balanced"] = setting("The mix as it is, or tasks equally.")
    rows: int = setting("Rows drawn for training and validation together.", ge=2)
    batch_size: int = setting("Rows in an optimiser step.", ge=1, le=4096)
    learning_rate: float = setting("AdamW's peak, before the scale; 0: no change.", ge=0, le=1)
    epochs: int = setting("At most.", ge=1, le=1000)
    patience: Patience
    sources: Literal["own", "other"] = setting(
        "other: each row has the source of another row of its task.", "own"
    )


class RunSettings(TrainedRun):
    name: str


class TrainingSettings(Record):
    """What all runs share: the section `training` of the configuration."""

    learning_rate_scale: float = setting("Times every run's learning rate.", gt=0, le=1000)
    scheduler: Literal["linear", "cosine", "constant"] = setting("Course of the learning rate.")
    warmup_steps: int = setting("Optimiser steps.", ge=0)
    weight_decay: float = setting("AdamW's.", ge=0, le=1)
    max_grad_norm: float = setting("Gradients are clipped to this norm.", gt=0)
    rows_at_once: Annotated[int, Field(ge=1)] | None = setting(
        "Rows of a batch that are computed together; null: all that a GPU has room for.", None
    )
    eval_batch_size: Rows
    log_every: int = setting("Optimiser steps in a point of the training loss.", ge=1)
    best_metric: Literal["eval_loss", "loss_per_token"] = setting("Its lowest chooses the epoch.")


class SampleSettings(Record):
    """How one sample is drawn and split.

    `draw` numbers the samples that one seed gives, so that two runs can have different rows.
    """

    sampling: Literal["natural", "balanced"]  # at random, or as many rows of each task
    rows: int = Field(ge=2)
    split: Literal["row", "group", "database"] = "row"  # what stays on one side
    validation_share: float = Field(default=0.2, gt=0, lt=1)
    draw: int = 1
    seed: int = 42


class Lora(Record):
    """Adapters of low rank that are trained in place of the weights (Hu et al. 2021)."""

    rank: int = setting("Of the adapters.", ge=1, le=1024)
    alpha: float = setting("What the adapters add is scaled by alpha / rank.", gt=0)
    dropout: float = setting("Before the adapters.", ge=0, lt=1)
    targets: Annotated[list[str], Field(min_length=1)] | None = setting(
        "Names of the layers that get one; null: all linear layers but the last."
    )


class ModelSettings(Record):
    """What kind of model is trained, and how it is held in memory while it is."""

    architecture: Literal["encoder-decoder", "causal"] = setting("The base's.", "encoder-decoder")
    lora: Lora | None = setting("Train adapters; null: the weights. Only with causal.", None)
    gradient_checkpointing: bool = setting("Compute activations again, not keep them.", False)


class Settings(Record):
    """All that decides a fine-tuning besides its rows and its first weights."""

    recipe: Recipe
    run: RunSettings
    training: TrainingSettings
    seed: int
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal["auto", "fp32", "bf16"]
    model: ModelSettings = ModelSettings()

    @property
    def learning_rate(self) -> float:
        return self.run.learning_rate * self.training.learning_rate_scale


class Prices(Record):
    """For a million tokens, in any currency."""

    input: float = setting("Of prompts.", ge=0)
    output: float = setting("Of answers.", ge=0)

    def of(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class EndpointKeys(Record):
    """A model behind OpenAI's API."""

    base_url: str = setting(
        "The server, with http:// or https://; usually ends in /v1.",
        pattern=r"^https?://[^\s@?#]+$",
    )
    model: Text = setting("The model's name, as the server knows it.")
    key: Annotated[str | None, BeforeValidator(_variable_name)] = setting(
        "NAME of the environment variable with the key, such as OPENAI_API_KEY; never the key "
        "itself. null: none is sent.",
        None,
    )
    at_once: int = setting("Requests in flight at most.", 4, ge=1, le=256)
    temperature: float | None = setting("0: the likeliest; null: not sent.", 0, ge=0, le=2)
    answer_tokens: int = setting("Most tokens of an answer.", 1024, ge=1, le=1_000_000)
    limit_name: Literal["max_completion_tokens", "max_tokens"] = setting(
        "The server's name for that limit; older servers know max_tokens alone.",
        "max_completion_tokens",
    )
    timeout: float = setting("Seconds for one answer.", 120, gt=0, le=36_000)
    retries: int = setting("Attempts after the first, with growing waits.", 8, ge=0, le=1000)
    prices: Prices | None = setting("Of a million tokens; null: nothing is counted.", None)
    budget: float | None = setting("Most that all its answers may cost; null: any.", None, gt=0)


class Endpoint(EndpointKeys):
    """An entry of `models:` that is asked over OpenAI's API."""

    name: str

    @property
    def folder(self) -> str:
        """Where its answers are kept: like a download, they outlive results/."""
        return f"resources/downloads/answers/{self.name}"

    def place(self, key: str) -> str:
        """Where a setting stands in the configuration, for messages."""
        return f"models.{self.name}.endpoint.{key}"

    def request(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        """What is sent: all that decides an answer besides the server."""
        request = {"model": self.model, "messages": messages, self.limit_name: self.answer_tokens}
        if self.temperature is None:
            return request
        whole = int(self.temperature)  # 0 and not 0.0, so that kept answers stay valid
        return request | {"temperature": whole if whole == self.temperature else self.temperature}
