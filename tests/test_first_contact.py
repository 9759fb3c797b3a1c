"""The report's base model from the hub, through Snakemake: fetched, trained and asked."""

import subprocess
import sys

import pytest
import sentencepiece_model
import yaml
from conftest import fresh_clone
from lookalike_hub import Hub, serving

from workflow_scripts.data.checksums import report_files
from workflow_scripts.model.fetch import SOURCE
from workflow_scripts.runs import Provenance

pytestmark = pytest.mark.pipeline
NAME = report_files().base_model.name
RUN = "results/runs/as_written/exp3_bs8_lr1e-4/seed42"
SHORT = {"source_tokens": 48, "target_tokens": 24, "generate_tokens": 8}
OVERLAY = {
    "model": {"base": NAME, "revision": "main", "device": "cpu"},
    "test_set": {"rows": {"Selector": 2, "Decomposer": 2, "Refiner": 2}},
    "recipes": {"as_written": SHORT},
    "run_defaults": {"rows": 30, "epochs": 1},
    "prediction": {"splits": ["val", "test"]},
}


def test_the_models_own_files_lead_to_answers(tmp_path):
    """Its listing has pytorch_model.bin and spiece.model, and nothing that stages read."""
    (tmp_path / "model").mkdir()
    tokenizer = sentencepiece_model.tokenizer_files()
    files = sentencepiece_model.model_files(tokenizer, 320, tmp_path / "model")
    clone = fresh_clone(tmp_path / "essence")
    (clone.folder / "hub.yaml").write_text(yaml.safe_dump(OVERLAY))
    with serving(Hub(NAME, {"main": files})) as hub:
        command = [f"{sys.prefix}/bin/snakemake", "--cores", "2", f"{RUN}/predictions.parquet"]
        done = subprocess.run(
            [*command, "--configfile", "hub.yaml"],
            cwd=clone.folder,
            env=hub.environment(tmp_path / "own"),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        commit = hub.commit()
    base = clone.folder / "resources/downloads/models" / NAME.rpartition("/")[2]
    assert (base / SOURCE).is_file() and (base / "tokenizer.json").is_file()
    provenance = Provenance.read(clone.folder / RUN / "provenance.json")
    assert provenance.base.source.name == NAME and provenance.base.source.commit == commit
