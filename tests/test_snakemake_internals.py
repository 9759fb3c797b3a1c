"""The parts of Snakemake that are not documented and that the rules need all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

INTERNALS = Path(__file__).resolve().parent.parent / "rules/internals.smk"
SNAKEFILE = f"""
include: "{INTERNALS}"
limit_gpus(1)

rule all:
    input:
        expand("{{name}}.txt", name=list("abc")),

rule job:
    output:
        "{{name}}.txt",
    resources:
        gpu=1,
    shell:
        "echo start >> log; sleep 1; echo end >> log; touch {{output}}"
"""


@pytest.mark.pipeline
@pytest.mark.parametrize(("options", "at_once"), [([], 1), (["--resources", "gpu=3"], 3)])
def test_as_many_jobs_as_there_are_gpus_run_at_once(tmp_path, options, at_once):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "3", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    running = most = 0  # jobs
    for event in (tmp_path / "log").read_text().split():
        running += 1 if event == "start" else -1
        most = max(most, running)
    assert most == at_once, "rules/internals.smk: Snakemake takes no limit that is set there"


LOOKS = f"""
import threading
include: "{INTERNALS}"

onstart:
    if config.get("rest"):
        disable_job_rate_limit()

onsuccess:
    print("looks to come:", sum(type(each) is threading.Timer for each in threading.enumerate()))

rule all:
    output:
        "done.txt",
    shell:
        "touch {{output}}"
"""


@pytest.mark.pipeline
def test_the_scheduler_does_not_look_for_jobs_again_and_again(tmp_path):
    (tmp_path / "Snakefile").write_text(LOOKS)

    def looks(*options):
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--forceall", *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return int(done.stdout.rsplit(":")[-1])

    assert looks("--config", "rest=yes") == 0, "rules/internals.smk: the limit is elsewhere"
    assert looks(), "Snakemake has fixed this: disable_job_rate_limit in internals.smk can go"


SIZES = """
rule all:
    input:
        expand("{name}.done", name=list("abcde")),

rule job:
    input:
        "{name}.rows",
    output:
        "{name}.done",
    priority: 1
    shell:
        "echo {wildcards.name} >> order; touch {output}"
"""


@pytest.mark.pipeline
def test_the_job_with_the_most_rows_starts_first(tmp_path):
    (tmp_path / "Snakefile").write_text(SIZES)
    for size, name in enumerate("bdaec"):
        (tmp_path / f"{name}.rows").write_text("row\n" * 100 * size)
    profile = ["--workflow-profile", str(INTERNALS.parent.parent / "profiles/default")]
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *profile]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "order").read_text().split() == list("ceadb")
