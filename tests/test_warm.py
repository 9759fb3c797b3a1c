"""Stages run in forks of one warm process as they run by themselves."""

import json
import os
import shutil
import signal
import socket as sockets
import subprocess
import sys
import time
from pathlib import Path

import pytest
from material import ROOT

from workflow_scripts import warm

# A stage that shows how it was run.
PROBE = """
import json, os, sys, time
what, *rest = sys.argv[1:]
if what == "show":
    print(json.dumps({
        "rest": rest, "folder": os.getcwd(), "word": os.environ.get("WORD"), "name": __name__,
        "argument_0": sys.argv[0], "read": sys.stdin.read(), "warm": "torch" in sys.modules,
    }))
elif what == "fail":
    sys.exit("error: so it is")
elif what == "wait":
    open(rest[0], "w").write(str(os.getpid()))
    time.sleep(60)
elif what == "die":
    os.kill(os.getpid(), 9)
"""


class Place:
    """A folder with the package in it, in which stages are run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.probe = folder / "workflow_scripts/probe.py"
        self.probe.parent.mkdir(parents=True)
        for name in ("__init__", "warm"):
            shutil.copy(ROOT / f"workflow_scripts/{name}.py", self.probe.parent)
        self.probe.write_text(PROBE)

    def serve(self) -> tuple[subprocess.Popen, str]:
        """A warm process and its address."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(warm.SERVER, "")
            return warm.start(self.folder), os.environ[warm.SERVER]

    def start(self, *arguments: object, socket: str | None) -> subprocess.Popen:
        given = {**os.environ, "WORD": "kept", "PYTHONPATH": ""}
        return subprocess.Popen(
            [sys.executable, "-m", "workflow_scripts.warm", "probe", *map(str, arguments)],
            cwd=self.folder,
            env=given | ({warm.SERVER: socket} if socket else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, socket: str | None) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        process = self.start(*arguments, socket=socket)
        said = process.communicate("given", timeout=60)
        return process.returncode, *said

    def is_served(self, socket: str | None) -> bool:
        """Whether a stage is run by a warm process."""
        return json.loads(self.run("show", socket=socket)[1])["warm"]

    def waiting(self, socket: str, file: Path) -> tuple[subprocess.Popen, int]:
        """A caller whose stage waits, and the process of the stage."""
        caller = self.start("wait", file, socket=socket)
        assert eventually(lambda: file.exists() and file.read_text())
        return caller, int(file.read_text())


def eventually(condition) -> bool:
    return any(condition() or time.sleep(0.05) for _ in range(600))


def gone(process: int) -> bool:
    """Whether the process ends; it may be left as one that nobody has waited for."""
    stat = Path(f"/proc/{process}/stat")
    return eventually(lambda: not stat.exists() or ") Z " in stat.read_text())


@pytest.fixture(scope="module", autouse=True)
def _interruptible():
    """What is started in the background may ignore Ctrl-C, and what it starts does too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    return Place(tmp_path_factory.mktemp("warm") / "here")


@pytest.fixture(scope="module")
def socket(place):
    """That of a warm process, which ends with the tests."""
    server, address = place.serve()
    yield address
    server.stdin.close()
    assert server.wait(30) == 0
    assert not Path(address.split()[0]).parent.exists()


def test_a_stage_is_run_as_it_is_run_alone(place, socket):
    cold = place.run("show", "a b", '{"c": 1}', socket=None)
    hot = place.run("show", "a b", '{"c": 1}', socket=socket)
    alone, forked = json.loads(cold[1]), json.loads(hot[1])
    assert (alone.pop("warm"), forked.pop("warm")) == (False, True)
    assert alone == forked and cold[0] == hot[0] == 0
    assert forked["word"] == "kept" and forked["read"] == "given" and forked["name"] == "__main__"
    assert forked["rest"] == ["a b", '{"c": 1}'] and forked["folder"] == str(place.folder)


def test_it_ends_with_the_code_of_its_stage_which_is_read_again(place, socket):
    for what, code in (("fail", 1), ("die", 137)):
        assert place.run(what, socket=socket)[0] == code
    assert "so it is" in place.run("fail", socket=socket)[2]
    place.probe.write_text("print('edited')")
    assert place.run("show", socket=socket)[1] == "edited\n"
    place.probe.write_text(PROBE)


# After Ctrl-C, `python -m` ends with 1.
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1), (signal.SIGKILL, -9)]
)
def test_signals_reach_the_stage_which_dies_with_its_caller(place, socket, tmp_path, number, code):
    caller, stage = place.waiting(socket, tmp_path / "process")
    caller.send_signal(number)
    caller.communicate(timeout=30)
    assert caller.returncode == code
    assert gone(stage)


def test_a_stage_outlives_the_server(place, tmp_path):
    """As it does without one: who started the job waits for it."""
    server, address = place.serve()
    caller, stage = place.waiting(address, tmp_path / "process")
    server.kill()  # or out of memory
    server.communicate()
    assert caller.poll() is None
    assert not place.is_served(address)
    os.kill(stage, signal.SIGKILL)
    caller.communicate(timeout=30)
    assert caller.returncode == 137
    shutil.rmtree(Path(address.split()[0]).parent)


def test_who_is_not_served_runs_the_stage(place, socket, tmp_path):
    """Nobody listens; or it is another environment's Python, whose libraries may be others."""
    assert not place.is_served(f"{tmp_path}/nobody {sys.prefix}")
    assert not place.is_served(f"{socket.split()[0]} /another/environment")
    for said in (b"", b"{", None):  # callers that say nothing disturb nobody
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_SEQPACKET) as silent:
            silent.connect(socket.split()[0])
            if said is not None:
                silent.send(said)
    assert place.is_served(socket)
