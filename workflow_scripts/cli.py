"""The command `essence`: the stages that serve any rows and databases, without Snakemake.

    essence fit     is my data cut off?          essence score   are my predictions right?
    essence build   rows from questions          essence browse  a page of those that are not
    essence ask     ask a database

`essence fit --help` and so on explain each. Only `ask` needs PyTorch.
"""

import importlib
import os
import sys

from workflow_scripts.stage import run_stage

STAGES = {"fit": "text.fit", "score": "metrics.score", "browse": "report.browse"}
STAGES |= {"build": "data.build", "ask": "agents.ask"}


def main() -> None:
    """Run the stage that the first word names; the other words are its arguments."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name not in STAGES:
        print(__doc__, file=sys.stdout if name in ("-h", "--help") else sys.stderr)
        sys.exit(0 if name in ("-h", "--help") else 2)
    # Or transformers warns that there is no PyTorch, which most of the stages do without.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    del sys.argv[1]
    try:
        module = importlib.import_module(f"workflow_scripts.{STAGES[name]}")
        run_stage(getattr(module, name), f"essence {name}")
    except ModuleNotFoundError as error:
        if name != "ask":
            raise
        sys.exit(
            f"error: {error.name} is not installed. Get it in the project's folder: "
            "pip install '.[ask]'"
        )
