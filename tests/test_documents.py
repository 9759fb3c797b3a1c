"""What the documents say works: commands run, files exist; and code keeps what they say."""

import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import material
import pytest
from conftest import fresh_clone
from material import ROOT

from workflow_scripts.commands import declared_arguments

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGURATIONS = sorted([*(ROOT / "configs").glob("*.yaml"), *ROOT.glob("profiles/*/*.yaml")])


def code_of(page: Path) -> Iterator[str]:
    """Lines of blocks without a language, what stands between back quotes, a file's usage."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".yaml":
        yield from re.findall(r"^#   (\S.*)$", text, re.MULTILINE)
        return
    fence = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
    for language, block in fence.findall(text):
        yield from (line.strip() for line in block.splitlines() if not language)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", fence.sub("", text)))


def commands(program: str) -> dict[tuple[str, ...], str]:
    """Arguments of every call of a program -> a page with it."""
    found = {}
    for page in [*PAGES, *CONFIGURATIONS]:
        for line in code_of(page):
            if re.match(r"--config(file)? \S", line):  # what is said of Snakemake alone
                line = f"snakemake --cores all {line}"
            call = re.match(rf"(?:\S*/bin/)?{program}(?: |$)(.*)", line)
            if call:
                found[tuple(shlex.split(call[1], comments=True))] = page.name
    return found


def calls_of(program: str) -> list:
    """The calls as parameters of a test."""
    return [
        pytest.param(list(words), id=f"{page}: {' '.join(words)}")
        for words, page in commands(program).items()
    ]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory, twin) -> Path:
    """A clone, and the files of a user that the documents' commands name."""
    folder = tmp_path_factory.mktemp("documents")
    fresh_clone(folder)
    rows = material.rows_of_twin(twin, folder / "rows.jsonl")
    shutil.copy(rows.file, folder / "FILE.jsonl")
    databases = material.databases_of("awkward", folder)
    for built in (folder, folder / "spider"):
        built.mkdir(exist_ok=True)
        (built / "database").symlink_to(databases.folder)
        shutil.copy(databases.questions, built / "train_spider.json")
        (built / "tables.json").write_text("[]")
    shutil.copytree(ROOT / "resources/models/standin", folder / "models/smollm2")
    (folder / "models/smollm2/config.json").write_text('{"model_type": "llama"}')
    asked = [{**each, "prediction": each["query"]} for each in databases.sample(3, seed=1)]
    (folder / "predictions.json").write_text(json.dumps(asked))
    for name in ("a.txt", "b.txt", "old.txt", "new.txt"):  # predictions: what is before the tab
        gold = [f"{each['query']}\t{each['db_id']}\n" for each in asked]
        (folder / name).write_text("".join(gold))
    verdict = {"place": "line 1", "verdict": "wrong", "error": None, "hardness": "easy"}
    verdict |= {"predictions_file": "a.txt", "gold_file": "old.txt", "gold": asked[0]["query"]}
    (folder / "verdicts.jsonl").write_text(json.dumps(asked[1] | verdict))
    (folder / "mine.yaml").write_text("ablation: {in_report: true}\n")
    return folder


def test_every_call_of_snakemake_is_accepted(clone):
    """Two at a time, as each takes seconds; --report needs results."""
    calls = {tuple(re.sub("--cores [^ ]+", "--cores 1", " ".join(words)).split(" ")): words
             for words in commands("snakemake") if "--report" not in words}  # fmt: skip
    options = ("--cores", "1", "--dry-run", "--quiet", "all")
    dry = [(f"{sys.prefix}/bin/snakemake", *words, *options) for words in calls.values()]
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda call: run(clone, *call), dry):
            said = f"{done.args}{done.stdout}{done.stderr}"
            assert done.returncode == 0 and "Job stats" in done.stdout, said[-3000:]


@pytest.mark.parametrize("words", calls_of("make"))
def test_make_knows_every_target_and_what_it_does(words, clone):
    (clone / ".venv").mkdir(exist_ok=True)
    (clone / ".venv/.ready").touch()
    done = run(clone, "make", "--dry-run", *words)
    assert done.returncode == 0, done.stderr
    makefile = (ROOT / "Makefile").read_text()
    names = [word.partition("=")[0] for word in words if "=" in word]
    assert all(re.search(rf"^{name} \?=", makefile, re.MULTILINE) for name in names)


# What takes the place of DIR and FILE, of the options that have them.
MATERIAL = {
    "--predictions": "predictions.json",
    "--gold": "predictions.json",
    "--databases": "database",
    "--tokenizer": "resources/models/standin",
}
# Modules that need a trained model, results, a GPU, other material or minutes, which a clone lacks.
NEED_MORE = (
    "pytest",
    "tools.ask_trial",
    "tools.costs",
    "tools.endpoint_cost",
    "tools.gpu_check",
    "tools.pretrain",
    "tools.results_tables",
    "tools.scoring_agreement",
    "workflow_scripts.agents.ask",
    "workflow_scripts.model.convert",
)
OF_MODULES = [call for call in calls_of("python -m") if call.values[0]]


@pytest.mark.parametrize("words", [call for call in OF_MODULES if call.values[0][0] != "pytest"])
def test_modules_are_called_with_options_that_they_have(words):
    module, *arguments = words
    if (ROOT / module.replace(".", "/")).is_dir():
        module = f"{module}.__main__"
    options = {f"--{name.replace('_', '-')}" for name in declared_arguments(module)}
    assert {word.partition("=")[0] for word in arguments if word.startswith("--")} <= options


@pytest.mark.parametrize(
    "words", [call for call in OF_MODULES if call.values[0][0] not in NEED_MORE]
)
def test_every_call_of_a_module_runs(words, clone):
    for place, (option, value) in enumerate(itertools.pairwise(words), start=1):
        if value in ("DIR", "FILE", "FILE.jsonl"):
            words[place] = MATERIAL.get(option, value)
    done = run(clone, sys.executable, "-m", *words)
    assert done.returncode == 0, done.stderr


def test_every_file_that_a_link_names_exists():
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]+)#?([^):]*)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} names {target}"
            assert not anchor or f'<a id="{anchor}">' in (page.parent / target).read_text(), anchor
