"""What the documents say works: commands run, files exist; and code keeps what they say."""

import contextlib
import functools
import io
import itertools
import json
import multiprocessing
import operator
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import material
import pytest
import snakemake.cli
import yaml
from conftest import fresh_clone
from material import ROOT

from workflow_scripts.commands import declared_arguments
from workflow_scripts.report.claims import claims

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
    calls = {}
    for page in [*PAGES, *CONFIGURATIONS]:
        for line in code_of(page):
            if re.match(r"--config(file)? \S", line):  # what is said of Snakemake alone
                line = f"snakemake --cores all {line}"
            call = re.match(rf"(?:\S*/bin/)?{program}(?: |$)(.*)", line)
            if call:
                calls[tuple(shlex.split(call[1], comments=True))] = page.name
    return calls


def calls_of(program: str) -> list:
    """The calls as parameters of a test."""
    return [
        pytest.param(list(words), id=f"{page}: {' '.join(words)}")
        for words, page in commands(program).items()
        if words or program == "make"
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
    (folder / "mine.yaml").write_text("ablation: {in_report: true}\n")
    return folder


def plan(words: list[str]) -> tuple[list[str], object, str]:
    """How a dry run of Snakemake with these arguments ends, and its output."""
    output = io.StringIO()
    to_text = contextlib.redirect_stdout(output), contextlib.redirect_stderr(output)
    with to_text[0], to_text[1], pytest.raises(SystemExit) as end:
        snakemake.cli.main([*words, "--cores", "1", "--dry-run", "--quiet", "all"])
    return words, end.value.code, output.getvalue()


def test_every_call_of_snakemake_is_accepted(clone, monkeypatch):
    """In forks of this process, which has imported Snakemake; --report needs results."""
    calls = {re.sub("--cores [^ ]+ ?", "", " ".join(words)): words
             for words in commands("snakemake") if "--report" not in words}  # fmt: skip
    monkeypatch.chdir(clone)
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        for words, code, output in pool.imap_unordered(plan, calls.values()):
            assert not code and "Job stats" in output, f"{words} {output[-3000:]}"


def test_coverage_names_every_claim_and_nothing_that_is_not_there(clone, monkeypatch):
    """Files, settings and results in the last column of its tables."""
    page = (ROOT / "docs/coverage.md").read_text(encoding="utf-8")
    for name, claim in claims().items():
        assert f"| {claim['text']} | `{name}` |\n" in page
    cells = [line.split("|")[-2] for line in page.splitlines() if line[:1] == "|"]
    spans = {span for cell in cells for span in re.findall("`([^`]+)`", cell)} - {*claims()}
    results = {span for span in spans if span.startswith("results/")}
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for span in spans - results:
        if not (ROOT / span).is_file():
            functools.reduce(operator.getitem, span.split("."), config)  # a setting, else KeyError
    monkeypatch.chdir(clone)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        _, code, output = pool.apply(plan, [sorted(results)])
    assert results and not code, output[-3000:]


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
MATERIAL = {"--databases": "database", "--tokenizer": "resources/models/standin"}
MATERIAL |= dict.fromkeys(("--predictions", "--gold"), "predictions.json")
# Modules that need a trained model, results, a GPU, other material or minutes, which a clone lacks.
NEED_MORE = ["pytest", "workflow_scripts.agents.ask", "workflow_scripts.model.convert"]
NEED_MORE += ["tools.ask_trial", "tools.costs", "tools.endpoint_cost", "tools.gpu_check"]
NEED_MORE += ["tools.pretrain", "tools.results_tables", "tools.scoring_agreement"]
NEED_MORE += ["workflow_scripts.report.browse"]


@pytest.mark.parametrize("words", calls_of("python -m"))
def test_every_call_of_a_module_runs_or_has_options_that_it_knows(words, clone):
    if words[0] not in NEED_MORE:
        for place, (option, value) in enumerate(itertools.pairwise(words), start=1):
            if value in ("DIR", "FILE", "FILE.jsonl"):
                words[place] = MATERIAL.get(option, value)
        done = run(clone, sys.executable, "-m", *words)
        assert done.returncode == 0, done.stderr
    elif words[0] != "pytest":
        is_folder = (ROOT / words[0].replace(".", "/")).is_dir()
        arguments = declared_arguments(words[0] + ".__main__" * is_folder)
        options = {f"--{name.replace('_', '-')}" for name in arguments}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


def test_every_file_that_a_link_names_exists():
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]+)#?([^):]*)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} names {target}"
            assert not anchor or f'<a id="{anchor}">' in (page.parent / target).read_text(), anchor
