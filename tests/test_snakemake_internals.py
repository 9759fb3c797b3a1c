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
