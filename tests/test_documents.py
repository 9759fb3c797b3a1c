"""What the documents name exists: commands, their options, files; and code keeps what they say."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from material import ROOT
from snakemake.cli import get_argument_parser

from workflow_scripts.commands import declared_arguments

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RULES = {
    name
    for file in (ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk"))
    for name in re.findall(r"^\s*(?:rule|checkpoint) (\w+):", file.read_text(), re.MULTILINE)
}


FOLDERS = {
    "{TABLES}": "results/tables",
    "{FIGURES}": "results/figures",
    "{RUN}": "results/runs/{recipe}/{run}/seed{seed}",
}
WILDCARDS = {"<recipe>": "recipe", "<run>": "run", "<k>": "seed"}


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """(page, arguments) of every call of a program in a code block or between back quotes."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fenced = re.findall(r"^ *```\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
        spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        for line in [*"\n".join(fenced).splitlines(), *(" ".join(s.split()) for s in spans)]:
            found = re.match(rf"(?:\S*/bin/)?{program}(?: |$)(.*)", line.strip())
            if found:
                yield page.name, shlex.split(found[1], comments=True)


def calls_of(program: str) -> list:
    """The calls as parameters of a test."""
    found = [(f"{page}: {' '.join(words)}", words) for page, words in commands(program)]
    return [pytest.param(words, id=name) for name, words in found]


@pytest.mark.parametrize("words", calls_of("snakemake"))
def test_snakemake_is_called_with_options_rules_and_files_that_exist(words):
    given = get_argument_parser().parse_args(words)
    assert set(given.targets) <= RULES
    files = [Path(file) for file in given.configfile or [] if Path(file).name != "mine.yaml"]
    assert all((ROOT / file).is_file() for file in files)
    assert all((ROOT / name / "config.yaml").is_file() for name in given.profile or [])


@pytest.mark.parametrize("words", calls_of("make"))
def test_make_is_called_with_targets_and_variables_that_exist(words):
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, is_variable, _ = word.partition("=")
        pattern = rf"^{name} \?=" if is_variable else rf"^{re.escape(name)}:"
        pattern = pattern.replace(r"\.venv", r"\$\(VENV\)")
        assert re.search(pattern, makefile, re.MULTILINE), word


def test_the_slurm_profile_names_rules_that_exist():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert set(profile["set-resources"]) <= RULES


@pytest.mark.parametrize("page", ["Makefile", "docs/models.md"])
def test_the_test_files_that_are_named_exist(page):
    named = re.findall(r"tests/\w+\.py", (ROOT / page).read_text())
    assert named and all((ROOT / name).is_file() for name in named)


OF_MODULES = [
    call for call in calls_of("python -m") if call.values[0] and call.values[0][0] != "pytest"
]


@pytest.mark.parametrize("words", OF_MODULES)
def test_modules_are_called_with_options_that_they_have(words):
    module, *arguments = words
    options = {f"--{name.replace('_', '-')}" for name in declared_arguments(module)}
    assert {word.partition("=")[0] for word in arguments if word.startswith("--")} <= options


def test_the_commands_are_found():
    """At least those without which a newcomer gets nowhere."""
    for program, wanted in {
        "make": ["", "test"],
        "snakemake": ["--cores all", "--cores all ablation"],
        "python -m": ["workflow_scripts.text.fit --rows FILE.jsonl --tokenizer DIR"],
    }.items():
        found = [" ".join(words) for _, words in commands(program)]
        assert [each for each in wanted if not any(call.startswith(each) for call in found)] == []


def test_every_file_that_a_link_names_exists():
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]+)#?([^):]*)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} names {target}"
            assert not anchor or f'<a id="{anchor}">' in (page.parent / target).read_text(), anchor


def test_every_file_of_results_that_the_readme_names_is_made():
    """The table of files: each path is a promise of a rule, or a folder of such."""
    made = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    made = re.sub(r"{(?:TABLES|FIGURES|RUN)}", lambda name: FOLDERS[name[0]], made)
    named = re.findall(r"^\| `(results/[^`]+)`", PAGES[0].read_text(), re.MULTILINE)
    paths = [re.sub(r"<\w+>", lambda name: f"{{{WILDCARDS[name[0]]}}}", each) for each in named]
    assert len(paths) > 8
    assert [path for path in paths if path not in made] == []


def test_every_module_that_the_architecture_names_exists():
    text = (ROOT / "docs/architecture.md").read_text()
    names = set(re.findall(r"[\w/*]+\.(?:py|smk|yaml)\b", text))
    assert len(names) > 10
    missing = [
        name
        for name in sorted(names)
        if not [*ROOT.glob(name), *(ROOT / "workflow_scripts").rglob(name)]
    ]
    assert missing == []


def strings_of(tree: ast.Module) -> Iterator[ast.Constant]:
    """Every text in the code, docstrings left out."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node


# What a claim is measured under has a name too; the configuration says which recipe each one is.
OF_COLUMNS = ("artifacts/claims.py", "report/claims/", "report/artefacts.py", "report/pages/")


def test_no_code_asks_for_a_recipes_name():
    """Their names are the configuration's; `repaired` is besides a word and a key of it."""
    names = set(yaml.safe_load((ROOT / "config.yaml").read_text())["recipes"]) - {"repaired"}
    package = ROOT / "workflow_scripts"
    asked = [
        f"{path}:{text.lineno}"
        for path in sorted(package.rglob("*.py"))
        if not str(path.relative_to(package)).startswith(OF_COLUMNS)
        for text in strings_of(ast.parse(path.read_text(encoding="utf-8")))
        if text.value in names
    ]
    assert names and asked == []
