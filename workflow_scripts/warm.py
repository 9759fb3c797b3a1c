"""Run stages in forks of one process that has imported torch and transformers already.

    python -m workflow_scripts.warm model.train --settings ...

does what `python -m workflow_scripts.model.train --settings ...` does. Where ESSENCE_WARM names the
socket of a warm process, that forks itself: the stage then starts in hundredths of a second instead
of three seconds, with the caller's arguments, environment, folder, input and output. It gets
the signals that the caller gets and dies with it, and the caller ends with its exit code. Without
ESSENCE_WARM, or when nobody answers there, the stage runs in the calling process.

The Snakefile starts the warm process (`start`), which ends with Snakemake. It imports libraries
only, and only once a stage asks: every stage reads this project's code again.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path

from workflow_scripts.imports import import_less

SOCKET = "ESSENCE_WARM"  # path of the warm process's socket
COSTS = "ESSENCE_COSTS"  # names a file for processor time, a line for each stage (tools.costs)
LIBRARIES = (
    "pydantic",
    "pyarrow.parquet",
    "torch",
    "transformers.models.t5.modeling_t5",
    "transformers.trainer_seq2seq",
    "transformers.models.auto.modeling_auto",
)
LARGEST = 2**20  # bytes of a request
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG = 1  # of prctl: the signal that a process gets when its parent ends
PACKAGE = "workflow_scripts"
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    if sys.argv[1] == "--serve":
        if request := Server(Path(sys.argv[2])).serve():
            request.run()
        return
    module, arguments = f"{PACKAGE}.{sys.argv[1]}", sys.argv[2:]
    code = hand_over(module, arguments) if os.environ.get(SOCKET) else None
    if code is None:
        run(module, arguments)
    else:
        sys.exit(code)


def run(module: str, arguments: list[str]) -> None:
    """Run a module in this process, as `python -m` does."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def start(root: Path = ROOT) -> subprocess.Popen | None:
    """Start the warm process for all that this process starts; it ends with this process.

    `root`: the folder that the package lies in.
    None where the system cannot watch a process by a descriptor (Linux before 5.3).
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return None
    folder = tempfile.mkdtemp(prefix="essence-")  # nobody else can enter it
    os.environ[SOCKET] = f"{folder}/socket"
    command = [sys.executable, "-P", "-m", "workflow_scripts.warm", "--serve", os.environ[SOCKET]]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    # In a session of its own: Ctrl-C at the terminal reaches a stage once, through its caller.
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, start_new_session=True, env=environment
    )
    while process.poll() is None and not Path(os.environ[SOCKET]).exists():
        time.sleep(0.01)  # or the first job may ask before anybody answers
    return process


def this_python() -> list[str]:
    """Its environment and version: `snakemake` says python3 where a job says python."""
    return [sys.prefix, sys.version]


def hand_over(module: str, arguments: list[str]) -> int | None:
    """The exit code of a stage that the warm process ran; None when there is none to run it."""
    request = {
        "module": module,
        "arguments": arguments,
        "python": this_python(),
        "path": sys.path,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(os.environ[SOCKET])
            socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
        except OSError:
            return None
        for number in FORWARDED:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
        answer = connection.recv(100)
    if not answer:
        print("error: the warm process of this Snakemake was killed", file=sys.stderr)
        return 128 + signal.SIGKILL
    return json.loads(answer)


class Request:
    """A stage that a caller wants run, and the two descriptors that tell of its end."""

    def __init__(self, caller: socket.socket):
        """Raises OSError or ValueError when the caller was killed before it could ask."""
        self.caller = caller
        message, self.files, _, _ = socket.recv_fds(caller, LARGEST, 3)
        self.wanted = json.loads(message)
        self.process = 0
        self.end: int | None = None  # readable once the process has ended

    def run(self) -> None:
        """In a fork: become what the caller would have become, and die with the warm process."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number, file in enumerate(self.files):
            os.dup2(file, number)
        self.close()
        os.environ.clear()
        os.environ.update(self.wanted["environment"])
        os.chdir(self.wanted["folder"])
        sys.path[:] = self.wanted["path"]
        run(self.wanted["module"], self.wanted["arguments"])

    def pass_signal(self) -> None:
        """On to the process; a caller that is gone takes it along."""
        number = b""
        with contextlib.suppress(OSError):
            number = self.caller.recv(1)
        os.kill(self.process, number[0] if number else signal.SIGKILL)

    def answer(self) -> None:
        """Tell the caller how its stage ended, and note what it took."""
        _, status, usage = os.wait4(self.process, 0)
        code = os.waitstatus_to_exitcode(status)
        self.reply(code if code >= 0 else 128 - code)
        note_costs(self.wanted["module"], usage.ru_utime + usage.ru_stime)

    def reply(self, code: int | None) -> None:
        with contextlib.suppress(OSError):  # the caller was killed
            self.caller.send(json.dumps(code).encode())

    def close(self) -> None:
        self.caller.close()
        for file in filter(None, [*self.files, self.end]):
            os.close(file)


class Server:
    """Forks for each request until the process that started it has ended, and its stages have."""

    def __init__(self, address: Path):
        self.address = address
        self.running: set[Request] = set()
        self.listening = True
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(address))
        self.listener.listen(128)
        self.watched = selectors.DefaultSelector()
        self.watched.register(self.listener, selectors.EVENT_READ, self.accept)
        self.watched.register(sys.stdin, selectors.EVENT_READ, self.stop)

    def serve(self) -> Request | None:
        """Returns the request that is to be run, in its fork; None in the server, in the end."""
        while self.listening or self.running:
            for key, _ in self.watched.select():
                if key.fileobj in self.watched.get_map() and (request := key.data()):
                    return request
        shutil.rmtree(self.address.parent, ignore_errors=True)
        return None

    def accept(self) -> Request | None:
        caller, _ = self.listener.accept()
        try:
            request = Request(caller)
        except (OSError, ValueError):
            caller.close()
            return None
        if request.wanted["python"] != this_python() or not self.fork(request):
            request.reply(None)  # it runs the stage itself
            request.close()
        elif not request.process:
            self.forget_all()
            return request
        return None

    def fork(self, request: Request) -> bool:
        """Whether there was memory for one more process; `request.process` is 0 in the fork."""
        import_libraries()
        try:
            request.process = os.fork()
        except OSError:
            return False
        if request.process:
            request.end = os.pidfd_open(request.process)
            self.running.add(request)
            self.watched.register(request.caller, selectors.EVENT_READ, request.pass_signal)
            self.watched.register(request.end, selectors.EVENT_READ, partial(self.ended, request))
        return True

    def ended(self, request: Request) -> None:
        request.answer()
        self.watched.unregister(request.caller)
        self.watched.unregister(request.end)
        self.running.remove(request)
        request.close()

    def stop(self) -> None:
        """The process that started this one has ended: nobody new will come."""
        self.watched.unregister(sys.stdin)
        self.watched.unregister(self.listener)
        self.listener.close()
        self.listening = False

    def forget_all(self) -> None:
        """In a fork: close what is the server's."""
        self.watched.close()
        self.listener.close()
        for other in self.running:
            other.close()


@cache
def import_libraries() -> None:
    import_less()
    with contextlib.suppress(Exception):  # what is amiss, the stage will say
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
