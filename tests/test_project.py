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
from conftest import fresh_clone

from tools import conda_pins

ROOT = Path(__file__).resolve().parent.parent


def test_conda_has_the_locks_pins():
    assert conda_pins.ENVIRONMENT.read_text() == conda_pins.environment(), (
        "run: python -m tools.conda_pins"
    )


def test_the_lock_pins_what_is_used_and_what_is_installed():
    pinned = dict(pin.split("==") for pin in conda_pins.pins())
    assert pinned["torch"] == "2.13.0"
    wanted = re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    names = {name.lower().replace("_", "-"): name for name in pinned}
    for name in wanted:
        assert version(name).split("+")[0] == pinned[names[name.lower()]], name


def test_the_build_the_citation_and_the_changelog_name_the_same_version():
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changes = re.findall(r"^## (\d\S+) \((.*)\)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert changes[0] == (built, str(cited["date-released"])) and cited["version"] == built


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["snakefmt", "--check", "Snakefile", "rules"],
        ["snakemake", "--lint"],
        ["lint-imports"],
        ["codespell"],
    ],
    ids=" ".join,
)
def test_style(command):
    done = subprocess.run(
        [Path(sys.executable).parent / command[0], *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("python", "said"),
    [("", "essence needs Python 3.11 or newer"), ("./no-venv", "has no venv module")],
)
def test_make_says_what_is_missing_and_how_to_get_it(tmp_path, python, said):
    project = fresh_clone(tmp_path / "essence").folder
    (project / "no-venv").write_text("#!/bin/sh\nexit 1\n")
    (project / "no-venv").chmod(0o755)
    done = subprocess.run(["make", f"PYTHON={python}"], cwd=project, capture_output=True, text=True)
    assert done.returncode
    assert said in done.stderr
    assert "apt-get install" in done.stderr
    assert not (project / ".venv").exists()


def test_make_does_not_empty_an_environment_that_is_linked(tmp_path):
    project, shared = fresh_clone(tmp_path / "essence").folder, tmp_path / "shared"
    shared.mkdir()
    (shared / "package.py").touch()
    (project / ".venv").symlink_to(shared)
    done = subprocess.run(["make"], cwd=project, capture_output=True, text=True)
    assert done.returncode and "rm .venv" in done.stderr
    assert (shared / "package.py").exists()


def test_clean_work_lists_before_it_deletes(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    leftover = tmp_path / "work/runs/as_written/old/seed1"
    leftover.mkdir(parents=True)
    for answer, is_kept in (("n\n", True), ("y\n", False)):
        command = ["make", "clean-work"]
        done = subprocess.run(command, cwd=tmp_path, input=answer, capture_output=True, text=True)
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
