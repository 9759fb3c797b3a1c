"""An exported model and its card: numbers, limits, code that runs without the project; a push."""

import os
import re
import subprocess
import sys
from pathlib import Path

import material
import pytest
import report_files as made
from conftest import ROOT
from huggingface_hub import ModelCard
from lookalike_hub import Hub, serving

from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.model.load import initial_model
from workflow_scripts.model.predict import answer_rows
from workflow_scripts.model.saving import save_model
from workflow_scripts.report.export import ON_HUB, SHOWN, export, model_card
from workflow_scripts.runs import Provenance, Training
from workflow_scripts.settings import Lora, ModelSettings
from workflow_scripts.tables import PREDICTIONS, ROWS, SCORES, read_table, write_table
from workflow_scripts.text.preprocessing import ModelInput, source_text
from workflow_scripts.text.tokenizers import load_tokenizer

NO_PROJECT = "import importlib.util\nassert not importlib.util.find_spec('workflow_scripts')\n"
ROUND_TRIP = """
import sys
for text in sys.argv[1:]:
    print(end=tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True))
"""


@pytest.fixture(scope="module")
def exported(twin, tmp_path_factory):
    """(folder, rows, answers): the stand-in as a repaired run that answered five rows."""
    folder = tmp_path_factory.mktemp("exported")
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
        run, folder / "scores.parquet", made.READING, folder / "rows.parquet",
        run / "predictions.parquet", out / "README.md", "generated data",
    )  # fmt: skip
    return out, rows, answers


def test_the_code_of_the_card_runs_without_the_project_and_answers_as_the_pipeline(exported):
    folder, rows, answers = exported
    card = (folder / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    targets = [row.target for row in rows]  # with line breaks, braces and back quotes
    done = subprocess.run(
        [sys.executable, "-I", "-c", NO_PROJECT + code + ROUND_TRIP, *targets],
        cwd=folder, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    texts = {a.prediction + "\n" + "".join(targets) for a in answers if a.task == "Decomposer"}
    assert done.stdout in texts


def test_the_card_shows_a_prompt_of_each_agent_and_lengths_are_in_the_configuration(exported):
    folder, rows, answers = exported
    card = (folder / "README.md").read_text()
    shown = re.findall(r"^(Selector|Decomposer|Refiner):\n~~~~text\n(.*?)\n~~~~", card, re.M | re.S)
    assert sorted(task for task, _ in shown) == sorted({row.task for row in rows})
    texts = {source_text(made.recipe("repaired"), row.source) for row in rows}
    assert {text for _, text in shown} <= texts
    assert any(f"~~~~text\n{answer.prediction}\n~~~~" in card for answer in answers)
    assert "source_text` of the pipeline" not in card and "constrained to names" not in card
    run = folder.parent / "runs/repaired/r/seed42/model"
    assert (folder / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    assert read_json(folder / "generation_config.json")["max_new_tokens"] == 48
    assert read_json(folder / "tokenizer_config.json")["model_max_length"] == 1024


def test_answers_that_were_constrained_are_named_and_none_at_all_is_an_error(exported, tmp_path):
    folder, answers = exported[0].parent, exported[2]
    run, rows = folder / "runs/repaired/r/seed42", folder / "rows.parquet"
    common = (run, folder / "scores.parquet", made.READING, rows)
    export(*common, run / "predictions.parquet", tmp_path / "README.md", constrained=True)
    assert "constrained to names of the schema" in (tmp_path / "README.md").read_text()
    write_table(tmp_path / "p.parquet", [a._replace(split="train") for a in answers], PREDICTIONS)
    with pytest.raises(EssenceError, match=r"prediction\.splits"):
        export(*common, tmp_path / "p.parquet", tmp_path / "out/README.md")
    assert not (tmp_path / "out").exists()


def test_a_push_sends_the_exported_model_and_the_report_to_private_repositories(tmp_path):
    """`-o` keeps make from building the environment."""
    model, page = tmp_path / "results/export/mine", tmp_path / "results/report.html"

    def push(hub: Hub, *arguments: str) -> subprocess.CompletedProcess:
        make = ["make", "-f", ROOT / "Makefile", "-o", ".venv/.ready", f"BIN={sys.prefix}/bin"]
        return subprocess.run(
            [*make, "push", *arguments], cwd=tmp_path, capture_output=True, text=True,
            env=hub.environment(tmp_path / "cache") | {"HF_TOKEN": "hf_anything"},
        )  # fmt: skip

    with serving(Hub("me/model", {"main": {}})) as hub:
        for arguments, message in (((), "Say where to"), (("TO=me/model",), "there are 0")):
            done = push(hub, *arguments)
            assert done.returncode == 2 and message in done.stderr and not hub.created
        model.mkdir(parents=True)
        sent = {f"models/me/model/{name}": b"a file" for name in ("README.md", "model.safetensors")}
        for name, content in sent.items():
            (model / Path(name).name).write_bytes(content)
        page.write_text("<title>the report</title>")
        done = push(hub, "TO=me/model")
        assert done.returncode == 0, done.stderr
        card = hub.pushed.pop("spaces/me/model/README.md")
        assert card == b"---\ntitle: essence\nsdk: static\n---\n"
        assert hub.pushed == sent | {"spaces/me/model/index.html": page.read_bytes()}
        created = [(each.get("type", "model"), each["visibility"]) for each in hub.created]
        assert created == [("model", "private"), ("space", "private")]


# --- the card


@pytest.fixture
def run(tmp_path):
    """The folder of a run, which the scores of `card_of` are of."""
    folder = made.make_run(tmp_path / "runs", made.recipe("repaired"), "r", exact_match=0.25)
    made.make_tables(tmp_path, [folder])
    return folder


def card_of(run: Path, note: str = "generated data", **more) -> ModelCard:
    """The card as Hugging Face reads it."""
    folder, example = run.parents[3], {"pieces": ["''"], "split": "test", "prediction": "x"}
    scores = read_table(folder / "scores.parquet", SCORES)
    more = {"base": "someone/t5", "causal": False, "library": "transformers"} | more
    more |= {"example": example, "prompts": {}}
    return ModelCard(model_card(run, scores, made.READING, note, **more))


def test_hugging_face_reads_every_score_of_the_card_and_people_its_interval(run):
    card, scores = card_of(run), read_table(run.parents[3] / "scores.parquet", SCORES)
    scores = list(scores[scores.metric.isin(SHOWN)].itertuples())
    known = {
        (each.dataset_split, each.dataset_config, each.metric_type): each.metric_value
        for each in card.data.eval_results
    }
    assert len(known) == len(scores) > 30
    for each in scores:
        assert known[each.split, each.task, each.metric] == each.value
    assert card.data.base_model == "someone/t5" and card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-generation" and card.data.metrics == ON_HUB
    assert {each.dataset_type for each in card.data.eval_results} == {"6" * 64}
    assert "generated data" in card.text and "None" not in card.text
    lines = [line for line in card.text.splitlines() if line.startswith("| Decomposer |")]
    assert len(lines) == 3  # val, test, train
    assert re.search(r"\| 0.250 \[0.\d+, 0.\d+\], n = 4 \| 0.750, n = 4 \| 0.\d+ \[", lines[1])
    table = [line.count("|") for line in card.text.splitlines() if line.startswith("| ")]
    assert set(table) == {3, len(SHOWN) + 2}
    assert "Training ended after 4 epochs, as planned" in card.text
    assert "could exceed an exact match of 0.750 on these test rows" in card.text
    assert "is a control" not in card.text and "had learned from other rows" not in card.text
    assert (card.data.license, card.data.license_name) == ("other", "of-the-base-model")
    assert card.data.license_link.endswith("/someone/t5") and card.data.datasets is None
    card = card_of(run, license="mit", dataset="someone/rows", base=None)
    assert (card.data.license, card.data.datasets) == ("mit", ["someone/rows"])
    assert card.data.base_model is None and "base_model" not in str(card)


def test_the_card_of_a_decoder_only_control_says_so_and_what_was_trained(run):
    training = Training.read(run / "training.json")
    facts = Provenance.read(run / "provenance.json")
    lora = Lora(rank=4, alpha=8, dropout=0.1, targets=["q_proj", "v_proj"])
    changed = {"model": ModelSettings(architecture="causal", lora=lora)}
    changed["run"] = training.settings.run.model_copy(update={"sources": "other"})
    settings = training.settings.model_copy(update=changed)
    training.model_copy(update={"settings": settings}).write(run / "training.json")
    weights = facts.model.model_copy(update={"trained": 1234})
    facts.model_copy(update={"model": weights, "versions": facts.versions | {"peft": "1"}}).write(
        run / "provenance.json"
    )
    card = card_of(run, note="", causal=True, library="peft")
    assert card.data.library_name == "peft" and "decoder-only model" in card.text
    assert "rank 4, alpha 8, dropout 0.1, on q_proj, v_proj: 1,234 parameters" in card.text
    assert "is a control" in card.text and "Made with" not in card.text
