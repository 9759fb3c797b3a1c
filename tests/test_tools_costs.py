"""The processor time of jobs is counted to their end, by stage."""

import subprocess
import sys

from tools.costs import by_stage, environment, in_forks


def test_a_job_counts_with_the_processes_it_started(tmp_path):
    (tmp_path / "busy.py").write_text("import time\nwhile time.process_time() < 0.3: pass")
    (tmp_path / "twice.py").write_text(
        "import subprocess, sys\nfor _ in 'ab': subprocess.run([sys.executable, '-m', 'busy'])"
    )
    for name in ("busy", "twice", "twice"):
        subprocess.run(
            [
                "bash",
                "-c",
                f"set -euo pipefail; PATH={sys.prefix}/bin:$PATH; PYTHONPATH=. python -P -m {name}",
            ],
            env=environment(tmp_path),
            cwd=tmp_path,
            check=True,
        )
    jobs, seconds = by_stage((tmp_path / "costs").read_text())
    assert jobs == {"busy": 1, "twice": 2}
    assert seconds["busy"] > 0.29
    assert seconds["twice"] > 2 * 2 * 0.29


def test_a_line_names_its_stage_and_its_minutes():
    command = "set -euo pipefail; PYTHONPATH=x python -P -m workflow_scripts.data.read --raw a > b"
    assert by_stage(f"1m2.5s 0m0.25s {command}\n")[1] == {"data.read": 62.75}
    assert by_stage("0m1.0s 0m0.0s printf %s > b; python -m snakemake -n\n")[0] == {"snakemake": 1}


def test_what_ran_in_a_fork_counts_for_its_stage():
    command = "set -euo pipefail; python -P -m workflow_scripts.warm model.train --out a > b"
    assert by_stage(f"0m0.05s 0m0.01s {command}\n")[0] == {"model.train": 1}
    lines = "warm 3.10\nworkflow_scripts.model.train 2.50\nworkflow_scripts.model.train 1.00\n"
    assert in_forks(lines) == {"warm": 3.1, "model.train": 3.5}
