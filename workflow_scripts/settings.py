"""The settings of one fine-tuning: a recipe, a run, how to train, and the seed.

They come from the configuration (`config.run_settings`), stand on the command line of the stages
that train and answer, and are kept in training.json.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AllowInfNan, Field, PositiveInt

from workflow_scripts.records import Record

Number = Annotated[float, AllowInfNan(False)]


def setting(meaning: str, default: Any = ..., **bounds: Any) -> Any:
    """A key of the configuration. Whatever its type, one that may be left out has a default."""
    return Field(default, description=meaning, **bounds)


Text = Annotated[str, Field(min_length=1)]
Rows = Annotated[int, setting("Rows at a time.", ge=1, le=1024)]


class Origin(Record):
    """origin.json: the rows and the base model that results come from, in words."""

    rows: str
    model: str


class Recipe(Record):
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


class RunSettings(Record):
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


class TrainingSettings(Record):
    """What all runs share: the section `training` of the configuration."""

    learning_rate_scale: Number = setting("Times every run's learning rate.", gt=0, le=1000)
    scheduler: Literal["linear", "cosine", "constant"] = setting("Course of the learning rate.")
    warmup_steps: int = setting("Optimiser steps.", ge=0)
    weight_decay: Number = setting("AdamW's.", ge=0, le=1)
    max_grad_norm: Number = setting("Gradients are clipped to this norm.", gt=0)
    eval_batch_size: Rows
    log_every: int = setting("Optimiser steps in a point of the training loss.", ge=1)
    best_metric: Literal["eval_loss", "loss_per_token"] = setting("Its lowest chooses the epoch.")


class Lora(Record):
    """Adapters of low rank that are trained in place of the weights (Hu et al. 2021)."""

    rank: int = setting("Of the adapters.", ge=1, le=1024)
    alpha: Number = setting("What the adapters add is scaled by alpha / rank.", gt=0)
    dropout: Number = setting("Before the adapters.", ge=0, lt=1)
    targets: Annotated[list[str], Field(min_length=1)] | None = setting(
        "Names of the layers that get one; null: all linear layers but the last."
    )


class ModelSettings(Record):
    """What kind of model is trained, and how it is held in memory while it is."""

    architecture: Literal["encoder-decoder", "causal"] = setting("The base's.", "encoder-decoder")
    lora: Lora | None = setting("Train adapters; null: the weights. Only with causal.", None)
    gradient_checkpointing: bool = setting("Compute activations again, not keep them.", False)
    load_4bit: bool = setting("Hold the base in 4 bits (bitsandbytes) under adapters.", False)
    liger: bool = setting("Kernels of liger-kernel: decoder-only models on a GPU.", False)


PLAIN_MODEL = ModelSettings()


class Settings(Record):
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


class Prices(Record):
    """For a million tokens, in any currency."""

    input: Number = setting("Of prompts.", ge=0)
    output: Number = setting("Of answers.", ge=0)

    def of(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class EndpointKeys(Record):
    """A model behind OpenAI's API."""

    base_url: str = setting(
        "The server, with http:// or https://; usually ends in /v1.",
        pattern=r"^https?://[^\s@?#]+$",
    )
    model: Text = setting("The model's name, as the server knows it.")
    key: str | None = setting(
        "NAME of the environment variable with the key, such as OPENAI_API_KEY; never the key "
        "itself. null: none is sent.",
        None,
        pattern="^[A-Z_][A-Z0-9_]*$",
        json_schema_extra={"writeOnly": True},  # what stands here by mistake is not shown
    )
    at_once: int = setting("Requests in flight at most.", 4, ge=1, le=256)
    temperature: Number | None = setting("0: the likeliest; null: not sent.", 0, ge=0, le=2)
    answer_tokens: int = setting("Most tokens of an answer.", 1024, ge=1, le=1_000_000)
    limit_name: Literal["max_completion_tokens", "max_tokens"] = setting(
        "The server's name for that limit; older servers know max_tokens alone.",
        "max_completion_tokens",
    )
    timeout: Number = setting("Seconds for one answer.", 120, gt=0, le=36_000)
    retries: int = setting("Attempts after the first, with growing waits.", 8, ge=0, le=1000)
    prices: Prices | None = setting("Of a million tokens; null: nothing is counted.", None)
    budget: Number | None = setting("Most that all its answers may cost; null: any.", None, gt=0)

    def faults(self, key: str) -> Iterator[str]:
        if self.budget and not self.prices:
            yield (
                f"{key}.budget is set, but {key}.prices is not. Set the prices of a million "
                "tokens: {input: ..., output: ...}."
            )


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
