"""Ask an endpoint: conversations in, answers out, each kept on the disk as soon as it is there.

An answer is kept under a digest of what was sent (model, messages, parameters), so that the same
is never asked twice: a run that comes again asks nothing, and one that is killed loses what was in
flight. One process at a time asks an endpoint; others wait.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import openai

from workflow_scripts.artifacts.endpoint import Answered, Endpoint, Message
from workflow_scripts.endpoint.ledger import Ledger
from workflow_scripts.endpoint.messages import key_of, limit_ignored, told
from workflow_scripts.endpoint.wire import Reply, Wire
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import digest_of
from workflow_scripts.locks import take
from workflow_scripts.model.progress import say, time_left

LONGEST_WAIT = 7 * 24 * 3600.0  # seconds for another process that asks the same endpoint
SAY_EVERY = 5.0  # seconds
Request = dict[str, Any]


class Client:
    """An endpoint and the `folder` that keeps its answers and its ledger."""

    def __init__(self, endpoint: Endpoint, folder: Path):
        self.endpoint, self.folder = endpoint, folder

    def answers(self, conversations: Sequence[list[Message]]) -> list[Answered]:
        """An answer a conversation, in order; equal ones are asked once.

        Raises EssenceError naming the key of the configuration when the endpoint cannot be asked,
        gives up answering or would pass its budget. What was answered before is kept.
        """
        requests = [self.endpoint.request(messages) for messages in conversations]
        of_key = {digest_of(request): request for request in requests}
        if any(not self._file(key).is_file() for key in of_key):
            with take(self.folder / "lock", f"the endpoint {self.endpoint.name}", LONGEST_WAIT):
                new = {k: v for k, v in of_key.items() if not self._file(k).is_file()}
                if new:
                    asyncio.run(self._ask(new, known=len(of_key) - len(new)))
        answered = {key: Answered.read(self._file(key)) for key in of_key}
        return [answered[digest_of(request)] for request in requests]

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    async def _ask(self, new: dict[str, Request], known: int) -> None:
        """Answer and keep all of them, `at_once` at a time.

        After a failure no more are begun, and those in flight are waited for.
        """
        wire = Wire(Ledger(self.folder / "ledger.jsonl", self.endpoint))
        progress = _Progress(self.endpoint, wire, len(new), known)
        waiting, failures = iter(new.items()), []
        async with openai.AsyncOpenAI(
            base_url=self.endpoint.base_url,
            api_key=key_of(self.endpoint) or "none",
            timeout=self.endpoint.timeout,
            max_retries=self.endpoint.retries,
            http_client=wire,
        ) as client:
            workers = [
                self._work(client, waiting, failures, progress)
                for _ in range(min(self.endpoint.at_once, len(new)))
            ]
            await asyncio.gather(*workers)
        if failures:
            raise failures[0]

    async def _work(
        self,
        client: openai.AsyncOpenAI,
        waiting: Iterator[tuple[str, Request]],
        failures: list[EssenceError],
        progress: "_Progress",
    ) -> None:
        for key, request in waiting:
            try:
                answered = await self._answer(client, request)
            except EssenceError as error:
                failures.append(error)
            except openai.OpenAIError as error:
                failures.append(EssenceError(told(error, self.endpoint)))
            else:
                answered.write(self._file(key))
                progress.answered()
            if failures:
                return

    async def _answer(self, client: openai.AsyncOpenAI, request: Request) -> Answered:
        raw = await client.chat.completions.with_raw_response.create(**request)
        response = raw.http_response
        reply = Reply.model_validate_json(response.content)
        choice, usage = reply.choices[0], reply.usage
        if usage and usage.completion_tokens > self.endpoint.answer_tokens:
            raise EssenceError(limit_ignored(self.endpoint, usage.completion_tokens))
        refusal = choice.message.refusal
        return Answered(
            request=request,
            text=refusal or choice.message.content or "",
            finish="refusal" if refusal else choice.finish_reason or "unknown",
            input_tokens=usage and usage.prompt_tokens,
            output_tokens=usage and usage.completion_tokens,
            seconds=round(response.extensions["seconds"], 3),
            served=reply.model,
        )


class _Progress:
    """Lines on standard error: how many are answered, what was spent, how long it may take."""

    def __init__(self, endpoint: Endpoint, wire: Wire, count: int, known: int):
        self.endpoint, self.wire, self.count, self.done = endpoint, wire, count, 0
        self.started = self.said = time.monotonic()
        say(f"{endpoint.name}: {known} answers are known, {count} are asked for")

    def answered(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.said < SAY_EVERY and self.done < self.count:
            return
        self.said = now
        spent = f", {self.wire.ledger.spent:.4g} spent" if self.endpoint.prices else ""
        faults = f", {self.wire.faults} attempts failed" if self.wire.faults else ""
        left = time_left(self.started, self.done, self.count - self.done)
        say(f"{self.endpoint.name}: {self.done} of {self.count}{spent}{faults}, {left} left")
