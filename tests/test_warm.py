"""Stages run in forks of one warm process as they run by themselves."""

import json
import os
import shutil
import signal
import socket as sockets
import subprocess
import sys
import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Server:
    """A warm process for a folder with the package and the probe in it; no address: none."""

    folder: Path
    address: str | None = None
    process: subprocess.Popen | None = None

    def start(self, *arguments: object) -> subprocess.Popen:
        """Start a stage in the folder."""
        given = {**os.environ, "WORD": "kept", "PYTHONPATH": ""}
        return subprocess.Popen(
            [sys.executable, "-m", "workflow_scripts.warm", "probe", *map(str, arguments)],
            cwd=self.folder,
            env=given | ({warm.SERVER: self.address} if self.address else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        process = self.start(*arguments)
        said = process.communicate("given", timeout=300)
        return process.returncode, *said

    def is_used(self) -> bool:
        """Whether a stage is run by a warm process."""
        return json.loads(self.run("show")[1])["warm"]

    def waiting(self, file: Path) -> tuple[subprocess.Popen, int]:
        """A caller whose stage waits, and the process of the stage."""
        caller = self.start("wait", file)
        assert eventually(lambda: file.exists() and file.read_text())
        return caller, int(file.read_text())


def eventually(condition) -> bool:
    return any(condition() or time.sleep(0.05) for _ in range(600))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A warm process. Started in the background, it may ignore Ctrl-C, and stages would too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = tmp_path_factory.mktemp("warm") / "here"
    (folder / "workflow_scripts").mkdir(parents=True)
    for name in ("__init__", "warm"):
        shutil.copy(ROOT / f"workflow_scripts/{name}.py", folder / "workflow_scripts")
    (folder / "workflow_scripts/probe.py").write_text(PROBE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(warm.SERVER, "")
        process = warm.start(folder)
        made = Server(folder, os.environ[warm.SERVER], process)
    yield made
    signal.signal(signal.SIGINT, before)


def test_a_stage_is_run_as_it_is_run_alone(server):
    cold, hot = (each.run("show", "a b", '{"c": 1}') for each in (Server(server.folder), server))
    alone, forked = json.loads(cold[1]), json.loads(hot[1])
    assert (alone.pop("warm"), forked.pop("warm")) == (False, True)
    assert alone == forked and cold[0] == hot[0] == 0
    assert forked["word"] == "kept" and forked["read"] == "given" and forked["name"] == "__main__"
    assert forked["rest"] == ["a b", '{"c": 1}'] and forked["folder"] == str(server.folder)


def test_it_ends_with_the_code_of_its_stage_which_is_read_again(server):
    code, _, errors = server.run("fail")
    assert code == 1 and "so it is" in errors
    assert server.run("die")[0] == 137
    probe = server.folder / "workflow_scripts/probe.py"
    probe.write_text("print('edited')")
    assert server.run("show")[1] == "edited\n"
    probe.write_text(PROBE)


# After Ctrl-C, `python -m` ends with 1.
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1), (signal.SIGKILL, -9)]
)
def test_signals_reach_the_stage_which_dies_with_its_caller(server, tmp_path, number, code):
    caller, stage = server.waiting(tmp_path / "process")
    caller.send_signal(number)
    caller.communicate(timeout=30)
    assert caller.returncode == code
    assert eventually(lambda: not Path(f"/proc/{stage}").exists())


def test_who_is_not_served_runs_the_stage(server, tmp_path):
    """Nobody listens; or it is another environment's Python, whose libraries may be others."""
    assert not Server(server.folder, f"{tmp_path}/nobody {sys.prefix}").is_used()
    socket = server.address.split()[0]
    assert not Server(server.folder, f"{socket} /another/environment").is_used()
    for said in (b"", b"{", None):  # callers that say nothing disturb nobody
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_SEQPACKET) as silent:
            silent.connect(socket)
            if said is not None:
                silent.send(said)
    assert server.is_used()


def test_a_stage_outlives_the_server_which_leaves_nothing(server, tmp_path):
    """As a stage does without one: who started the job waits for it."""
    caller, stage = server.waiting(tmp_path / "process")
    server.process.stdin.close()  # as when Snakemake ends
    assert server.process.wait(30) == 0
    assert not Path(server.address.split()[0]).parent.exists()
    assert caller.poll() is None
    assert not server.is_used()
    os.kill(stage, signal.SIGKILL)
    caller.communicate(timeout=30)
    assert caller.returncode == 137
