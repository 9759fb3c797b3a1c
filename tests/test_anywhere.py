"""The workflow in another working directory, and as a module."""

import re
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sample_rows
import yaml
from conftest import Project, fresh_clone

from workflow_scripts import warm
from workflow_scripts.files import read_json

pytestmark = pytest.mark.pipeline

FIT = "results/fit/repaired.json"  # needs the rows and the stand-in
MODEL = "results/runs/repaired/exp1_natural/seed42/training.json"


def elsewhere(clone: Path, folder: Path, *options: str) -> Project:
    """The workflow of a clone with `folder` as its working directory, which need not exist."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    smoke = ("--configfile", f"{clone}/configs/smoke.yaml")
    return Project(
        folder.parent, "-s", f"{clone}/Snakefile", "--directory", str(folder), *smoke, *options
    )


def test_two_projects_side_by_side_from_one_clone(tmp_path, monkeypatch):
    clone = fresh_clone(tmp_path / "clone").folder
    files = {path for path in clone.rglob("*") if "__pycache__" not in path.parts}
    twin, own = tmp_path / "twin", tmp_path / "own"
    own.mkdir()
    sample_rows.write(own / "rows.jsonl", [*sample_rows.many(2, 2)])
    (own / "workflow_scripts.py").write_text("raise SystemExit('not the package of the clone')")
    monkeypatch.setenv(warm.COSTS, str(tmp_path / "costs"))
    projects = [
        (elsewhere(clone, twin), MODEL),
        (elsewhere(clone, own, "--config", "data={source: path, path: rows.jsonl}"), FIT),
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda each: each[0].snakemake("--cores", "1", each[1]), projects))
    rows = [read_json(place / "results/data/reading.json")["rows"] for place in (twin, own)]
    assert rows[0] == 360 and 0 < rows[1] < 100
    assert (twin / MODEL).is_file() and (twin / "resources/twin/databases").is_dir()
    assert not (own / "resources/twin").exists() and (own / FIT).is_file()
    noted = (tmp_path / "costs").read_text()
    assert noted.splitlines()[-1].startswith("workflow_scripts.model.train"), "a fork trained it"
    assert files == {path for path in clone.rglob("*") if "__pycache__" not in path.parts}

    moved = clone.rename(tmp_path / "moved")
    assert elsewhere(moved, twin).stale(MODEL) == {}, "the clone's place counts for nothing"
    (moved / "resources/models/standin/tokenizer_config.json").write_text("{}")
    stale = elsewhere(moved, twin).stale(MODEL)
    assert stale["copy_own_files"] == stale["train"] == 1


def test_as_a_module_of_another_workflow(tmp_path):
    """As docs/configuration.md shows it, with few rows of the host's own."""
    clone, host = fresh_clone(tmp_path / "clone").folder, tmp_path / "host"
    host.mkdir()
    text = (clone / "docs/configuration.md").read_text()
    [shown] = re.findall(r"^  ```python\n(  module essence:\n.*?)^  ```", text, re.M | re.S)
    sample_rows.write(host / "rows.jsonl", [*sample_rows.many(2, 2)])
    (host / "Snakefile").write_text(textwrap.dedent(shown).replace("PATH", str(clone)))
    own = {"data": {"source": "path", "path": "rows.jsonl"}, "use_recipes": ["repaired"]}
    (host / "host.yaml").write_text(yaml.safe_dump({"title": "the host's own", "essence": own}))
    project = Project(host, "--configfile", "host.yaml")
    assert project.stale("essence_all")["essence_make_report"] == 1
    project.snakemake("--cores", "1", FIT)
    assert read_json(host / FIT)["recipe"] == "repaired"
