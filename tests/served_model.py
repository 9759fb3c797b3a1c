"""A server of the OpenAI kind that breaks things."""

import contextlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RETRY_AFTER = 0.7  # seconds
LATE = 3.0  # seconds that a slow answer takes
NO_COMPLETION = {"garbage": "<html>busy</html>", "another shape": '{"error": "overloaded"}'}


def reply(text: str | None, finish: str = "length", usage: dict | None = None, **more) -> str:
    """A chat completion."""
    message = {"role": "assistant", "content": text, **more}
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], "usage": usage})


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.attempts.append((body["messages"], time.monotonic()))
            server.keys.add(self.headers.get("Authorization"))
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            fault = server.faults.pop(0) if server.faults else None
        with contextlib.suppress(OSError):  # a client that has not waited
            self._answer(body["messages"][-1]["content"], fault)
        server.at_once -= 1

    def _answer(self, question: str, fault: str | None) -> None:
        if fault in NO_COMPLETION:
            self._send(NO_COMPLETION[fault])
        elif fault == "slow":
            time.sleep(LATE)
            self._send("{}", 500)
        elif fault == "half":
            self._send(reply(question), share=0.5)
        elif fault and fault.isdigit():
            message = f"no: {self.headers.get('Authorization')}"
            self._send(json.dumps({"error": {"message": message}}), int(fault))
        elif fault != "dropped":
            time.sleep(0.02)
            usage = {"prompt_tokens": 20, "completion_tokens": 8}
            self._send(fault or reply(question, usage=usage))
            self.server.answered[question] += 1

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


class FaultyServer(ThreadingHTTPServer):
    """Answers each question with itself, or does to a request what the next of `faults` says.

    `answered`: question -> how many whole answers were sent. `attempts`: (messages, time) of each.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.port, self.lock = self.server_address[1], threading.Lock()
        self.reset()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self, *faults: str | None) -> None:
        self.faults = list(faults)
        self.answered: Counter[str] = Counter()
        self.attempts: list[tuple[list, float]] = []
        self.at_once = self.most_at_once = 0
        self.keys: set[str | None] = set()
