"""The smoke configuration on a real Slurm cluster of two nodes, one with a pretended GPU."""

import re
import subprocess

import pytest
import slurm_cluster
import yaml
from conftest import ROOT, fresh_clone

pytestmark = [pytest.mark.slurm, pytest.mark.pipeline]

RUN = "results/runs/as_written/{}/seed42"
SAME = ("model/model.safetensors", "training_log.jsonl", "predictions.parquet", "scores.json")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := slurm_cluster.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    with slurm_cluster.running(folder):
        yield folder


def test_the_report_can_be_planned_for_a_cluster():
    done = subprocess.run(
        ["snakemake", "--profile", "profiles/slurm", "--configfile", "configs/report.yaml", "-n"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = dict(re.findall(r"^(\w+)\s+(\d+)\s*$", done.stdout + done.stderr, re.M))
    recipes = yaml.safe_load((ROOT / "config.yaml").read_text())["use_recipes"]
    assert int(jobs["train"]) == 8 * len(recipes) + 2 * ("as_run" in recipes)
    assert {"fetch_rows", "fetch_base_model", "predict"} <= set(jobs)


def test_smoke_runs_on_the_cluster_and_equals_a_local_run(cluster, smoke, tmp_path_factory):
    """Two runs through Slurm: on the GPU's node, one at a time, with the bytes of a local run."""
    project = fresh_clone(tmp_path_factory.mktemp("on_slurm") / "essence")
    profile = yaml.safe_load((project.folder / "profiles/slurm/config.yaml").read_text())
    profile |= {"slurm-init-seconds-before-status-checks": 3, "latency-wait": 10, "retries": 0}
    (project.folder / "profiles/slurm/config.yaml").write_text(yaml.safe_dump(profile))
    runs = ("exp3_bs8_lr1e-4", "exp3_bs8_lr5e-5")
    targets = [RUN.format(run) + "/scores.json" for run in runs]
    project.snakemake(
        "--profile", "profiles/slurm", "--seconds-between-status-checks", "2", *targets
    )

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


def facts(line: str) -> dict[str, str]:
    """One line of `scontrol show job` as a mapping."""
    return {"Comment": "", **dict(re.findall(r"(\w+)=(\S*)", line))}
