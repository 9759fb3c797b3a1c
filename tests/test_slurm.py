"""The smoke configuration on a real Slurm cluster of two nodes, one with a pretended GPU."""

import json
import re
import shutil
import subprocess
import sys
import time

import pytest
import slurm_cluster
import yaml
from conftest import ROOT, SMOKE, Project, fresh_clone

pytestmark = [pytest.mark.slurm, pytest.mark.pipeline]

RUN = "results/runs/as_written/{}/seed42"
OF_SLURM = ("--profile", "profiles/slurm", "--seconds-between-status-checks", "2")
SAME = ("model/model.safetensors", "training_log.jsonl", "predictions.parquet")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := slurm_cluster.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    with slurm_cluster.running(folder):
        yield folder


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


def test_runs_on_the_cluster_equal_local_ones(cluster, smoke, project):
    """Two runs through Slurm: on the GPU's node, one at a time, with the bytes of a local run."""
    runs = ("exp3_bs8_lr1e-4", "exp3_bs8_lr5e-5")
    for run in runs:
        shutil.rmtree(project.folder / RUN.format(run))
    targets = [RUN.format(run) + "/predictions.parquet" for run in runs]
    on_this_cluster(project).snakemake(*OF_SLURM, *targets)

    for run in runs:
        for name in SAME:
            ours = project.folder / RUN.format(run) / name
            assert ours.read_bytes() == (smoke.folder / RUN.format(run) / name).read_bytes(), name

    shown = subprocess.run(
        ["scontrol", "--oneliner", "show", "job"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    trained = [job for job in map(facts, shown) if "rule_train" in job["Comment"]]
    assert len(trained) == len(runs)
    for job in trained:
        assert job["JobState"] == "COMPLETED"
        assert job["NodeList"] == "g1"
        assert "gres:gpu:1" in job["TresPerJob"]
    first, second = sorted(trained, key=lambda job: job["StartTime"])
    assert first["EndTime"] <= second["StartTime"], "two trainings shared the one GPU"


def on_this_cluster(project):
    """Made impatient, as suits a cluster of one machine; a failed job is not tried again."""
    path = project.folder / "profiles/slurm/config.yaml"
    waits = {"slurm-init-seconds-before-status-checks": 3, "latency-wait": 10, "retries": 0}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | waits))
    return project


@pytest.mark.slow
def test_a_preempted_training_goes_on_where_it_was(cluster, project):
    """A job of higher priority takes the GPU; the training is requeued and ends as if alone."""
    run = RUN.format("exp3_bs8_lr1e-4")
    target, log = f"{run}/training.json", project.folder / f"logs/{run[8:]}/train.log"
    project.edit("configs/smoke.yaml", "epochs: 1}", "epochs: 20, patience: null}")
    shutil.rmtree(project.folder / run)
    project.snakemake("--cores", "1", target)
    alone = {name: (project.folder / run / name).read_bytes() for name in SAME[:2]}
    shutil.rmtree(project.folder / run)
    log.unlink()
    on_this_cluster(project)
    with subprocess.Popen(
        [sys.executable, "-m", "snakemake", *OF_SLURM, target, *SMOKE],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as main:
        until = time.monotonic() + 120
        while not (log.exists() and "\nstep " in log.read_text().partition("eval_loss")[2]):
            assert time.monotonic() < until, f"{log}: no step of the second epoch"
            time.sleep(0.1)
        urgent = ["sbatch", "-p", "gpuhi", "--gpus=1", "--mem=100", "-o", "/dev/null"]
        subprocess.run([*urgent, "--wrap", "sleep 2"], check=True, capture_output=True)
        said = main.communicate(timeout=400)[0]
    assert main.returncode == 0, said
    for name, content in alone.items():
        assert (project.folder / run / name).read_bytes() == content, name
    assert "resuming from" in log.read_text()


def facts(line: str) -> dict[str, str]:
    """One line of `scontrol show job` as a mapping."""
    return {"Comment": "", **dict(re.findall(r"(\w+)=(\S*)", line))}
