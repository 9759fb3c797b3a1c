"""Answer rows with a model behind a server that speaks OpenAI's API; each answer is kept.

An answer is a file named by the digest of its request (model, messages, parameters): nothing is
asked twice, and a run that is killed loses only what was in flight. The `openai` library tries
again after errors of the connection, time-outs, 408, 409, 429 and 5xx.
"""

import asyncio
import contextlib
import math
import os
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import httpx2
import openai
import pandas as pd
from tqdm.asyncio import tqdm

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import digest_of
from workflow_scripts.formats.prompts import from_source
from workflow_scripts.locks import take
from workflow_scripts.records import Record
from workflow_scripts.runs import STOP, Answering
from workflow_scripts.settings import Endpoint, Prices
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import PREDICTIONS, ROWS, read_table, write_table

FREE = Prices(input=0, output=0)
LONGEST_WAIT = 7 * 24 * 3600.0  # seconds for another process that asks the same endpoint


class Answer(Record):
    """One answer, as it is kept; tokens are None where the server does not count them.

    `finish`: why it ended, in the server's words ("stop", "length"), or "refusal". `seconds` of the
    attempt that was answered; `served`: the server's name for its model.
    """

    request: dict[str, Any]
    text: str
    finish: str
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    served: str | None


class Client:
    """An endpoint and the `folder` that keeps its answers and its ledger."""

    def __init__(self, endpoint: Endpoint, folder: Path):
        self.endpoint, self.folder = endpoint, folder

    def answers(self, conversations: Sequence[list[dict[str, str]]]) -> list[Answer]:
        """Give one answer per conversation, in order; equal ones are asked once.

        Raises EssenceError naming a key of the configuration; what was answered before is kept.
        """
        requests = [self.endpoint.request(messages) for messages in conversations]
        files = [self.folder / f"{digest_of(request)}.json" for request in requests]
        if not all(file.is_file() for file in files):
            with take(self.folder / "lock", f"the endpoint {self.endpoint.name}", LONGEST_WAIT):
                asyncio.run(self._ask(dict(zip(files, requests, strict=True))))
        answers = {file: Answer.read(file) for file in set(files)}
        return [answers[file] for file in files]

    async def _ask(self, requests: dict[Path, dict[str, Any]]) -> None:
        """Answer what is not kept; after a failure no more are begun, and those in flight end."""
        endpoint, places = self.endpoint, asyncio.Semaphore(self.endpoint.at_once)
        failures: list[Exception] = []
        library = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=key_of(endpoint) or "none",
            timeout=endpoint.timeout,
            max_retries=endpoint.retries,
            http_client=Transport(endpoint, self.folder / "ledger.txt"),
        )

        async def ask(file: Path, request: dict[str, Any]) -> None:
            async with places:
                if failures or file.is_file():
                    return
                try:
                    raw = await library.chat.completions.with_raw_response.create(**request)
                    read_answer(raw, request, endpoint).write(file)
                except (EssenceError, openai.OpenAIError) as error:
                    failures.append(error)

        async with library:
            tasks = [ask(*each) for each in requests.items()]
            await tqdm.gather(*tasks, desc=f"asking {endpoint.name}", mininterval=5)
        for failure in failures:
            if isinstance(failure, openai.OpenAIError):
                raise EssenceError(error_message(failure, endpoint)) from failure
            raise failure


def read_answer(raw: Any, request: dict[str, Any], endpoint: Endpoint) -> Answer:
    """Raises EssenceError when the server has passed over the limit of tokens."""
    reply, limit = read_reply(raw.http_response), endpoint.answer_tokens
    choice, usage = reply["choices"][0], reply.get("usage") or {}
    written, refusal = usage.get("completion_tokens"), choice["message"].get("refusal")
    if written is not None and written > limit:
        raise EssenceError(
            f"{endpoint.place('answer_tokens')} is {limit:,}, but an answer has {written:,}: the "
            f"server does not know the limit as {endpoint.limit_name}. Set "
            f"{endpoint.place('limit_name')} to its other name."
        )
    return Answer(
        request=request,
        text=refusal or choice["message"].get("content") or "",
        finish="refusal" if refusal else choice.get("finish_reason") or "unknown",
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=written,
        seconds=round(raw.elapsed.total_seconds(), 3),
        served=reply.get("model"),
    )


def read_reply(response: httpx2.Response) -> dict[str, Any]:
    """Raises RemoteProtocolError, which the library tries again, for what is no chat completion."""
    with contextlib.suppress(ValueError, LookupError, TypeError):
        reply = response.json()
        if isinstance(reply["choices"][0]["message"], dict):
            return reply
    text = " ".join(response.text.split())[:80]
    raise httpx2.RemoteProtocolError(f"no chat completion: {text!r}")


class Transport(openai.DefaultAsyncHttpxClient):
    """What the library sends each attempt through: with a hard budget and a time limit.

    The lines of the ledger add up to what was spent: an attempt at its most expensive before it is
    sent, then what of that it did not cost. One that was killed or has no answer counts in full.
    """

    def __init__(self, endpoint: Endpoint, ledger: Path):
        super().__init__()
        self.endpoint, self.ledger, self.in_flight, self.spent = endpoint, ledger, 0, 0.0
        for line in ledger.read_text(encoding="utf-8").split() if ledger.is_file() else ():
            with contextlib.suppress(ValueError):  # torn by a kill
                self.spent += float(line)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Raises EssenceError for an attempt that does not fit into the budget even by itself."""
        endpoint = self.endpoint
        prices, budget = endpoint.prices or FREE, endpoint.budget or math.inf
        # No tokenizer makes more tokens than there are bytes.
        cost = worst = prices.of(len(request.content), endpoint.answer_tokens)
        while self.spent + worst > budget:
            if not self.in_flight:
                raise EssenceError(
                    f"{endpoint.place('budget')} is {budget:g}, of which {self.spent:.4g} is "
                    f"spent; the next request may cost {worst:.2g}. What was answered is kept: "
                    "raise the budget and run the same command again."
                )
            await asyncio.sleep(0.05)  # until those in flight have cost less than they may
        self._spend(worst)
        self.in_flight += 1
        try:
            async with asyncio.timeout(endpoint.timeout):
                response = await super().send(request, **options)
            if response.is_error:
                cost = 0.0
            elif usage := read_reply(response).get("usage"):
                cost = prices.of(usage["prompt_tokens"], usage["completion_tokens"])
            return response
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            cost = 0.0  # nothing was sent
            raise
        except TimeoutError:
            raise httpx2.ReadTimeout("no whole answer in time", request=request) from None
        finally:
            self.in_flight -= 1
            self._spend(cost - worst)

    def _spend(self, amount: float) -> None:
        if amount:
            self.spent += amount
            # The newline comes first: a line that a kill has torn does not spoil the next one.
            with open(self.ledger, "a", encoding="utf-8") as file:
                file.write(f"\n{amount:.9f}")


def key_of(endpoint: Endpoint) -> str | None:
    """Take the key from the environment. Raises EssenceError for what no header can carry."""
    key = os.environ.get(endpoint.key, "").strip() if endpoint.key else None
    if key is None or (key and key.isascii() and key.isprintable()):
        return key
    raise EssenceError(
        f"{endpoint.place('key')} names the environment variable {endpoint.key}, which is not set, "
        f"or not to one line of ASCII. Set it and run the same command again: "
        f"export {endpoint.key}=..."
    )


CURES = {  # status of a refusal -> the key of the configuration to look at, and the cure
    401: ("key", "refuses the key in this environment variable"),
    403: ("key", "refuses the key in this environment variable"),
    404: ("model", "does not know it (see /models there), or does not end in /v1 as is usual"),
    429: ("at_once", "still says too many requests, or no credit: lower it, or wait"),
}


def error_message(error: openai.OpenAIError, endpoint: Endpoint) -> str:
    """Say which key of the configuration to look at, and the cure. The API key is hidden."""
    status = getattr(error, "status_code", 0)
    words = f"{status}: {error.response.text}" if status else str(error.__cause__ or error)
    if key := key_of(endpoint):
        words = words.replace(key, f"${endpoint.key}")  # some servers repeat what they were sent
    words = textwrap.shorten(words, 240, placeholder=" ...")
    setting, text = CURES.get(status, ("base_url", "refuses a request"))
    if isinstance(error, openai.APITimeoutError):
        setting, text = "timeout", "no whole answer in as many seconds: raise it, or lower at_once"
    elif not 400 <= status < 500:
        text = f"no answer, {endpoint.retries + 1} times"
    return (
        f"{endpoint.place(setting)} is {getattr(endpoint, setting)}: {endpoint.base_url} {text} "
        f"({words}). What was answered is kept: run the same command again."
    )


def answering(endpoint: Endpoint, answers: Iterable[Answer], questions: int) -> Answering:
    """Sum up what the answers to `questions` or rows took; equal ones are counted once."""
    distinct = {digest_of(each.request): each for each in answers}.values()
    tokens = [(each.input_tokens, each.output_tokens) for each in distinct]
    counted = all(None not in pair for pair in tokens)
    read, written = map(sum, zip(*tokens, strict=True)) if counted else (None, None)
    # "stop" only where the model said something and ended it.
    kinds = ["empty" if (a.finish, a.text.strip()) == (STOP, "") else a.finish for a in distinct]
    return Answering(
        model=endpoint.model,
        served=sorted({each.served for each in distinct if each.served}),
        asked=questions,
        answers=len(distinct),
        ended=dict(sorted(Counter(kinds).items())),
        input_tokens=read,
        output_tokens=written,
        cost=endpoint.prices.of(read, written) if counted and endpoint.prices else None,
        seconds=round(sum(each.seconds for each in distinct), 3),
    )


def messages_of(source: str) -> list[dict[str, str]]:
    """The system message of a row's source, if it has one, and the user message."""
    user, system = from_source(source)
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
    parts = [read_table(file, ROWS).assign(split=name) for name, file in splits.items() if file]
    if not any(map(len, parts)):
        raise EssenceError("nothing to answer: give rows with --test, --unseen or --other")
    rows = pd.concat(parts)
    replies = Client(endpoint, answers).answers([messages_of(source) for source in rows.source])
    predictions = rows.assign(
        gold=rows.target,
        gold_decoded=rows.target,
        prediction=[each.text for each in replies],
        prediction_tokens=[each.output_tokens or 0 for each in replies],
        cut=[each.finish != STOP for each in replies],  # it did not end by itself
        input=pd.Series([digest_of(each.request) for each in replies]).factorize()[0],
        reachable=True,  # its tokenizer can write any text
    )
    write_table(out, predictions, PREDICTIONS)
    answering(endpoint, replies, len(rows)).write(summary)


if __name__ == "__main__":
    run_stage(answer_rows)
