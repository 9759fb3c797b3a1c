"""A server of the OpenAI kind that breaks things, and a real one with a tiny model."""

import contextlib
import json
import os
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

    `answered`: question -> how many whole answers were sent. `attempts`: (messages, time) of each.
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


@contextlib.contextmanager
def transformers_serve(model: Path):
    """The port of `transformers serve` with one model."""
    port = free_port()
    command = [Path(sys.executable).parent / "transformers", "serve", str(model), "--device", "cpu"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment) as process:
        try:
            until = time.monotonic() + START
            while process.poll() is None and time.monotonic() < until:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                    break
                time.sleep(0.2)
            yield port
        finally:
            process.kill()
