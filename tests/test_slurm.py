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
from conftest import ROOT, SMOKE, fresh_clone

pytestmark = [pytest.mark.slurm, pytest.mark.pipeline]

RUN = "results/runs/as_written/{}/seed42"
PLAN = ("--profile", "profiles/slurm", "--configfile", "configs/report.yaml", "-n")
SAME = ("model/model.safetensors", "training_log.jsonl", "predictions.parquet")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := slurm_cluster.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    with slurm_cluster.running(folder):
        yield folder


def test_the_report_can_be_planned_for_a_cluster(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *PLAN],
        cwd=fresh_clone(tmp_path / "essence").folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = dict(re.findall(r"^(\w+)\s+(\d+)\s*$", done.stdout + done.stderr, re.M))
    recipes = yaml.safe_load((ROOT / "config.yaml").read_text())["use_recipes"]
    assert int(jobs["train"]) == 9 * len(recipes) + ("as_run" in recipes)
    assert {"fetch_rows", "fetch_base_model", "predict"} <= set(jobs)


def test_the_login_node_fetches_what_is_verified(tmp_path):
    """The command as docs/cluster.md gives it."""
    guide = (ROOT / "docs/cluster.md").read_text()
    command = re.search(r"`.venv/bin/snakemake (fetch_rows [^`]*)`", guide).group(1)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *command.split(), "-n", "-p"],
        cwd=fresh_clone(tmp_path / "essence").folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    known = json.loads((ROOT / "resources/report_files.json").read_text())
    assert f"--git-blob {known['raw']['git_blob_sha1']}" in done.stdout + done.stderr
    assert f"--name {known['base_model']['name']} --revision 2f1fd09" in done.stdout + done.stderr


def test_runs_on_the_cluster_equal_local_ones(cluster, smoke, project):
    """Two runs through Slurm: on the GPU's node, one at a time, with the bytes of a local run."""
    runs = ("exp3_bs8_lr1e-4", "exp3_bs8_lr5e-5")
    for run in runs:
        shutil.rmtree(project.folder / RUN.format(run))
    targets = [RUN.format(run) + "/predictions.parquet" for run in runs]
    on_this_cluster(project).snakemake(
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


def edit_profile(project, train=None, **changes):
    """The project with `changes` in its Slurm profile, and other resources for its trainings."""
    path = project.folder / "profiles/slurm/config.yaml"
    profile = yaml.safe_load(path.read_text()) | changes
    profile["set-resources"]["train"] |= train or {}
    path.write_text(yaml.safe_dump(profile))
    return project


def on_this_cluster(project):
    """Made impatient, as suits a cluster of one machine; a failed job is not tried again."""
    waits = {"slurm-init-seconds-before-status-checks": 3, "latency-wait": 10}
    return edit_profile(project, retries=0, **waits)


@pytest.mark.slow
def test_a_preempted_training_goes_on_where_it_was(cluster, project):
    """A job of higher priority takes the GPU; the training is requeued and ends as if alone."""

    def preempt(log):
        urgent = ["sbatch", "-p", "gpuhi", "--gpus=1", "--mem=100", "-o", "/dev/null"]
        subprocess.run([*urgent, "--wrap", "sleep 2"], check=True, capture_output=True)

    ends_as_if_alone(on_this_cluster(project), preempt)


@pytest.mark.slow
def test_a_training_past_its_time_limit_goes_on_in_the_next_try(cluster, project):
    """It stalls until Slurm ends it after a minute; the retry takes up its checkpoint."""

    def stall(log):
        started = subprocess.run(
            ["pgrep", "-f", f"python -m workflow_scripts.warm model.train .*{log.parent.name}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        subprocess.run(["kill", "-STOP", *started], check=True)

    edit_profile(on_this_cluster(project), retries=1, train={"runtime": "attempt"})  # minutes
    said = ends_as_if_alone(project, stall)
    assert "TIMEOUT" in said or "time limit" in said.lower(), said


def ends_as_if_alone(project, disturb) -> str:
    """A training on Slurm, `disturb`ed after its first epoch, has an undisturbed one's bytes."""
    run = RUN.format("exp3_bs8_lr1e-4")
    target = f"{run}/training.json"
    project.edit("configs/smoke.yaml", "epochs: 1}", "epochs: 20, patience: null}")
    shutil.rmtree(project.folder / run)
    project.snakemake("--cores", "1", target)
    alone = {name: (project.folder / run / name).read_bytes() for name in SAME[:2]}
    shutil.rmtree(project.folder / run)
    log = project.folder / "logs/runs/as_written/exp3_bs8_lr1e-4/seed42/train.log"
    log.unlink()

    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm"]
    patience = ["--seconds-between-status-checks", "2"]
    with subprocess.Popen(
        [*command, *patience, target, *SMOKE],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as main:
        wait_for_checkpoint(log)
        disturb(log)
        said = main.communicate(timeout=400)[0]
    assert main.returncode == 0, said
    for name, content in alone.items():
        assert (project.folder / run / name).read_bytes() == content, name
    assert "resuming from" in log.read_text()
    return said


def wait_for_checkpoint(log):
    """Until a training says a step of its second epoch."""
    for _ in range(1200):
        if log.exists() and "\nstep " in log.read_text().partition("eval_loss")[2]:
            return
        time.sleep(0.1)
    pytest.fail(f"{log}: no checkpoint")


def facts(line: str) -> dict[str, str]:
    """One line of `scontrol show job` as a mapping."""
    return {"Comment": "", **dict(re.findall(r"(\w+)=(\S*)", line))}
