"""Run stages in forks of one process that has imported torch and transformers already.

    python -m workflow_scripts.warm model.train --settings ...

does what `python -m workflow_scripts.model.train --settings ...` does, in hundredths of a second
instead of several seconds before the stage begins, where ESSENCE_WARM names a server. The stage
gets the caller's arguments, environment, folder, input, output and signals, dies with the caller,
and the caller ends with its exit code. Where no server answers, it runs in the calling process.

The Snakefile starts the server (`start`), which ends with Snakemake. It imports libraries only,
once the first stage asks: every stage reads this project's code again.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

SERVER = "ESSENCE_WARM"  # "<socket> <prefix of its Python>"
COSTS = "ESSENCE_COSTS"  # names a file for processor time, a line for each stage (tools.costs)
LIBRARIES = (
    "pandas",
    "pydantic",
    "pyarrow.parquet",
    "torch",
    "transformers.models.t5.modeling_t5",
    "transformers.trainer_seq2seq",
    "transformers.models.auto.modeling_auto",
)
LARGEST = 2**20  # bytes of a request
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PACKAGE = "workflow_scripts"
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    if sys.argv[1] == "--serve":
        if request := serve(Path(sys.argv[2])):
            take_over(request)
            run(request["module"], request["arguments"])
        return
    module, arguments = f"{PACKAGE}.{sys.argv[1]}", sys.argv[2:]
    code = hand_over(module, arguments)
    if code is None:
        run(module, arguments)
    else:
        sys.exit(code)


def run(module: str, arguments: list[str]) -> None:
    """Run a module in this process, as `python -m` does."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def start(root: Path = ROOT) -> subprocess.Popen:
    """Start the server for all that this process starts; it ends with this process.

    `root`: the folder that the package lies in.
    """
    address = Path(tempfile.mkdtemp(prefix="essence-")) / "socket"  # nobody else can enter it
    os.environ[SERVER] = f"{address} {sys.prefix}"
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    # In a session of its own: Ctrl-C at the terminal reaches a stage once, through its caller.
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", f"{PACKAGE}.warm", "--serve", str(address)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    while server.poll() is None and not address.exists():
        time.sleep(0.01)  # or the first job may ask before anybody answers
    return server


def hand_over(module: str, arguments: list[str]) -> int | None:
    """The exit code of a stage that the server ran; None when there is none to run it."""
    address, _, prefix = os.environ.get(SERVER, "").partition(" ")
    if prefix != sys.prefix:  # no server, or one with the libraries of another environment
        return None
    request = {
        "module": module,
        "arguments": arguments,
        "path": sys.path,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(address)
            socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
            if not connection.recv(100):
                return None
        except OSError:  # nobody listens, or there is no memory for a fork
            return None
        for number in FORWARDED:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
        answer = connection.recv(100)
    return int(answer) if answer else 128 + signal.SIGKILL


def serve(address: Path) -> dict[str, Any] | None:
    """Fork for each caller until the process that started this one ends; then return None.

    In the fork that is to become a stage, return the caller's request.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen(128)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            caller, _ = listener.accept()
            import_libraries()
            if os.fork() == 0:  # without memory for it, this ends, and callers run their stages
                listener.close()
                return become_stage(caller)
            caller.close()
    shutil.rmtree(address.parent, ignore_errors=True)
    return None


def become_stage(caller: socket.socket) -> dict[str, Any]:
    """Fork once more, and return the request in the second fork, the stage.

    The first passes on the caller's signals, answers with the exit code of the stage, and kills it
    when the caller is gone.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        message, files, _, _ = socket.recv_fds(caller, LARGEST, 3)
        request = json.loads(message)
    except ValueError:
        os._exit(1)
    stage = os.fork()
    if stage == 0:
        caller.close()
        return request | {"files": files}
    with contextlib.suppress(OSError):
        caller.send(b"started")
    end = os.pidfd_open(stage)
    while end not in select.select([caller, end], [], [])[0]:
        try:
            number = caller.recv(1)[0]
        except (OSError, IndexError):  # the caller is gone
            number = signal.SIGKILL
        os.kill(stage, number)
    _, status, usage = os.wait4(stage, 0)
    code = os.waitstatus_to_exitcode(status)
    note_costs(request["module"], usage.ru_utime + usage.ru_stime)
    with contextlib.suppress(OSError):
        caller.send(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def take_over(request: dict[str, Any]) -> None:
    """Become what the caller would have become."""
    for number, file in enumerate(request["files"]):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[:] = request["path"]


@cache
def import_libraries() -> None:
    gc.set_threshold(100_000)  # imports make hundreds of thousands of objects that stay
    with contextlib.suppress(Exception):  # the stage will report what is wrong
        for name in LIBRARIES:
            importlib.import_module(name)
    gc.freeze()  # so that a fork's garbage collector leaves the pages shared
    note_costs("warm", time.process_time())


def note_costs(name: str, seconds: float) -> None:
    if file := os.environ.get(COSTS):
        with open(file, "a", encoding="utf-8") as costs:
            costs.write(f"{name} {seconds:.2f}\n")


if __name__ == "__main__":
    main()
