"""One attempt at a request: counted, bounded in time, and failed when its answer is no answer.

The `openai` library tries again after errors of the connection, time-outs, 408, 409, 429 and 5xx,
with back-off and jitter or when `Retry-After` says. What it lacks is here: an answer that is not
JSON or not of the API's shape is an error of the connection like half an answer, a body that
trickles does not outlast the time limit, and each attempt is entered in the ledger.
"""

import asyncio
import time
from typing import Any

import httpx2
from openai import DefaultAsyncHttpxClient
from pydantic import BaseModel, Field, ValidationError

from workflow_scripts.endpoint.ledger import Attempt, Ledger

SHOWN = 80  # characters of what came in place of an answer, in a message


class Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    message: Message
    finish_reason: str | None = None


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class Reply(BaseModel):
    """What is read of a chat completion."""

    choices: list[Choice] = Field(min_length=1)
    model: str | None = None
    usage: Usage | None = None


class Wire(DefaultAsyncHttpxClient):
    """The HTTP client that the library sends through; `faults` counts the attempts that failed."""

    def __init__(self, ledger: Ledger):
        super().__init__()
        self.ledger, self.faults = ledger, 0

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """A response that is an error of HTTP, or holds a `Reply` and the `seconds` it took.

        Raises OverBudget, and httpx2.RequestError where the attempt may be repeated.
        """
        try:
            async with self.ledger.attempt(request.content) as attempt:
                response = await self._send(attempt, request, **options)
        except httpx2.RequestError:
            self.faults += 1
            raise
        self.faults += response.is_error
        return response

    async def _send(
        self, attempt: Attempt, request: httpx2.Request, **options: Any
    ) -> httpx2.Response:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.ledger.endpoint.timeout):
                response = await super().send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            attempt.cost = 0.0  # nothing was sent
            raise
        except TimeoutError:
            raise httpx2.ReadTimeout("no whole answer in time", request=request) from None
        if response.is_error:
            attempt.cost = 0.0
            return response
        usage, prices = _reply(response).usage, self.ledger.endpoint.prices
        if usage and prices:
            attempt.cost = prices.of(usage.prompt_tokens, usage.completion_tokens)
        response.extensions["seconds"] = time.perf_counter() - started
        return response


def _reply(response: httpx2.Response) -> Reply:
    try:
        return Reply.model_validate_json(response.content)
    except ValidationError:
        said = " ".join(response.text.split())[:SHOWN]
        raise httpx2.RemoteProtocolError(
            f"what came is no chat completion: {said!r}", request=response.request
        ) from None
