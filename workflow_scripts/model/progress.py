"""What a training or a prediction says while it runs: lines on standard error, into the log."""

import sys
import time


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def time_left(started: float, done: int, left: int) -> str:
    """m:ss for `left` more, at the pace of the `done` since `started` (`time.monotonic`)."""
    seconds = int((time.monotonic() - started) / done * left)
    return f"{seconds // 60}:{seconds % 60:02d}"
