"""The smoke configuration on a real Slurm cluster of two nodes, one with a pretended GPU.

The cluster runs on this machine: Debian's packages slurm-wlm and munge, started as root without
systemd or a database. Its configuration, slurm.conf beside this file, is copied to /etc/slurm,
because Slurm's own job steps look for it there; an existing one that is not ours is never touched.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project, fresh_clone

pytestmark = [pytest.mark.slurm, pytest.mark.pipeline]

ETC = Path("/etc/slurm")
TEMPLATE = (ROOT / "tests/slurm.conf").read_text()
MARK = TEMPLATE.splitlines()[0]
RUN = "results/runs/as_written/exp3_bs8_lr1e-4/seed42"
OF_SLURM = ("--profile", "profiles/slurm", "--seconds-between-status-checks", "1")
# Impatient, as suits a cluster of one machine; a failed job is not tried again.
WAITS = {"slurm-init-seconds-before-status-checks": 2, "latency-wait": 10, "retries": 0}


def why_not() -> str | None:
    """Why no cluster can be started here, or None."""
    missing = [name for name in ("slurmctld", "slurmd", "munged") if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not installed (apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "starting a Slurm cluster needs root"
    config = ETC / "slurm.conf"
    if config.exists() and not config.read_text().startswith(MARK):
        return f"{config} is another cluster's"
    return None


def configuration(folder: Path) -> str:
    """The template with this machine's name, free ports and a folder for the cluster's state."""
    host = socket.gethostname().split(".")[0]
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for each in (one, two, three):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, two, three)]
    return TEMPLATE.format(folder=folder, host=host, ports=ports)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Start the cluster with its state in `folder`; stop everything afterwards."""
    for name in ("state", "spool-c1", "spool-g1"):
        (folder / name).mkdir(parents=True)
    ETC.mkdir(exist_ok=True)
    (ETC / "slurm.conf").write_text(configuration(folder))
    (ETC / "gres.conf").write_text(f"{MARK}\nNodeName=g1 Name=gpu Type=fake File=/dev/zero\n")
    if subprocess.run(["munge", "-n"], capture_output=True).returncode:
        subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "/run/munge"], check=True)
        subprocess.run(["runuser", "-u", "munge", "--", "munged", "--force"], check=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    daemons = [
        subprocess.Popen([*command.split(), "-D"], **quiet)
        for command in ("slurmctld", "slurmd -N c1", "slurmd -N g1")
    ]
    try:
        wait_for_nodes(folder / "slurmctld.log")
        yield
    finally:
        subprocess.run(["scancel", "--user", "root"], capture_output=True, timeout=60)
        time.sleep(1)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink()


def wait_for_nodes(log: Path) -> None:
    shown = ["sinfo", "--noheader", "-N", "-o", "%N %T"]
    for _ in range(120):
        answer = subprocess.run(shown, capture_output=True, text=True)
        if answer.stdout.count("idle") >= 2:
            return
        time.sleep(0.5)
    pytest.fail(f"the Slurm cluster did not start:\n{answer}\n{log.read_text()[-2000:]}")


def test_the_report_is_planned_for_a_cluster_and_the_login_node_fetches_what_is_verified(tmp_path):
    clone = fresh_clone(tmp_path / "essence")
    report = Project(clone.folder, "--configfile", "configs/report.yaml")
    jobs = report.stale("--profile", "profiles/slurm")
    assert jobs["train"] == 28 and {"fetch_rows", "fetch_base_model", "predict"} <= set(jobs)
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert set(profile["set-resources"]) <= set(report.snakemake("--list-rules").stdout.split())
    # The command as docs/cluster.md gives it.
    guide = (ROOT / "docs/cluster.md").read_text()
    command = re.search(r"`.venv/bin/snakemake (fetch_rows [^`]*)`", guide)[1]
    said = Project(clone.folder, "-n", "-p").snakemake(*command.split()).stdout
    known = json.loads((ROOT / "resources/report_files.json").read_text())
    assert f"--git-blob {known['raw']['git_blob_sha1']}" in said
    assert f"--name {known['base_model']['name']} --revision 2f1fd09" in said


@pytest.mark.skipif(bool(why_not()), reason=str(why_not()))
def test_a_run_on_the_cluster_equals_a_local_one(smoke, project, tmp_path):
    """Through Slurm, on the GPU's node, with the bytes of a local run."""
    shutil.rmtree(project.folder / RUN)
    path = project.folder / "profiles/slurm/config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | WAITS))
    with cluster(tmp_path / "slurm"):
        project.snakemake(*OF_SLURM, f"{RUN}/training.json")
        show = ["scontrol", "--oneliner", "show", "job"]
        shown = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    for name in ("model/model.safetensors", "training_log.jsonl"):
        ours, theirs = project.folder / RUN / name, smoke.folder / RUN / name
        assert ours.read_bytes() == theirs.read_bytes(), name
    [job] = [line for line in shown.splitlines() if "rule_train" in line]
    assert "JobState=COMPLETED" in job and "NodeList=g1" in job and "gres:gpu:1" in job
