"""Running the project's commands as a person does at the shell."""

import subprocess
import sys

from material import ROOT


def run_module(
    module: str, *arguments: object, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -m module arguments` in the project's folder, whatever its exit status."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
