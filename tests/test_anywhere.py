"""The workflow in another working directory, as a module, in an environment of conda's."""

import os
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sample_rows
from conftest import Project, fresh_clone

from workflow_scripts import warm
from workflow_scripts.files import read_json

pytestmark = pytest.mark.pipeline

FIT = "results/fit/repaired.json"  # needs the rows and the stand-in
MODEL = "results/runs/repaired/exp1_natural/seed42/training.json"
HOST = """
rule count:
    input:
        "{fit}",
    output:
        "bytes.txt",
    shell:
        "wc -c < {{input}} > {{output}}"


module essence:
    snakefile:
        "{place}/Snakefile"
    config:
        config["essence"]


use rule * from essence{names}
"""
CONDA = """#!/bin/bash -e
case "$*" in
"info --json") echo '{{"conda_prefix": "{base}", "platform": "linux-64"}}' ;;
"--version") echo "conda 25.1.1" ;;
"config --get"*) echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
"env create"*)
    prefix="${{@: -1}}"
    {python} -m venv --without-pip "$prefix"
    echo '{packages}' > "$(echo "$prefix"/lib/python*/site-packages)/packages.pth"
    echo 'import sys; open("{log}", "a").write(f"{{sys.prefix}} {{sys.orig_argv}}\\n")' \\
        > "$(echo "$prefix"/lib/python*/site-packages)/log.pth" ;;
"clean"*) ;;
*) echo "conda $*: not known here" >&2; exit 1 ;;
esac
"""


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
        (elsewhere(clone, twin), (FIT, MODEL)),
        (elsewhere(clone, own, "--config", "data={source: path, path: rows.jsonl}"), (FIT,)),
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda each: each[0].snakemake("--cores", "1", *each[1]), projects))
    rows = [read_json(place / "results/data/reading.json")["rows"] for place in (twin, own)]
    assert rows[0] == 3375 and 0 < rows[1] < 100
    assert (twin / MODEL).is_file() and (twin / "resources/twin/databases").is_dir()
    assert not (own / "resources/twin").exists() and (own / FIT).is_file()
    noted = (tmp_path / "costs").read_text()
    assert noted.splitlines()[-1].startswith("workflow_scripts.model.train"), "a fork trained it"
    assert files == {path for path in clone.rglob("*") if "__pycache__" not in path.parts}

    moved = clone.rename(tmp_path / "moved")
    assert elsewhere(moved, twin).stale(FIT, MODEL) == {}, "the clone's place counts for nothing"
    (moved / "resources/models/standin/tokenizer_config.json").write_text("{}")
    stale = elsewhere(moved, twin).stale(FIT, MODEL)
    assert stale["copy_own_files"] == stale["train"] == stale["audit_fit"] == 1


@pytest.mark.parametrize("prefix", ["essence_", pytest.param("", marks=pytest.mark.slow)])
def test_as_a_module_of_another_workflow(tmp_path, prefix):
    clone = fresh_clone(tmp_path / "clone").folder
    host = Project(tmp_path / "host", "--configfile", "host.yaml")
    host.folder.mkdir()
    names = f" as {prefix}*" if prefix else ""
    (host.folder / "Snakefile").write_text(HOST.format(fit=FIT, place=clone, names=names))
    config = (clone / "configs/smoke.yaml").read_text().splitlines(keepends=True)
    text = "title: a key of the host's own\nessence:\n" + "".join(f"  {line}" for line in config)
    (host.folder / "host.yaml").write_text(text)
    planned = host.stale("bytes.txt", f"{prefix}all")
    assert planned["count"] == planned[f"{prefix}make_report"] == 1
    assert planned[f"{prefix}train"] == planned[f"{prefix}predict"] == 15
    host.snakemake("--cores", "1", "bytes.txt")
    size = (host.folder / FIT).stat().st_size
    assert int((host.folder / "bytes.txt").read_text()) == size > 100


def test_stages_run_with_the_python_of_condas_environment(tmp_path, monkeypatch):
    """No channel of conda's is needed: a command of that name makes the environment, by venv."""
    base, log = tmp_path / "base", tmp_path / "log"
    (base / "bin").mkdir(parents=True)
    packages = sysconfig.get_paths()["purelib"]
    made = CONDA.format(base=base, python=sys.executable, packages=packages, log=log)
    (base / "bin/conda").write_text(made)
    (base / "bin/conda").chmod(0o755)
    (base / "bin/activate").write_text('export PATH="$1/bin:$PATH"\n')
    monkeypatch.setenv("PATH", f"{base}/bin:{os.environ['PATH']}")
    clone = fresh_clone(tmp_path / "clone").folder
    project = elsewhere(clone, tmp_path / "project", "--sdm", "conda")
    project.snakemake("--cores", "1", "resources/twin/rows.jsonl")
    [environment] = (tmp_path / "project/.snakemake/conda").glob("*_/")
    assert f"{environment} ['python', '-P', '-m', 'workflow_scripts.data.twin.build'" in (
        log.read_text()
    )
