"""Keep envs/essence.yaml in step with requirements.lock: the same pins, for conda.

python -m tools.conda_pins          # write it
"""

from pathlib import Path

from workflow_scripts.files import write_text
from workflow_scripts.stage import run_stage

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
ENVIRONMENT = ROOT / "envs" / "essence.yaml"
HEAD = """# The versions of requirements.lock, for conda; written by `make lock`.
#   conda env create -f envs/essence.yaml && conda activate essence && snakemake --cores all
# Rules name it, so that `snakemake --sdm conda` works as well.
name: essence
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def pins() -> list[str]:
    """The lock's lines `name==version`."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def environment() -> str:
    return HEAD + "".join(f"      - {pin}\n" for pin in pins())


def main() -> None:
    write_text(ENVIRONMENT, environment())
    print(f"{ENVIRONMENT.relative_to(ROOT)}: {len(pins())} pins")


if __name__ == "__main__":
    run_stage(main)
