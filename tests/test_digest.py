"""Code digests: what a stage imports counts, what it says about itself doesn't."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from material import ROOT

from workflow_scripts import digest
from workflow_scripts.errors import EssenceError


@pytest.fixture
def package(tmp_path):
    """A small package of three modules: a imports b, c stands alone."""
    folder = tmp_path / "workflow_scripts"
    (folder / "texts").mkdir(parents=True)
    for name in ("__init__", "digest", "errors"):
        shutil.copy(ROOT / f"workflow_scripts/{name}.py", folder)
    (folder / "a.py").write_text("from workflow_scripts import b\nUSES_FILES = ['texts/*.txt']\n")
    (folder / "b.py").write_text('"""Helper."""\n\ndef f():\n    """Say one."""\n    return 1\n')
    (folder / "c.py").write_text("import json\n")
    (folder / "texts" / "one.txt").write_text("one")
    return folder


def digests(package):
    code = (
        "import json; from workflow_scripts.digest import code_digest; "
        "print(json.dumps({name: code_digest(f'workflow_scripts.{name}') for name in 'abc'}))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=package.parent, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("file", "text", "changed"),
    [
        ("b.py", "def f():\n    return 2\n", {"a", "b"}),
        ("c.py", "import csv\n", {"c"}),
        ("texts/one.txt", "two", {"a"}),
        ("b.py", "# why\ndef f():\n\n    return (1)\n", set()),
    ],
)
def test_an_edit_reaches_exactly_its_users(package, file, text, changed):
    before = digests(package)
    (package / file).write_text(text)
    after = digests(package)
    assert {name for name in before if before[name] != after[name]} == changed


def test_an_unknown_module_is_an_error():
    with pytest.raises(EssenceError, match=r"no module workflow_scripts\.nowhere"):
        digest.code_digest("workflow_scripts.nowhere")


def test_what_the_rules_import_is_light():
    """Snakemake reads the rules again for every job on a cluster: no torch."""
    text = "".join(file.read_text() for file in (digest.ROOT / "rules").glob("*.smk"))
    modules = sorted(set(re.findall(r"^from (workflow_scripts[\w.]+) import", text, re.MULTILINE)))
    assert "workflow_scripts.commands" in modules
    heavy = "{'torch', 'transformers', 'matplotlib'}"
    code = f"import sys, {', '.join(modules)}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=digest.ROOT)
