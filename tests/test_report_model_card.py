"""The cards of models: what Hugging Face's tools read of them, numbers, limits, code that runs."""

import re
import shutil

import pytest
import report_files as made
import sample_rows
from conftest import ROOT
from huggingface_hub import ModelCard

from workflow_scripts.agents.model import FineTuned
from workflow_scripts.data import samples
from workflow_scripts.files import read_json
from workflow_scripts.model.decoding import generate
from workflow_scripts.model.load import load_model
from workflow_scripts.report.model_card import SHOWN, SPLITS, write_model_cards
from workflow_scripts.runs import Provenance, Training
from workflow_scripts.settings import Lora, ModelSettings
from workflow_scripts.tables import SCORES, read_table, write_table
from workflow_scripts.text.tokenizers import decode, load_tokenizer

NOTE = "generated twin data, stand-in model"


@pytest.fixture
def write(tmp_path):
    """Make a run and its card; gives the run's folder and the card as Hugging Face reads it."""
    made.make_data(tmp_path / "data")

    def do(recipe: str = "repaired", base: str | None = None, **settings):
        folder = made.make_run(tmp_path / "runs", made.recipe(recipe), "r", **settings)
        card = folder / "model" / "README.md"
        reading = read_json(tmp_path / "data/reading.json")
        made.make_tables(tmp_path, [folder])
        write_model_cards([folder], tmp_path / "scores.parquet", reading, [card], NOTE, base)
        return folder, ModelCard.load(card)

    return do


def test_hugging_face_reads_every_score_of_the_card_and_people_its_interval(write, tmp_path):
    _, card = write(exact_match=0.25, base="someone/t5")
    scores = read_table(tmp_path / "scores.parquet", SCORES)
    scores = list(scores[scores.metric.isin(SHOWN)].itertuples())
    found = {
        (each.dataset_split, each.dataset_config, each.metric_type): each.metric_value
        for each in card.data.eval_results
    }
    assert len(found) == len(scores) > 30
    for each in scores:
        assert found[each.split, each.task, each.metric] == each.value
    assert card.data.base_model == "someone/t5" and card.data.library_name == "transformers"
    assert {each.dataset_type for each in card.data.eval_results} == {"6" * 64}
    assert NOTE in card.text and "None" not in card.text and "{" not in card.text
    lines = [line for line in card.text.splitlines() if line.startswith("| Decomposer |")]
    assert len(lines) == 3  # val, test, train
    assert re.search(r"\| 0.250 \[0.\d+, 0.\d+\], n = 4 \| 0.750, n = 4 \| 0.\d+ \[", lines[1])
    table = [line.count("|") for line in card.text.splitlines() if line.startswith("| ")]
    assert set(table) == {3, len(SHOWN) + 2} and set(SPLITS) == set(samples.SPLITS)


def test_limits_follow_from_training_and_scores(write, tmp_path):
    folder, card = write()
    assert "Training ended after 4 epochs, as planned" in card.text
    assert "could exceed an exact match of 0.750 on these test rows" in card.text
    assert "is a control" not in card.text and "had learned from other rows" not in card.text
    training = Training.read(folder / "training.json")
    other = training.settings.run.model_copy(update={"sources": "other"})
    settings = training.settings.model_copy(update={"run": other})
    training = training.model_copy(update={"stopped_early": True, "settings": settings})
    training.write(folder / "training.json")
    scores = read_table(tmp_path / "scores.parquet", SCORES)
    reachable = scores[~scores.metric.str.endswith("at_most")]
    write_table(tmp_path / "scores.parquet", reachable, SCORES)
    card = folder / "model" / "README.md"
    reading = read_json(tmp_path / "data/reading.json")
    write_model_cards([folder], tmp_path / "scores.parquet", reading, [card])
    text = card.read_text()
    assert "is a control" in text and "as planned" not in text and "could exceed" not in text
    assert "Made with" not in text


def test_the_code_of_a_card_answers_as_the_pipeline_does(write, capsys):
    _, card = write()
    (code,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    folder, prompt = ROOT / "resources/models/standin", "Query: How many pots? | tables: pot: id"
    exec(
        code.replace("max_new_tokens=512", "max_new_tokens=12"),
        {"folder": folder, "prompt": prompt},
    )
    tokenizer = load_tokenizer(folder, "stock")
    model = load_model(folder).eval()
    (answer,) = generate(model, [tokenizer(prompt)["input_ids"]], tokenizer.pad_token_id, 12, 1)
    said = capsys.readouterr().out
    assert said == decode(tokenizer, answer) + "\n" and len(said) > 10


def test_the_card_of_a_decoder_only_model_says_what_was_trained_and_its_code_answers(
    write, tiny, capsys
):
    folder, _ = write()
    training = Training.read(folder / "training.json")
    lengths = {"source_tokens": 24, "target_tokens": 16, "generate_tokens": 12}
    recipe = training.settings.recipe.model_copy(update={**lengths, "prompt": "full"})
    lora = Lora(rank=4, alpha=8, dropout=0.1, targets=["q_proj", "v_proj"])
    causal = {"recipe": recipe, "model": ModelSettings(architecture="causal", lora=lora)}
    settings = training.settings.model_copy(update=causal)
    training.model_copy(update={"settings": settings}).write(folder / "training.json")
    facts = Provenance.read(folder / "provenance.json")
    weights = facts.model.model_copy(update={"trained": 1234})
    facts.model_copy(update={"model": weights}).write(folder / "provenance.json")
    shutil.copytree(tiny / "chat", folder / "model", dirs_exist_ok=True)
    reading = read_json(folder.parents[2].parent / "data/reading.json")
    scores = folder.parents[2].parent / "scores.parquet"
    write_model_cards([folder], scores, reading, [folder / "model/README.md"], NOTE, None)
    card = ModelCard.load(folder / "model/README.md")
    assert card.data.pipeline_tag == "text-generation" and "decoder-only model" in card.text
    assert "rank 4, alpha 8, dropout 0.1, on q_proj, v_proj: 1,234 parameters" in card.text
    (code,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    prompt = sample_rows.rows(1, "Refiner")[0][1]
    exec(code, {"folder": folder / "model", "prompt": prompt})
    (answer,) = FineTuned(folder / "model", recipe).answer([prompt])
    assert capsys.readouterr().out == answer.text + "\n"
