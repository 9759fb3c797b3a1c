"""A rule's command: it hands over what the rule has, and goes stale with the code of its stage."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from material import ROOT

from workflow_scripts import commands, stage
from workflow_scripts.errors import EssenceError

STAGES = {
    "note.py": '''
"""Writes down its arguments."""
from pathlib import Path
from typing import Annotated
from pydantic import BaseModel
from workflow_scripts.files import write_json
from workflow_scripts.helper import ANSWER
from workflow_scripts.stage import Input, Log, Option, Output, Setting, run_stage


class Run(BaseModel):
    name: str


def note(
    rows: Annotated[list[Path], Input("files")],
    out: Annotated[Path, Output("what was given")],
    refused: Annotated[Path, Log("what was refused")],
    words: Annotated[str, Setting("a text")],
    names: Annotated[list[str], Setting("some texts")],
    style: Annotated[dict, Setting("a mapping")],
    run: Annotated[Run, Setting("typed settings")],
    timed: Annotated[bool, Setting("yes or no")],
    threads: Annotated[int, Setting("threads")],
    test: Annotated[Path | None, Input("may be missing")] = None,
    share: Annotated[float, Setting("a number")] = 0.5,
    revision: Annotated[str | None, Setting("may be None")] = None,
    nobody: Annotated[list[str], Setting("may be empty")] = [],
    *,
    json: Annotated[bool, Option("print JSON")] = False,
):
    refused.write_text("nothing")
    given = {**locals(), "rows": [str(path) for path in rows], "run": run.name}
    write_json(out, {key: given[key] for key in given if key not in ("out", "refused")})
    print("answer", ANSWER)


if __name__ == "__main__":
    run_stage(note)
''',
    "copy.py": '''
"""Copies a file."""
import shutil
from pathlib import Path
from typing import Annotated
from workflow_scripts.stage import Input, Output, run_stage


USES_FILES = ["*.txt"]


def copy(
    a: Annotated[Path, Input("from")],
    b: Annotated[Path, Output("to")],
):
    shutil.copyfile(a, b)


if __name__ == "__main__":
    run_stage(copy)
''',
    "helper.py": "ANSWER = 42\n",
    "words.txt": "one",
}
RUN = {"name": "it's"}
SNAKEFILE = f"""
import json, sys
from workflow_scripts.commands import stage_command
shell.prefix("PATH={Path(sys.executable).parent}:$PATH; ")

rule all:
    input: "copied.json"

rule note:
    input: rows=["a b.txt", "it's.txt"], test=[]
    output: out="note {{kind}}.json"
    log: "note {{kind}}.log", refused="refused {{kind}}.txt"
    params:
        words=lambda wildcards: 'two  spaces, "quotes" & $HOME; {{braces}}',
        names=["a b", "it's", "*"],
        style=json.dumps({{"font.size": 9, "a b": "it's"}}), run={json.dumps(RUN)!r},
        timed=False, share=0.25, revision=None, nobody=[],
    threads: 1
    shell: stage_command("note")

rule copy:
    input: a="note one.json"
    output: b="copied.json"
    log: "copy.log"
    shell: stage_command("copy")
"""


# Every module of the project that is a stage: (its name, its function)
OF_THE_PROJECT = [
    (".".join(path.relative_to(ROOT).with_suffix("").parts), name)
    for path in sorted([*ROOT.glob("workflow_scripts/**/*.py"), *ROOT.glob("tools/*.py")])
    for name in re.findall(r"^    run_stage\((\w+)\)$", path.read_text(), re.MULTILINE)
]


class Workflow:
    """A folder with two stages, a Snakefile of two rules, and the code that they need."""

    def __init__(self, folder: Path):
        self.folder = folder

    def snakemake(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "1", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def stale(self) -> set[str]:
        """The rules that a dry run would run again because of their code."""
        said = self.snakemake("--dry-run")
        jobs = re.findall(r"^rule (\w+):.*?reason: ([^\n]*)", said, re.MULTILINE | re.DOTALL)
        return {name for name, reason in jobs if "Code has changed" in reason}

    def write(self, module: str, text: str) -> None:
        (self.folder / "workflow_scripts" / module).write_text(text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Workflow:
    """The workflow after a run. Do not edit it."""
    workflow = Workflow(tmp_path_factory.mktemp("workflow") / "first")
    package = workflow.folder / "workflow_scripts"
    package.mkdir(parents=True)
    for name in ("__init__", "stage", "commands", "digest", "errors", "files", "records"):
        shutil.copy(ROOT / f"workflow_scripts/{name}.py", package)
    for name, text in STAGES.items():
        workflow.write(name, text)
    for name in ("a b.txt", "it's.txt"):
        (workflow.folder / name).write_text("text")
    (workflow.folder / "Snakefile").write_text(SNAKEFILE)
    workflow.snakemake()
    return workflow


@pytest.fixture
def workflow(finished, tmp_path) -> Workflow:
    """A copy of the finished workflow that a test may edit."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    return Workflow(tmp_path / "copy")


def test_a_stage_gets_what_its_rule_has(finished):
    assert json.loads((finished.folder / "note one.json").read_text()) == {
        "rows": ["a b.txt", "it's.txt"], "test": None, "timed": False, "threads": 1,
        "words": 'two  spaces, "quotes" & $HOME; {braces}', "names": ["a b", "it's", "*"],
        "style": {"font.size": 9, "a b": "it's"}, "run": "it's",
        "share": 0.25, "revision": None, "nobody": [], "json": False,
    }  # fmt: skip
    assert (finished.folder / "note one.log").read_text() == "answer 42\n"
    assert (finished.folder / "refused one.txt").read_text() == "nothing"


def test_a_touch_and_a_comment_rerun_nothing_and_an_edit_what_uses_it(workflow):
    workflow.write("copy.py", STAGES["copy.py"].replace("Copies a file", "A copy"))
    workflow.write("helper.py", "# the answer\nANSWER = (42)\n")
    for path in workflow.folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path)
    assert "Nothing to be done" in workflow.snakemake("--dry-run")
    for module, old, new, stale in (
        ("helper.py", "42", "43", {"note"}),
        ("copy.py", "copyfile(a, b)", "copy(a, b)", {"copy"}),
        ("words.txt", "one", "two", {"copy"}),
    ):
        workflow.write(module, STAGES[module].replace(old, new))
        assert workflow.stale() == stale
        workflow.write(module, STAGES[module])


def test_a_module_that_is_no_stage_is_named():
    with pytest.raises(EssenceError, match=r"no module workflow_scripts\.other"):
        commands.stage_command("other")
    with pytest.raises(EssenceError, match=r"workflow_scripts\.files is no stage"):
        commands.stage_command("files")


@pytest.mark.parametrize(("module", "function"), OF_THE_PROJECT)
def test_every_stage_of_the_project_explains_its_arguments(module, function, capsys):
    with pytest.raises(SystemExit) as end:
        stage.arguments(getattr(importlib.import_module(module), function), ["--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and f"python -m {module}" in said
    for name, role in commands.declared_arguments(module).items():
        assert (name.upper() if role == "Operand" else f"--{name.replace('_', '-')}") in said


def test_what_the_rules_import_is_light():
    """Snakemake reads the rules again for every job on a cluster: no torch."""
    text = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    modules = sorted(set(re.findall(r"^from (workflow_scripts[\w.]+) import", text, re.MULTILINE)))
    assert "workflow_scripts.commands" in modules
    heavy = "{'torch', 'transformers', 'matplotlib'}"
    code = f"import sys, {', '.join(modules)}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
