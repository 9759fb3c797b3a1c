"""The report's base model from the hub, through Snakemake: fetched, trained and asked."""

import subprocess
import sys

import pytest
import sample_rows
import sentencepiece_model
from conftest import SMOKE, fresh_clone
from lookalike_hub import Hub, serving

from workflow_scripts.data.checksums import report_files
from workflow_scripts.model.fetch import SOURCE
from workflow_scripts.runs import Provenance

pytestmark = pytest.mark.pipeline
NAME = report_files().base_model.name
RUN = "results/runs/as_written/exp3_bs8_lr1e-4/seed42"
OWN = (
    f"model={{base: {NAME}, revision: main, device: cpu}}",
    "data={source: path, path: rows.jsonl}",
    "recipes={as_written: {source_tokens: 48, target_tokens: 24, generate_tokens: 8}}",
)


def test_the_models_own_files_lead_to_answers(tmp_path):
    """Its listing has pytorch_model.bin and spiece.model, and nothing that stages read."""
    files = sentencepiece_model.model_files(tmp_path)
    clone = fresh_clone(tmp_path / "essence")
    sample_rows.write(clone.folder / "rows.jsonl", sample_rows.many(2, 12, refined_every=1))
    with serving(Hub(NAME, {"main": files})) as hub:
        command = [f"{sys.prefix}/bin/snakemake", "--cores", "2", f"{RUN}/predictions.parquet"]
        command += [*SMOKE, "--config", *OWN]
        subprocess.run(command, cwd=clone.folder, env=hub.environment(tmp_path / "own"), check=True)
    base = clone.folder / "resources/downloads/models" / NAME.rpartition("/")[2]
    assert (base / SOURCE).is_file() and (base / "tokenizer.json").is_file()
    provenance = Provenance.read(clone.folder / RUN / "provenance.json")
    assert provenance.base.source.name == NAME and provenance.base.source.commit == hub.commit()
