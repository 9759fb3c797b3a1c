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
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import SMOKE, Project

pytestmark = [pytest.mark.pipeline, pytest.mark.faults]

RUN = "results/runs/as_written/exp3_bs8_lr1e-4/seed42"
SAME = ("model/model.safetensors", "training_log.jsonl", "predictions.parquet")


def start(project: Project, *targets: str, before: Sequence[str] = ()) -> subprocess.Popen:
    """Start Snakemake in a process group of its own."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", "snakemake", "--cores", "2", *targets, *SMOKE],
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": ""},
        start_new_session=True,
    )


def wait_for_training(project: Project) -> int:
    """The process id of a training that has made its first steps; it dies with its job."""
    log = project.folder / f"logs/{RUN.removeprefix('results/')}/train.log"
    for _ in range(6000):
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = {*(process / "cmdline").read_bytes().split(b"\0")}
                is_here = (process / "cwd").readlink() == project.folder
                trains = is_here and {b"workflow_scripts.warm", b"model.train"} <= words
                if trains and log.exists() and "step" in log.read_text():
                    return int(process.name)
        time.sleep(0.02)
    pytest.fail("no training started")


def unfinished(project: Project) -> Project:
    shutil.rmtree(project.folder / RUN)
    shutil.rmtree(project.folder / "work", ignore_errors=True)
    return project


def test_killed_and_typed_again_where_there_is_no_network(smoke, project):
    """SIGKILL during a training; the same command goes on and ends with the same bytes.

    The second time with no network at all, not even loopback, where this may be had.
    """
    unfinished(project)
    first = start(project, f"{RUN}/predictions.parquet")
    trainer = wait_for_training(project)
    for process in (first.pid, trainer):
        os.kill(process, signal.SIGKILL)
    first.wait(120)
    alone = ["unshare", "--net"] if os.geteuid() == 0 else []
    second = start(project, f"{RUN}/predictions.parquet", before=alone)
    assert second.wait(180) == 0
    for name in SAME:
        ours, theirs = project.folder / RUN / name, smoke.folder / RUN / name
        assert ours.read_bytes() == theirs.read_bytes(), name


def test_two_instances_never_share_a_folder(project):
    unfinished(project)
    first = start(project, f"{RUN}/predictions.parquet")
    try:
        wait_for_training(project)
        first.send_signal(signal.SIGSTOP)  # or it may be done before the second one looks
        second = project.snakemake("--cores", "1", f"{RUN}/predictions.parquet", check=False)
        assert second.returncode
        assert f"is in use by process {first.pid}" in second.stdout + second.stderr
    finally:
        first.send_signal(signal.SIGCONT)
        assert first.wait(180) == 0
    assert (project.folder / RUN / "predictions.parquet").is_file()


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
