"""Answer rows with a model behind a server that speaks OpenAI's API; each answer is kept.

Prompts go whole, with their worked examples, as MAC-SQL sends them. An answer is a file named by
the digest of its request (model, messages, parameters): nothing is asked twice, and a run that is
killed loses only what was in flight. The `openai` library tries again after errors of the
connection, time-outs, 408, 409, 429 and 5xx, with growing waits or when `Retry-After` says.
"""

import asyncio
import contextlib
import json
import os
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import httpx2
import openai
from pydantic import BaseModel, Field, ValidationError
from tqdm import tqdm

from workflow_scripts.artifacts.parquet import read_rows, write_rows
from workflow_scripts.artifacts.tables import BoundedPrediction, Row
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import digest_of
from workflow_scripts.formats.prompts import from_source
from workflow_scripts.locks import take
from workflow_scripts.records import Record
from workflow_scripts.runs import STOP, Answering
from workflow_scripts.settings import Endpoint
from workflow_scripts.stage import Input, Output, Setting, run_stage

LONGEST_WAIT = 7 * 24 * 3600.0  # seconds for another process that asks the same endpoint


class Answered(Record):
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
    """What is read of a chat completion: less than the library's own type asks of a server."""

    choices: list[Choice] = Field(min_length=1)
    model: str | None = None
    usage: Usage | None = None


class Client:
    """An endpoint and the `folder` that keeps its answers and its ledger."""

    def __init__(self, endpoint: Endpoint, folder: Path):
        self.endpoint, self.folder = endpoint, folder

    def answers(self, conversations: Sequence[list[dict[str, str]]]) -> list[Answered]:
        """One answer per conversation, in order; equal ones are asked once.

        Raises EssenceError naming the key of the configuration when the endpoint cannot be asked,
        gives up answering or would pass its budget. What was answered before is kept.
        """
        requests = {}
        for messages in conversations:
            request = self.endpoint.request(messages)
            requests[digest_of(request)] = request
        if self._missing(requests):
            with take(self.folder / "lock", f"the endpoint {self.endpoint.name}", LONGEST_WAIT):
                asyncio.run(self._ask(self._missing(requests)))
        answered = {key: Answered.read(self._file(key)) for key in requests}
        return [answered[digest_of(self.endpoint.request(each))] for each in conversations]

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _missing(self, requests: dict[str, dict]) -> dict[str, dict]:
        return {key: each for key, each in requests.items() if not self._file(key).is_file()}

    async def _ask(self, missing: dict[str, dict]) -> None:
        """Answer and keep all of them, `at_once` at a time.

        After a failure no more are begun, and those in flight are waited for.
        """
        endpoint, places = self.endpoint, asyncio.Semaphore(self.endpoint.at_once)
        failures: list[EssenceError] = []
        transport = Transport(endpoint, self.folder / "ledger.jsonl")
        library = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=key_of(endpoint) or "none",
            timeout=endpoint.timeout,
            max_retries=endpoint.retries,
            http_client=transport,
        )

        async def ask(key: str, request: dict) -> None:
            async with places:
                if failures:
                    return
                try:
                    raw = await library.chat.completions.with_raw_response.create(**request)
                    read_answer(raw, request, endpoint).write(self._file(key))
                except EssenceError as error:
                    failures.append(error)
                except openai.OpenAIError as error:
                    failures.append(EssenceError(error_message(error, endpoint)))
                else:
                    progress.set_postfix(spent=f"{transport.spent:.4g}", refresh=False)
                    progress.update()

        with tqdm(desc=f"asking {endpoint.name}", total=len(missing), mininterval=5) as progress:
            async with library:
                await asyncio.gather(*(ask(*each) for each in missing.items()))
        if failures:
            raise failures[0]


def read_answer(raw: Any, request: dict[str, Any], endpoint: Endpoint) -> Answered:
    """Raises EssenceError when the server has passed over the limit of tokens."""
    reply, limit = Reply.model_validate_json(raw.content), endpoint.answer_tokens
    choice, usage = reply.choices[0], reply.usage
    if usage and usage.completion_tokens > limit:
        raise EssenceError(
            f"{endpoint.place('answer_tokens')} is {limit:,}, but an answer has "
            f"{usage.completion_tokens:,}: the server does not know the limit as "
            f"{endpoint.limit_name}. Set {endpoint.place('limit_name')} to its other name."
        )
    refusal = choice.message.refusal
    return Answered(
        request=request,
        text=refusal or choice.message.content or "",
        finish="refusal" if refusal else choice.finish_reason or "unknown",
        input_tokens=usage and usage.prompt_tokens,
        output_tokens=usage and usage.completion_tokens,
        seconds=round(raw.elapsed.total_seconds(), 3),
        served=reply.model,
    )


class Transport(openai.DefaultAsyncHttpxClient):
    """What the library sends each attempt through: with a hard budget and a time limit.

    The ledger is a file with what each attempt costs: at most, before it is sent, and then what it
    did cost. One without a second line (killed in flight, half an answer, a time-out) counts at its
    most expensive, because the server may have charged it. Without prices nothing is written.
    """

    def __init__(self, endpoint: Endpoint, ledger: Path):
        super().__init__()
        self.endpoint, self.ledger, self.in_flight = endpoint, ledger, 0
        self.costs: dict[int, float] = {}  # attempt -> cost, or the most that it can be
        for text in ledger.read_text(encoding="utf-8").split("\n") if ledger.is_file() else ():
            with contextlib.suppress(json.JSONDecodeError):  # torn by a kill
                line = json.loads(text)
                self.costs[line["attempt"]] = line.get("cost", line.get("worst"))

    @property
    def spent(self) -> float:
        return sum(self.costs.values())

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send an attempt. What is no chat completion is an error that the library tries again."""
        attempt, cost = await self._begin(len(request.content)), None
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                response = await super().send(request, **options)
            cost = 0.0 if response.is_error else self._cost(response)
            return response
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            cost = 0.0  # nothing was sent
            raise
        except TimeoutError:
            raise httpx2.ReadTimeout("no whole answer in time", request=request) from None
        finally:
            self.in_flight -= 1
            if cost is not None:
                self._note(attempt, cost=cost)

    async def _begin(self, size: int) -> int:
        """Number an attempt, as soon as it fits into the budget beside those in flight.

        No tokenizer makes more tokens than the `size` in bytes. Raises EssenceError when the
        attempt does not fit even by itself.
        """
        prices, budget = self.endpoint.prices, self.endpoint.budget
        worst = prices.of(size, self.endpoint.answer_tokens) if prices else 0.0
        while budget is not None and self.spent + worst > budget:
            if not self.in_flight:
                raise EssenceError(
                    f"{self.endpoint.place('budget')} is {budget:g}, of which {self.spent:.4g} is "
                    f"spent; the next request may cost {worst:.2g}. What was answered is kept: "
                    "raise the budget and run the same command again."
                )
            await asyncio.sleep(0.05)
        self.in_flight += 1
        attempt = len(self.costs)
        self._note(attempt, worst=worst)
        return attempt

    def _cost(self, response: httpx2.Response) -> float | None:
        """None where it is not known. Raises RemoteProtocolError for what is no completion."""
        try:
            reply = Reply.model_validate_json(response.content)
        except ValidationError:
            text = " ".join(response.text.split())[:80]
            raise httpx2.RemoteProtocolError(f"no chat completion: {text!r}") from None
        prices, usage = self.endpoint.prices, reply.usage
        return prices.of(usage.prompt_tokens, usage.completion_tokens) if prices and usage else None

    def _note(self, attempt: int, **cost: float) -> None:
        (self.costs[attempt],) = cost.values()
        if self.endpoint.prices:
            # The newline comes first: a line that a kill has torn does not spoil the next one.
            with open(self.ledger, "a", encoding="utf-8") as file:
                file.write("\n" + json.dumps({"attempt": attempt, **cost}))


def key_of(endpoint: Endpoint) -> str | None:
    """From the environment. Raises EssenceError where the variable holds no key.

    What no header can carry is refused here: the library would print it, key and all.
    """
    if not endpoint.key:
        return None
    key = os.environ.get(endpoint.key, "").strip()
    if key and key.isascii() and key.isprintable():
        return key
    wrong = "is not a valid key (a line break, or letters beyond ASCII)" if key else "is not set"
    raise EssenceError(
        f"{endpoint.place('key')} names the environment variable {endpoint.key}, which {wrong}. "
        f"Set it and run the same command again: export {endpoint.key}=..."
    )


def error_message(error: openai.OpenAIError, endpoint: Endpoint) -> str:
    """Say which key of the configuration to look at, and the cure. The API key is hidden."""
    status = getattr(error, "status_code", 0)
    words = f"{status}: {error.response.text}" if status else str(error.__cause__ or error)
    if key := key_of(endpoint):
        words = words.replace(key, f"${endpoint.key}")  # some servers repeat what they were sent
    words = textwrap.shorten(words, 240, placeholder=" ...")
    url, times = endpoint.base_url, f"{endpoint.retries + 1} times"
    if status in (401, 403):
        setting, text = "key", "refuses the key in this environment variable"
    elif status == 404:
        setting = "model"
        text = f"does not know it (see {url}/models), or does not end in /v1 as it usually should"
    elif status == 429:
        setting, text = "at_once", "still says too many requests, or no credit: lower it, or wait"
    elif 400 <= status < 500:
        setting, text = "base_url", "refuses a request"
    elif isinstance(error, openai.APITimeoutError):
        setting = "timeout"
        text = f"gave no whole answer in as many seconds, {times}: raise it, or lower at_once"
    else:
        setting, text = "base_url", f"no answer, {times}"
    value = getattr(endpoint, setting)
    return (
        f"{endpoint.place(setting)} is {value}: {url} {text} ({words}). What was answered is kept: "
        "run the same command again."
    )


def answering(endpoint: Endpoint, answers: Iterable[Answered], asked: int) -> Answering:
    """Sum up what the answers to `asked` rows or questions took; equal ones are counted once."""
    distinct = {digest_of(each.request): each for each in answers}.values()

    def total(counts: Sequence[int | None]) -> int | None:
        return None if None in counts else sum(counts)

    read = total([each.input_tokens for each in distinct])
    written = total([each.output_tokens for each in distinct])
    known = endpoint.prices is not None and None not in (read, written)
    return Answering(
        model=endpoint.model,
        served=sorted({each.served for each in distinct if each.served}),
        asked=asked,
        answers=len(distinct),
        ended=dict(sorted(Counter(each.kind for each in distinct).items())),
        input_tokens=read,
        output_tokens=written,
        cost=endpoint.prices.of(read, written) if known else None,
        seconds=round(sum(each.seconds for each in distinct), 3),
    )


def messages_of(row: Row) -> list[dict[str, str]]:
    """The system message of the row, if it has one, and the user message."""
    user, system = from_source(row.source)
    head = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": user}]


def answer_rows(
    endpoint: Annotated[Endpoint, Setting("the endpoint's settings as JSON, or a file with them")],
    answers: Annotated[Path, Setting("folder that keeps every answer of the endpoint")],
    out: Annotated[Path, Output("predictions.parquet, as model/predict.py writes it")],
    summary: Annotated[Path, Output("answering.json: tokens, cost, seconds")],
    test: Annotated[Path | None, Input("rows of the split test")] = None,
    unseen: Annotated[Path | None, Input("rows of the split unseen")] = None,
    other: Annotated[Path | None, Input("rows of the split other")] = None,
) -> None:
    """Raises EssenceError when no rows are given, or as `Client.answers` does."""
    splits = {"test": test, "unseen": unseen, "other": other}
    rows = [(name, row) for name, file in splits.items() if file for row in read_rows(Row, file)]
    if not rows:
        raise EssenceError("nothing to answer: give rows with --test, --unseen or --other")
    answered = Client(endpoint, answers).answers([messages_of(row) for _, row in rows])
    inputs: dict[str, int] = {}
    predictions = [
        BoundedPrediction(
            split=split,
            idx=row.idx,
            task=row.task,
            db_id=row.db_id,
            question=row.question,
            gold=row.target,
            gold_decoded=row.target,
            prediction=answer.text,
            prediction_tokens=answer.output_tokens or 0,
            cut=answer.finish != STOP,  # it did not end by itself
            input=inputs.setdefault(digest_of(answer.request), len(inputs)),
            reachable=True,  # its tokenizer can write any text
        )
        for (split, row), answer in zip(rows, answered, strict=True)
    ]
    write_rows(out, BoundedPrediction, predictions)
    answering(endpoint, answered, len(rows)).write(summary)


if __name__ == "__main__":
    run_stage(answer_rows)
