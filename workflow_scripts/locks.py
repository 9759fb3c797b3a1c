"""One owner at a time for a folder, by a lock that ends with its owner and so is never stale."""

import os
import socket
import time
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from workflow_scripts.errors import EssenceError


def take(path: Path | str, what: str, wait: float = 0.0) -> AcquireReturnProxy:
    """Lock the file at `path` for as long as the returned object lives, or for a `with` block.

    `what` names the thing that is owned, for messages. While another process holds it, wait up to
    `wait` seconds. Raises EssenceError saying which process on which machine holds it, and since
    when.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, poll_interval=1, fallback_to_soft=False)  # soft locks outlive their owner
    try:
        taken = lock.acquire(timeout=0)
    except Timeout:
        print(f"{what} is in use by {_owner(path)}; waiting ({wait:.0f} s at most)", flush=True)
        try:
            taken = lock.acquire(timeout=wait)
        except Timeout:
            raise EssenceError(
                f"{what} is in use by {_owner(path)}. Wait for it, or stop it, and run the same "
                "command again."
            ) from None
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    path.write_text(f"process {os.getpid()} on {socket.gethostname()} since {since}")
    return taken


def _owner(path: Path) -> str:
    return path.read_text(encoding="utf-8") or "another process"
