"""Training a model, and answering with it; what happens is said on standard error, into the log."""

import sys


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
