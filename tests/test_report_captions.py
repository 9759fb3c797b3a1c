"""Captions: constants of the modules that make what they describe, which no code depends on."""

import pytest

from workflow_scripts import digest
from workflow_scripts.errors import EssenceError
from workflow_scripts.report.captions import caption

MODULE = '''"""A figure."""
CAPTION = """\\
What is shown.
"""
WIDTH = 3
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """workflow_scripts.report.figures.mine in a package of its own."""
    path = tmp_path / "workflow_scripts/report/figures/mine.py"
    path.parent.mkdir(parents=True)
    path.write_text(MODULE)
    monkeypatch.setattr(digest, "ROOT", tmp_path)
    digest._read.cache_clear()
    yield path
    digest._read.cache_clear()


def test_a_caption_is_read_without_running_the_module(module):
    module.write_text(MODULE + "raise SystemExit\n")
    assert caption("report.figures.mine") == "What is shown.\n"
    with pytest.raises(EssenceError, match=r"mine\.py: the text CAPTION_CSV = "):
        caption("report.figures.mine", "CAPTION_CSV")
    with pytest.raises(EssenceError, match="no module"):
        caption("report.figures.yours")


def test_artefacts_are_named_in_words(module):
    module.write_text(MODULE.replace("shown", "shown (A10, A2)"))
    below = caption("report.figures.mine").removeprefix("What is shown (A10, A2).\n")
    assert below == "\n**Artefacts.** A2 vocabulary, A10 choice.\n"
    module.write_text(MODULE.replace("shown", "shown (A13)"))
    with pytest.raises(EssenceError, match="names A13, no artefact"):
        caption("report.figures.mine")


@pytest.mark.parametrize(("old", "new", "stale"), [("shown", "seen", False), ("3", "4", True)])
def test_other_words_leave_the_figure_as_it_is(module, old, new, stale):
    before = digest.code_digest("workflow_scripts.report.figures.mine")
    module.write_text(MODULE.replace(old, new))
    digest._read.cache_clear()
    assert (digest.code_digest("workflow_scripts.report.figures.mine") != before) is stale
