"""A server of the OpenAI kind with a tiny model, and a proxy in front of it that breaks things."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from aiohttp import ClientSession, web

MISSING = [name for name in ("fastapi", "uvicorn") if not find_spec(name)]
WHY = f"not installed: {', '.join(MISSING)} (make extras)"
START = 120  # seconds that a server may take to start on a busy machine
RETRY_AFTER = 0.7  # seconds
LATE = 3.0  # seconds that a slow answer takes


def make_causal(folder: Path) -> Path:
    """A Llama of a few thousand weights whose tokens are bytes, with a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = {name: place for place, name in enumerate(["<pad>", "<end>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=tokens, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>")
    fast.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    shape |= {"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": len(tokens)}
    marks = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    LlamaForCausalLM(LlamaConfig(max_position_embeddings=32768, **shape, **marks)).save_pretrained(
        folder
    )
    return folder


def free_port() -> int:
    with socket.socket() as at:
        at.bind(("127.0.0.1", 0))
        return at.getsockname()[1]


class Server:
    """`transformers serve` with one model, always at the same port."""

    def __init__(self, model: Path):
        self.model, self.port = model, free_port()
        self.log = open(model.parent / "serve.log", "ab")  # noqa: SIM115

    def start(self) -> None:
        command = [Path(sys.executable).parent / "transformers", "serve", self.model]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--device", "cpu"]
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
        until = time.monotonic() + START
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5)
                return
            time.sleep(0.2)
        raise RuntimeError(Path(self.log.name).read_text()[-2000:])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Proxy:
    """Passes requests on to a server, or does to each what the next of `faults` says.

    `answered`: question -> how often a whole answer to it was sent back. `began`: when each
    attempt came in.
    """

    def __init__(self, server_port: int):
        self.server_port, self.port = server_port, free_port()
        self.reset()
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait()

    def reset(self, *faults: str | None) -> None:
        self.faults = list(faults)
        self.answered: Counter[str] = Counter()
        self.attempts: list[tuple[str, float]] = []
        self.at_once = self.most_at_once = 0
        self.keys: set[str | None] = set()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        ready.set()
        self.loop.run_forever()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._counted)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()

    async def _counted(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._handle(request)
        finally:
            self.at_once -= 1

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked = body["messages"][-1]["content"]
        self.attempts.append((asked, time.monotonic()))
        self.keys.add(request.headers.get("Authorization"))
        fault = self.faults.pop(0) if self.faults else None
        if fault and (failed := await self._broken(fault, request)) is not None:
            return failed
        if fault and fault.startswith("{"):
            self.answered[asked] += 1
            return web.json_response(json.loads(fault))
        try:
            async with (
                ClientSession() as session,
                session.post(
                    f"http://127.0.0.1:{self.server_port}/v1/chat/completions", json=body
                ) as answer,
            ):
                content, status = await answer.read(), answer.status
        except OSError:  # the server is gone: so is the connection
            request.transport.close()
            return web.Response()
        if fault == "half":
            response = web.StreamResponse(headers={"Content-Length": str(len(content))})
            response.content_type = "application/json"
            await response.prepare(request)
            await response.write(content[: len(content) // 2])
            request.transport.close()
            return response
        self.answered[asked] += status == 200
        return web.Response(body=content, status=status, content_type="application/json")

    async def _broken(self, fault: str, request: web.Request) -> web.StreamResponse | None:
        """What comes in place of an answer; None where the server is asked after all."""
        key = request.headers.get("Authorization")
        if fault == "429":
            return web.json_response({}, status=429, headers={"Retry-After": str(RETRY_AFTER)})
        if fault in ("500", "401", "404", "400"):
            return web.json_response({"error": {"message": f"no: {key}"}}, status=int(fault))
        if fault == "garbage":
            return web.Response(text="<html>busy</html>", content_type="text/html")
        if fault == "another shape":
            return web.json_response({"error": "overloaded"})
        if fault == "dropped":
            request.transport.close()
            return web.Response()
        if fault == "slow":
            await asyncio.sleep(LATE)
            return web.json_response({}, status=500)
        return None
