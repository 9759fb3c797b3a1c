"""The whole smoke configuration with a model of each kind in place of the stand-in."""

import csv
import json
from pathlib import Path

import pytest
import tiny_model
from conftest import Project, fresh_clone
from model_kinds import KINDS, saved

from workflow_scripts.files import read_json
from workflow_scripts.model.convert import convert
from workflow_scripts.tables import PREDICTIONS, read_rows
from workflow_scripts.text.audit import FitAudit

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]
LORA = {"rank": 2, "alpha": 4, "dropout": 0.1, "targets": None}
MODELS = {
    **{kind: {"architecture": "encoder-decoder"} for kind in KINDS},
    "Llama": {"architecture": "causal"},
    "Llama with adapters": {"architecture": "causal", "lora": LORA},
}
LOSSY = ("T5 v1.1, Flan-T5", "mT5")  # SentencePiece's; the others' tokens are bytes


def make_base(folder: Path, kind: str) -> None:
    if kind in KINDS:
        convert(saved(folder.with_name("hub"), kind), folder)
        return
    config = tiny_model.make_causal_base(folder, tiny_model.CHAT) / "config.json"
    config.write_text(json.dumps(read_json(config) | {"max_position_embeddings": 2048}))


@pytest.mark.parametrize("kind", MODELS)
def test_the_smoke_configuration_goes_through(kind, tmp_path):
    folder = fresh_clone(tmp_path / "essence").folder
    make_base(folder / "base", kind)
    overlay = {"model": {"base": "base", **MODELS[kind]}}
    (folder / "kind.yaml").write_text(json.dumps(overlay))
    project = Project(folder, "--configfile", "configs/smoke.yaml", "kind.yaml")
    planned = project.stale()
    project.snakemake("--cores", "1")
    assert project.stale() == {}
    results = folder / "results"
    assert (results / "report.html").is_file()
    check_answers(results, planned["predict"])
    check_fit(results / "fit", kind)
    check_comparison(results / "tables/models.csv", MODELS[kind])


def check_answers(results: Path, runs: int) -> None:
    """Every run answered all of its rows, within its recipe's limit."""
    files = list(results.glob("runs/*/*/*/predictions.parquet"))
    assert len(files) == runs > 0
    for file in files:
        settings = read_json(file.with_name("provenance.json"))["settings"]
        lines = read_rows(file, PREDICTIONS)
        tested = {"test", "unseen"} if settings["recipe"]["name"] != "as_run" else set()
        assert {line.split for line in lines} == {"val", "train"} | tested, file
        limit = settings["recipe"]["generate_tokens"]
        assert all(0 < line.prediction_tokens <= limit for line in lines), file


def check_fit(folder: Path, kind: str) -> None:
    """What the kind's tokenizer loses stands in the audit, and that `lossless` loses nothing."""
    stock = FitAudit.read(folder / "as_written.json")
    lossless = FitAudit.read(folder / "repaired.json")
    assert bool(stock.all.lost_characters) == (kind in LOSSY)
    assert stock.all.targets_surviving == (0 if kind in LOSSY else stock.rows)
    assert not lossless.all.lost_characters and lossless.all.targets_surviving == lossless.rows
    assert stock.embedding_rows.needed <= stock.embedding_rows.model
    assert (lossless.embedding_rows.needed > stock.embedding_rows.needed) == (kind in LOSSY)


def check_comparison(table: Path, model: dict) -> None:
    """The best run of each recipe is a column of Annex II that says what it is."""
    with open(table) as file:
        lines = {line["feature"]: line for line in csv.DictReader(file)}
    ours = [name for name in lines["Parameters"] if ": exp" in name]
    assert [name.split(":")[0] for name in ours] == ["as_run", "as_written", "repaired"]
    method = "adapters of rank 2" if "lora" in model else "all weights"
    for name in ours:
        assert lines["Base architecture"][name] == f"{model['architecture']}, base"
        assert method in lines["Training method"][name]
        tested = not name.startswith("as_run")
        assert lines["All tasks, exact match (test rows)"][name].endswith("n = 12") == tested
    assert lines["End to end, execution accuracy (test rows)"][ours[-1]].endswith("n = 4")
