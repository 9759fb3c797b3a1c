"""The project's own files agree with each other, and its two commands say what they miss."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from material import ROOT

from tools import artefacts_table, conda_pins
from workflow_scripts.report.artefacts import artefacts, repaired_in, repairs
from workflow_scripts.report.claims import claims
from workflow_scripts.report.judge import OWN_LOG, SCORED


def test_what_tools_write_is_up_to_date():
    assert conda_pins.ENVIRONMENT.read_text() == conda_pins.environment(), (
        "run: python -m tools.conda_pins"
    )
    text = artefacts_table.PAGE.read_text()
    assert text == artefacts_table.page(text), "run: python -m tools.artefacts_table"


def test_the_lock_pins_what_is_used_and_what_is_installed():
    pinned = dict(pin.split("==") for pin in conda_pins.pins())
    wanted = re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    names = {name.lower().replace("_", "-"): name for name in pinned}
    for name in wanted:
        assert version(name).split("+")[0] == pinned[names[name.lower()]], name


def test_the_build_the_citation_and_the_changelog_name_the_same_version():
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changes = re.findall(r"^## (\d\S+) \((.*)\)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert changes[0] == (built, str(cited["date-released"])) and cited["version"] == built


def test_the_twelve_artefacts_name_claims_that_are_tested_and_repairs_that_are_configured():
    assert list(artefacts()) == [f"A{number}" for number in range(1, 13)]
    named = {claim for each in artefacts().values() for claim in each.get("claims", [])}
    assert named <= {*claims(), *SCORED, OWN_LOG}
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert set(config["ablation"]["repairs"]) == set(repairs())
    assert {name for _, name in repairs().values()} == set(repaired_in("repaired"))


def test_style():
    """All of `make lint`; `-o` keeps make from building the environment."""
    command = ["make", "lint", "-o", ".venv/.ready", f"BIN={sys.prefix}/bin"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# --- the commands of make


def make(folder: Path, *arguments: str, answer: str = "") -> subprocess.CompletedProcess:
    """Run make where there is nothing of the project but its Makefile."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.lock").touch()
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, input=answer, capture_output=True, text=True)


def test_make_says_what_is_missing_and_how_to_get_it(tmp_path):
    (tmp_path / "no-venv").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "no-venv").chmod(0o755)
    messages = {"": "essence needs Python 3.11 or newer", "./no-venv": "has no venv module"}
    for python, message in messages.items():
        done = make(tmp_path, f"PYTHON={python}")
        assert done.returncode and message in done.stderr and "apt-get install" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_make_does_not_empty_an_environment_that_is_linked(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "package.py").touch()
    (tmp_path / ".venv").symlink_to(shared)
    done = make(tmp_path)
    assert done.returncode and "rm .venv" in done.stderr and (shared / "package.py").exists()


def test_clean_work_lists_before_it_deletes(tmp_path):
    leftover = tmp_path / "work/runs/as_written/old/seed1"
    leftover.mkdir(parents=True)
    for answer, is_kept in (("n\n", True), ("y\n", False)):
        done = make(tmp_path, "clean-work", answer=answer)
        assert "work/runs/as_written/old/seed1" in done.stdout and leftover.exists() is is_kept


@pytest.mark.slow
def test_without_a_gpu_pytorch_comes_without_cuda(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").write_text("torch==9.9\n")
    index = tmp_path / "index" / "torch"
    index.mkdir(parents=True)
    files = {
        "torch/__init__.py": "",
        "torch-9.9+cpu.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 9.9+cpu",
        "torch-9.9+cpu.dist-info/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
        "torch-9.9+cpu.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(index / "torch-9.9+cpu-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    (index / "index.html").write_text('<a href="torch-9.9%2Bcpu-py3-none-any.whl">torch</a>')
    command = ["make", "-B", ".venv/.ready", "GPU=", f"TORCH_CPU={index.parent.as_uri()}"]
    pip = os.environ | {"PIP_CONFIG_FILE": os.devnull}
    subprocess.run(command, cwd=tmp_path, check=True, env=pip)
    assert [*tmp_path.glob(".venv/lib/*/site-packages/torch-9.9+cpu.dist-info")]
    pip["PIP_NO_INDEX"] = "1"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=pip)
    assert "did not give PyTorch" in done.stdout and done.returncode
