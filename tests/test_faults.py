"""What happens to the whole pipeline when it is killed, doubled, cut off or out of disk.

Faults inside one training (killed at random moments, broken checkpoints, full disk, NaN, clocks)
are in test_model_resume.py and test_model_train.py; broken downloads in test_data_fetch.py.
`make faults` runs them all.
"""

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

RUN = "results/runs/as_written/exp3_bs8_lr1e-4/seed42"
SAME = ("model/model.safetensors", "training_log.jsonl", "predictions.parquet")


def start(project: Project, *targets: str) -> subprocess.Popen:
    """Start Snakemake in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", *targets, *SMOKE],
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": ""},
        start_new_session=True,
    )


def trainers(project: Project) -> list[int]:
    """Process ids of the jobs that train in this project's folder; a training dies with its job."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            there = (process / "cwd").readlink() == project.folder
        except OSError:
            continue
        if there and {b"workflow_scripts.warm", b"model.train"} <= set(words):
            found.append(int(process.name))
    return found


def wait_for_training(project: Project) -> int:
    """The process id of a training that has made its first steps."""
    log = project.folder / f"logs/runs/as_written/{RUN.split('/')[3]}/seed42/train.log"
    for _ in range(6000):
        if (found := trainers(project)) and log.exists() and "step" in log.read_text():
            return found[0]
        time.sleep(0.02)
    pytest.fail("no training started")


def unfinished(project: Project) -> Project:
    shutil.rmtree(project.folder / RUN)
    shutil.rmtree(project.folder / "work", ignore_errors=True)
    return project


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "victims",
    [pytest.param("the training", marks=SLOW), pytest.param("Snakemake", marks=SLOW), "both"],
)
def test_killed_and_typed_again(smoke, project, victims):
    """SIGKILL during a training; the same command goes on and ends with the same bytes."""
    unfinished(project)
    first = start(project, f"{RUN}/predictions.parquet")
    trainer = wait_for_training(project)
    if victims in ("Snakemake", "both"):
        os.kill(first.pid, signal.SIGKILL)
    if victims in ("the training", "both"):
        os.kill(trainer, signal.SIGKILL)
    first.wait(120)
    project.snakemake("--cores", "2", f"{RUN}/predictions.parquet")
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
@pytest.mark.parametrize(
    ("place", "made"),
    [
        ("results/figures", []),  # all of them
        (RUN, ["predictions.parquet", "answering.json"]),
    ],
    ids=["plotting", "prediction"],
)
def test_a_full_disk_says_so_and_publishes_nothing(project, place, made):
    folder = project.folder / place
    # `made` by one job, which starts by taking all of them away
    made = made or sorted(path.name for path in folder.iterdir())
    kept = [path.name for path in folder.iterdir() if path.name not in made]
    store = project.folder / "kept"
    shutil.copytree(folder, store)
    shutil.rmtree(folder)
    folder.mkdir()
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size + 2**17}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        for name in kept:
            source = store / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
        (folder / "filler").write_bytes(b"x" * _room(folder))
        done = project.snakemake("--cores", "1", f"{place}/{made[0]}", check=False)
        assert done.returncode
        assert "no space left" in (done.stdout + done.stderr).lower()
        assert not any((folder / name).exists() for name in made)
        assert all((folder / name).exists() for name in kept)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _room(folder: Path) -> int:
    """What can still be written there, found by writing."""
    return shutil.disk_usage(folder).free


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own needs root")
def test_a_node_without_network(project):
    """With no network at all, not even loopback, a run is trained, answered and scored."""
    unfinished(project)
    command = ["unshare", "--net", sys.executable, "-m", "snakemake", "--cores", "2"]
    done = subprocess.run(
        [*command, f"{RUN}/predictions.parquet", *SMOKE],
        cwd=project.folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_clean_work_lists_before_it_deletes(project):
    """`make clean-work` shows what lies in work/ and deletes only when told yes."""
    leftover = project.folder / "work/runs/as_written/old/seed1/0123/checkpoint-5"
    leftover.mkdir(parents=True)
    (leftover / "model.safetensors").write_bytes(b"x" * 1000)
    for answer, gone in (("n\n", False), ("y\n", True)):
        done = subprocess.run(
            ["make", "--no-print-directory", "clean-work"],
            cwd=project.folder,
            input=answer,
            capture_output=True,
            text=True,
        )
        assert "work/runs/as_written/old/seed1" in done.stdout
        assert leftover.exists() is not gone
