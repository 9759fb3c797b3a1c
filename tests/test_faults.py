"""What happens to the whole pipeline when it is killed, doubled, cut off or out of disk.

Faults inside one training (killed at random moments, broken checkpoints, full disk, NaN, clocks)
are in test_model_resume.py and test_model_train.py; broken downloads in test_data_fetch.py.
`make faults` runs them all.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import SMOKE, Project

pytestmark = [pytest.mark.pipeline, pytest.mark.faults]

RUN = "results/runs/as_written/exp1_natural/seed42"
SAME = ("model/model.safetensors", "training_log.jsonl", "predictions.parquet")


def start(project: Project, *before: str) -> subprocess.Popen:
    """Start Snakemake for the answers of the run, in a process group of its own."""
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", f"{RUN}/predictions.parquet"]
    return subprocess.Popen(
        [*before, *snakemake, *SMOKE],
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": ""},
        start_new_session=True,
    )


def wait_for_training(log: Path) -> None:
    """Wait until a training has made its first step."""
    for _ in range(30_000):
        if log.exists() and "step" in log.read_text():
            return
        time.sleep(0.01)
    pytest.fail("no training started")


def signal_all(project: Project, number: int) -> None:
    """Send a signal to all processes that work in the project's folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == project.folder:
                os.kill(int(process.name), number)


def test_doubled_killed_and_typed_again_where_there_is_no_network(smoke, project):
    """A second instance is refused; after SIGKILL the same command ends with the same bytes.

    The last time with no network at all, not even loopback, where this may be had.
    """
    log = project.folder / f"logs/{RUN.removeprefix('results/')}/train.log"
    log.unlink()
    shutil.rmtree(project.folder / RUN)
    first = start(project)
    try:
        wait_for_training(log)
        signal_all(project, signal.SIGSTOP)  # or it may be done before the second one looks
        second = project.snakemake("--cores", "1", f"{RUN}/predictions.parquet", check=False)
    finally:
        signal_all(project, signal.SIGKILL)
        first.wait(120)
    assert second.returncode
    assert f"is in use by process {first.pid}" in second.stdout + second.stderr
    assert not (project.folder / RUN / "provenance.json").exists()
    alone = ["unshare", "--net"] if os.geteuid() == 0 else []
    assert start(project, *alone).wait(900) == 0
    for name in SAME:
        ours, theirs = project.folder / RUN / name, smoke.folder / RUN / name
        assert ours.read_bytes() == theirs.read_bytes(), name


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_says_so_and_publishes_nothing(project):
    folder, store = project.folder / RUN, project.folder / "kept"
    made = ("predictions.parquet", "answering.json")
    for name in made:
        (folder / name).unlink()
    folder.rename(store)
    folder.mkdir()
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size + 2**17}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        shutil.copytree(store, folder, dirs_exist_ok=True)
        (folder / "filler").write_bytes(b"x" * shutil.disk_usage(folder).free)
        done = project.snakemake("--cores", "1", f"{RUN}/{made[0]}", check=False)
        assert done.returncode
        assert "no space left" in (done.stdout + done.stderr).lower()
        assert not any((folder / name).exists() for name in made)
        assert all((folder / path.name).exists() for path in store.iterdir())
    finally:
        subprocess.run(["umount", str(folder)], check=True)
