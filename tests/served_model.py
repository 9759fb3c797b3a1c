"""A server of the OpenAI kind that breaks things, and a real one with a tiny model."""

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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

MISSING = [name for name in ("fastapi", "uvicorn") if not find_spec(name)]
WHY = f"not installed: {', '.join(MISSING)} (make extras)"
START = 120  # seconds that a real server may take to start on a busy machine
RETRY_AFTER = 0.7  # seconds
LATE = 3.0  # seconds that a slow answer takes


def free_port() -> int:
    with socket.socket() as at:
        at.bind(("127.0.0.1", 0))
        return at.getsockname()[1]


class FaultyServer:
    """Answers each question with itself, or does to a request what the next of `faults` says.

    `answered`: question -> how often a whole answer to it was sent back. `attempts`: each request's
    messages and when it came in.
    """

    def __init__(self):
        self.port, self.lock = free_port(), threading.Lock()
        self.reset()
        self.start()

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"owner": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def reset(self, *faults: str | None) -> None:
        self.faults = list(faults)
        self.answered: Counter[str] = Counter()
        self.attempts: list[tuple[list, float]] = []
        self.at_once = self.most_at_once = 0
        self.keys: set[str | None] = set()


class _Handler(BaseHTTPRequestHandler):
    owner: FaultyServer

    def do_POST(self) -> None:
        owner = self.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with owner.lock:
            owner.attempts.append((body["messages"], time.monotonic()))
            owner.keys.add(self.headers.get("Authorization"))
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
            fault = owner.faults.pop(0) if owner.faults else None
        with contextlib.suppress(OSError):  # a client that has not waited
            self._answer(body, fault)
        owner.at_once -= 1

    def _answer(self, body: dict, fault: str | None) -> None:
        question = body["messages"][-1]["content"]
        if fault in ("429", "500", "401", "404", "400"):
            key = self.headers.get("Authorization")
            return self._send(json.dumps({"error": {"message": f"no: {key}"}}), int(fault))
        if fault == "garbage":
            return self._send("<html>busy</html>")
        if fault == "another shape":
            return self._send('{"error": "overloaded"}')
        if fault == "dropped":
            return None
        if fault == "slow":
            time.sleep(LATE)
            return self._send("{}", 500)
        if fault == "half":
            return self._send(reply(question), share=0.5)
        time.sleep(0.02)
        self._send(fault or reply(question, usage={"prompt_tokens": 20, "completion_tokens": 8}))
        self.owner.answered[question] += 1
        return None

    def _send(self, text: str, status: int = 200, share: float = 1.0) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        if status == 429:
            self.send_header("Retry-After", str(RETRY_AFTER))
        self.end_headers()
        self.wfile.write(content[: int(len(content) * share)])

    def log_message(self, *_: object) -> None:
        pass


def reply(text: str | None, finish: str = "length", usage: dict | None = None, **more) -> str:
    """A chat completion."""
    message = {"role": "assistant", "content": text, **more}
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], "usage": usage})


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


@contextlib.contextmanager
def transformers_serve(model: Path):
    """The port of `transformers serve` with one model."""
    port = free_port()
    command = [Path(sys.executable).parent / "transformers", "serve", model]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with open(model.parent / "serve.log", "ab") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, env=environment)
    try:
        until = time.monotonic() + START
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError((model.parent / "serve.log").read_text()[-2000:])
            time.sleep(0.2)
        yield port
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
