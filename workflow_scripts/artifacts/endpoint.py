"""An endpoint: a model behind a server that speaks OpenAI's API, and what it answered.

Money is in the currency of the prices that are set.
"""

from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from workflow_scripts.artifacts.base import Artifact
from workflow_scripts.artifacts.settings import Number

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}
STOP = "stop"  # how an answer ends that its model ended


class Prices(Artifact):
    """For a million tokens."""

    input: Number
    output: Number

    def of(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class Endpoint(Artifact):
    """An entry of `models:` in the configuration; rules/config.schema.yaml explains the keys."""

    name: str
    base_url: str
    model: str
    key: str | None = None  # the name of an environment variable, never the key itself
    at_once: PositiveInt = 4
    temperature: Number | None = 0
    answer_tokens: PositiveInt = 1024
    limit_name: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    timeout: Number = 120
    retries: NonNegativeInt = 8
    prices: Prices | None = None
    budget: Number | None = None

    @property
    def folder(self) -> str:
        """Where its answers are kept: like a download, they outlive results/."""
        return f"resources/downloads/answers/{self.name}"

    def place(self, key: str) -> str:
        """Where a setting stands in the configuration, for messages."""
        return f"models.{self.name}.endpoint.{key}"

    def request(self, messages: list[Message]) -> dict[str, Any]:
        """What is sent: all that decides an answer besides the server."""
        request = {"model": self.model, "messages": messages, self.limit_name: self.answer_tokens}
        return request | ({} if self.temperature is None else {"temperature": self.temperature})


class Answered(Artifact):
    """One answer, as it is kept.

    `finish`: why it ended, in the server's words ("stop", "length", "content_filter"), or
    "refusal". Tokens are None where the server does not count them. `seconds` are those of the
    attempt that was answered; `served` is what the server calls its model.
    """

    request: dict[str, Any]
    text: str
    finish: str
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    served: str | None

    @property
    def kind(self) -> str:
        """ "stop" only where the model said something and ended it."""
        return "empty" if self.finish == STOP and not self.text.strip() else self.finish


class Answering(Artifact):
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
