"""An exported model: loaded and asked without the project, and pushed to the Hub."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import material
import pytest
import report_files as made
from conftest import ROOT

from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.model.load import initial_model
from workflow_scripts.model.predict import answer_rows
from workflow_scripts.model.saving import save_model
from workflow_scripts.report.export import SPLITS, export
from workflow_scripts.tables import PREDICTIONS, ROWS, write_table
from workflow_scripts.text.preprocessing import ModelInput, source_text
from workflow_scripts.text.tokenizers import load_tokenizer

NO_PROJECT = """
try:
    import workflow_scripts
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("the project is here")
"""
ROUND_TRIP = """
import sys
for text in sys.argv[1:]:
    print(end=tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True))
"""


@pytest.fixture(scope="module")
def exported(twin, tmp_path_factory):
    """(folder, rows, answers): the stand-in as a repaired run that answered five rows."""
    folder = tmp_path_factory.mktemp("exported")
    made.make_data(folder / "data")
    rows = [row_from(record, 1) for record in
            material.rows_of_twin(twin, folder / "five.jsonl").records]  # fmt: skip
    write_table(folder / "rows.parquet", rows, ROWS)
    recipe = made.recipe("repaired").model_copy(update={"generate_tokens": 48})
    run = made.make_run(folder / "runs", recipe, "r")
    base = ROOT / "resources/models/standin"
    tokenizer = load_tokenizer(base, "lossless", [row.target for row in rows])
    model = initial_model(base, tokenizer, 1).eval()
    save_model(model, tokenizer, run / "model")
    answers = answer_rows(model, ModelInput(tokenizer, recipe), {"test": rows}, 8)
    write_table(run / "predictions.parquet", answers, PREDICTIONS)
    out = folder / "out"
    made.make_tables(folder, [run])
    export(
        run, folder / "scores.parquet", read_json(folder / "data/reading.json"),
        folder / "rows.parquet", run / "predictions.parquet", out / "README.md", "generated data",
    )  # fmt: skip
    return out, rows, answers


def test_the_code_of_the_card_runs_without_the_project_and_answers_as_the_pipeline(exported):
    folder, rows, answers = exported
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    targets = [row.target for row in rows]  # with line breaks, braces and back quotes
    done = subprocess.run(
        [sys.executable, "-I", "-c", NO_PROJECT + code + ROUND_TRIP, *targets],
        cwd=folder, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = {a.prediction + "\n" + "".join(targets) for a in answers if a.task == "Decomposer"}
    assert done.stdout in said


def test_the_card_shows_a_prompt_of_each_agent_and_lengths_are_in_the_configuration(exported):
    folder, rows, answers = exported
    card = (folder / "README.md").read_text()
    shown = re.findall(r"^(Selector|Decomposer|Refiner):\n~~~~text\n(.*?)\n~~~~", card, re.M | re.S)
    assert Counter(task for task, _ in shown) == Counter({row.task for row in rows})
    texts = {source_text(made.recipe("repaired"), row.source) for row in rows}
    assert {text for _, text in shown} <= texts
    assert any(f"~~~~text\n{answer.prediction}\n~~~~" in card for answer in answers)
    assert "source_text` of the pipeline" not in card and "constrained to names" not in card
    run = folder.parent / "runs/repaired/r/seed42/model"
    assert (folder / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    assert json.loads((folder / "generation_config.json").read_text())["max_new_tokens"] == 48
    assert json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"] == 1024


def export_again(folder: Path, predictions: Path, card: Path, **more) -> None:
    """Export the run of the fixture `exported` once more."""
    reading = read_json(folder / "data/reading.json")
    run, scores = folder / "runs/repaired/r/seed42", folder / "scores.parquet"
    export(run, scores, reading, folder / "rows.parquet", predictions, card, **more)


def test_answers_that_were_constrained_are_named_and_none_at_all_is_an_error(exported, tmp_path):
    folder, answers = exported[0].parent, exported[2]
    predictions = folder / "runs/repaired/r/seed42/predictions.parquet"
    export_again(folder, predictions, tmp_path / "README.md", constrained=True)
    assert "constrained to names of the schema" in (tmp_path / "README.md").read_text()
    write_table(tmp_path / "p.parquet", [a._replace(split="train") for a in answers], PREDICTIONS)
    with pytest.raises(EssenceError, match=r"prediction\.splits"):
        export_again(folder, tmp_path / "p.parquet", tmp_path / "out/README.md")
    assert not (tmp_path / "out").exists() and SPLITS[-1] == "val"


def test_a_push_sends_the_one_exported_model_to_a_private_repository():
    """`-o` keeps make from building the environment."""

    def push(*arguments: str) -> subprocess.CompletedProcess:
        make = ["make", "-n", "--no-print-directory", "-o", ".venv/.ready", "push", *arguments]
        return subprocess.run(make, cwd=ROOT, capture_output=True, text=True)

    commands = push("TO=me/model", "EXPORTED=results/export/mine").stdout
    assert commands.endswith("hf upload me/model results/export/mine . --private\n")
    assert "test 1 = 1" in commands and "test 0 = 1" in push("TO=me/model", "EXPORTED=").stdout
