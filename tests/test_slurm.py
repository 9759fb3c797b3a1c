"""The smoke configuration on a real Slurm cluster of two nodes, one with a pretended GPU."""

import json
import re
import shutil
import subprocess

import pytest
import slurm_cluster
import yaml
from conftest import ROOT, Project, fresh_clone

pytestmark = [pytest.mark.slurm, pytest.mark.pipeline]

RUN = "results/runs/as_written/{}/seed42"
OF_SLURM = ("--profile", "profiles/slurm", "--seconds-between-status-checks", "2")
SAME = ("model/model.safetensors", "training_log.jsonl")


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
    targets = [RUN.format(run) + "/training.json" for run in runs]
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


def facts(line: str) -> dict[str, str]:
    """One line of `scontrol show job` as a mapping."""
    return {"Comment": "", **dict(re.findall(r"(\w+)=(\S*)", line))}
