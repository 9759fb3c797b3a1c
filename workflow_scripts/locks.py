"""One owner at a time for a folder, by a lock that dies with its owner and so is never stale."""

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import IO

from workflow_scripts.errors import EssenceError


def take(path: Path | str, what: str, wait: float = 0.0) -> IO[str]:
    """Lock the file at `path`; the lock lasts until the returned file is closed or we die.

    `what` names the thing that is owned, for messages. While another process holds it, wait up to
    `wait` seconds. Raises EssenceError saying which process on which machine holds it, and since
    when.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - lives as long as its owner
    until = time.monotonic() + wait
    while not _locked(file):
        file.seek(0)
        holder = file.read().strip() or "another process"
        left = until - time.monotonic()
        if left <= 0:
            file.close()
            raise EssenceError(
                f"{what} is in use by {holder}. Wait for it, or stop it, and run the same "
                "command again."
            )
        print(f"{what} is in use by {holder}; waiting for it ({left:.0f} s at most)", flush=True)
        time.sleep(min(5.0, left))
    file.truncate(0)
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
    file.flush()
    return file


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
