"""What tests share: copies of the project, a tiny model, reference material, made-up results."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import material
import pytest
import report_files
import yaml
from filelock import FileLock
from material import ROOT
from snakemake.utils import update_config

from tools.twin import build
from tools.twin.build import TwinSettings
from workflow_scripts.files import read_json, write_json
from workflow_scripts.report.tabulate import tabulate

SMOKE = ("--configfile", "configs/smoke.yaml")


class Project:
    """A copy of the project in a folder of its own, and Snakemake run in it."""

    def __init__(self, folder: Path, *options: str):
        """`options`: those of every call of Snakemake; without, the smoke configuration."""
        self.folder, self.options = folder, options or SMOKE

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run Snakemake; output is captured as text."""
        done = subprocess.run(
            [f"{sys.prefix}/bin/snakemake", *arguments, *self.options],  # as README and make do
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"},
        )
        if check and done.returncode:
            pytest.fail(f"snakemake {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"[-6000:])
        return done

    def stale(self, *arguments: str) -> dict[str, int]:
        """What a dry run would run: rule -> number of jobs."""
        done = self.snakemake("--cores", "2", "--dry-run", *arguments)
        text = done.stdout + done.stderr
        if "Nothing to be done" in text:
            return {}
        table = text.split("Job stats:", 1)[1].split("total", 1)[0]
        return {name: int(n) for name, n in re.findall(r"^(\w+)\s+(\d+)\s*$", table, re.M)}

    def copy(self, target: Path) -> "Project":
        """This project with its results, cheaply: models are hard links."""

        def link_or_copy(source: str, destination: str) -> None:
            large = Path(source).stat().st_size > 2**20
            (os.link if large else shutil.copy2)(source, destination)

        shutil.copytree(self.folder, target, copy_function=link_or_copy, symlinks=True)
        return Project(target, *self.options)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in one file of this copy."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1))


def fresh_clone(target: Path) -> Project:
    """The project's files as git sees them (tracked, and new ones not ignored), nothing else."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return Project(target)


@pytest.fixture(scope="session")
def once(tmp_path_factory, worker_id) -> Callable[[str, Callable[[Path], object]], Path]:
    """The folder of this name, made by a function once for all tests that run side by side."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, finished = shared / name, shared / f"{name}.finished"
        with FileLock(shared / f"{name}.lock"):
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                finished.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def smoke(once) -> Project:
    """A clone in which everything was run once with the smoke configuration. Do not edit it."""
    return Project(once("smoke", lambda folder: fresh_clone(folder).snakemake("--cores", "2")))


@pytest.fixture
def project(smoke, tmp_path) -> Project:
    """A copy of the finished smoke project that a test may edit."""
    return smoke.copy(tmp_path / "essence")


def merged(base, overlay):
    """Put an overlay over a configuration, as Snakemake's --configfile does."""
    update_config(base, overlay)
    return base


def overlaid(name):
    """config.yaml with one of the files in configs/ over it."""
    files = (ROOT / "config.yaml", ROOT / "configs" / name)
    return merged(*(yaml.safe_load(file.read_text()) for file in files))


@pytest.fixture(scope="session", params=material.ROW_SOURCES)
def real_rows(request, tmp_path_factory) -> material.Rows:
    """Five rows of the original dataset where they are at hand, and five of the twin."""
    if request.param == "original":
        return material.original_rows()
    twin = request.getfixturevalue("twin")
    return material.rows_of_twin(twin, tmp_path_factory.mktemp("rows") / "five.jsonl")


@pytest.fixture(scope="session", params=material.DATABASE_SOURCES)
def real_databases(request, tmp_path_factory) -> material.Databases:
    """Spider's databases where they are at hand, and those with their awkward traits."""
    return material.databases_of(request.param, tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A model of few weights and samples of few rows, as tiny_model.py makes them."""
    import tiny_model  # with torch, which most tests do without

    return tiny_model.make_all(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def twin(once) -> Path:
    """The generated twin as the pipeline builds it: rows.jsonl, truth.jsonl, databases/."""
    return once("twin", lambda folder: build.build(folder, TwinSettings()))


@pytest.fixture(scope="session")
def runs(once) -> list[Path]:
    """Three recipes, eight runs, two seeds, as report_files.py makes them up: their folders.

    answers.parquet and scores.parquet lie beside the recipes.
    """

    def make(root: Path) -> None:
        folders = report_files.make_all_runs(root, (1, 2))
        report_files.make_tables(root, folders)
        write_json(root / "folders.json", list(map(str, folders)))

    return [*map(Path, read_json(once("runs", make) / "folders.json"))]


@pytest.fixture(scope="session")
def tables(runs, once) -> Path:
    """results/tables of these runs, as report/tabulate.py writes them. Do not edit it."""
    parquet = [runs[0].parents[2] / f"{name}.parquet" for name in ("answers", "scores")]
    return once("tables", lambda folder: tabulate(runs, *parquet, report_files.PUBLISHED, folder))
