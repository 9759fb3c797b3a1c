"""resources/artefacts.yaml: whole, and the source of all that is said of the artefacts."""

from pathlib import Path

import yaml

from tools.artefacts_table import PAGE, page
from workflow_scripts.report.artefacts import artefacts, repaired_in, repairs
from workflow_scripts.report.claims import claims
from workflow_scripts.report.judge import OWN_LOG, SCORED

ROOT = Path(__file__).resolve().parent.parent


def test_the_twelve_name_claims_that_are_tested():
    known = {*claims(), *SCORED, OWN_LOG}
    assert list(artefacts()) == [f"A{number}" for number in range(1, 13)]
    named = {claim for each in artefacts().values() for claim in each.get("claims", [])}
    assert named <= known


def test_the_configurations_repairs_are_those_of_the_artefacts():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert set(config["ablation"]["repairs"]) == set(repairs())
    assert {name for _, name in repairs().values()} == set(repaired_in("repaired"))


def test_the_table_in_the_documents_is_made_from_them():
    assert PAGE.read_text() == page(PAGE.read_text()), "run: python -m tools.artefacts_table"
