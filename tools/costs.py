"""Processor time of a run of the pipeline by stage, and what Snakemake itself takes.

    python -m tools.costs --snakemake "--cores 2"

Each job is counted to its end, with the processes that it started. (In a rule's `benchmark` file,
`cpu_time` is that of the last look: every half second at first, every half minute after 15 s.)
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated

from workflow_scripts import warm
from workflow_scripts.errors import EssenceError
from workflow_scripts.stage import Option, run_stage

# Read by every bash that runs a job. It writes a line in the end: user and system time of what it
# has run, and its command.
TRAP = """\
log() { times > "$COSTS.$$"; echo "$(tail -n 1 "$COSTS.$$") $BASH_EXECUTION_STRING" >> "$COSTS"; }
trap log EXIT
"""
LINE = re.compile(
    r"^(\d+)m([\d.]+)s (\d+)m([\d.]+)s .*?python (?:-P )?-m (?:workflow_scripts\.)?(?:warm )?(\S+)",
    re.M,
)
# Stages that ran in a fork of the warm process are not among what a job has run: it writes these.
WARM_LINE = re.compile(r"^(?:workflow_scripts\.)?(\S+) ([\d.]+)$", re.M)


def environment(folder: Path) -> dict[str, str]:
    """The environment in which jobs add lines to `folder`/costs, and the warm process to /warm."""
    (folder / "trap.sh").write_text(TRAP, encoding="utf-8")
    for name in ("costs", "warm"):
        (folder / name).touch()
    return {
        **os.environ,
        "BASH_ENV": str(folder / "trap.sh"),
        "COSTS": str(folder / "costs"),
        warm.COSTS: str(folder / "warm"),
    }


def in_forks(lines: str) -> Counter:
    """Stage -> seconds of processor time, of the lines that the warm process added."""
    seconds: Counter = Counter()
    for stage, taken in WARM_LINE.findall(lines):
        seconds[stage] += float(taken)
    return seconds


def by_stage(lines: str) -> tuple[Counter, Counter]:
    """Stage -> jobs, and stage -> seconds of processor time, of the lines that jobs added."""
    jobs, seconds = Counter(), Counter()
    for user_minutes, user, system_minutes, system, stage in LINE.findall(lines):
        jobs[stage] += 1
        seconds[stage] += 60 * (int(user_minutes) + int(system_minutes))
        seconds[stage] += float(user) + float(system)
    return jobs, seconds


def costs(
    snakemake: Annotated[str, Option("arguments of Snakemake, in quotes")] = "--cores all",
) -> None:
    """Raises EssenceError when Snakemake fails."""
    before = os.times()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "snakemake", *shlex.split(snakemake)]
        if subprocess.run(command, env=environment(folder)).returncode:
            raise EssenceError("Snakemake failed; what it cost would say nothing")
        after = os.times()
        jobs, seconds = by_stage((folder / "costs").read_text(encoding="utf-8"))
        forks = in_forks((folder / "warm").read_text(encoding="utf-8"))
    total = sum(after[2:4]) - sum(before[2:4]) + forks.total()
    seconds += forks
    print("| stage | jobs | processor (s) | a job |\n|---|---|---|---|")
    for stage, taken in seconds.most_common():
        each = f"{taken / jobs[stage]:.2f}" if jobs[stage] else ""
        print(f"| {stage} | {jobs[stage] or ''} | {taken:.1f} | {each} |")
    print(f"| Snakemake itself | | {total - seconds.total():.1f} | |")
    print(f"| **all** | {jobs.total()} | {total:.1f} | |")


if __name__ == "__main__":
    run_stage(costs)
