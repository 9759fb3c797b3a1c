"""Models of other kinds and in other forms: made on the spot, converted, trained, asked."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import sample_rows
import tiny_model
import torch
import transformers
from material import ROOT
from tokenizers import processors

from workflow_scripts.agents.model import FineTuned
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.formats.prompts import render_prompt
from workflow_scripts.model import fetch
from workflow_scripts.model import predict as answering
from workflow_scripts.model import train as training
from workflow_scripts.model.convert import convert, with_tokenizer_json
from workflow_scripts.model.load import check_base
from workflow_scripts.tables import PREDICTIONS, read_rows
from workflow_scripts.text.preprocessing import model_input
from workflow_scripts.text.tokenizers import round_trips

RECIPE = {"source_tokens": 24, "target_tokens": 16, "generate_tokens": 12, "tokenizer": "lossless"}


BART = {"d_model": 16, "max_position_embeddings": 4096, "forced_bos_token_id": 0}
BART |= {"encoder_layers": 1, "encoder_ffn_dim": 32, "encoder_attention_heads": 2}
BART |= {"decoder_layers": 1, "decoder_ffn_dim": 32, "decoder_attention_heads": 2}
BART |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
GATED = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}


def t5(tokenizer, **more):
    config = transformers.T5Config(vocab_size=len(tokenizer) + 8, **tiny_model.SHAPE, **more)
    return transformers.T5ForConditionalGeneration(config), tokenizer


def roberta():
    """The tokenizer of BART and CodeT5+: byte-level, with a token at either end."""
    tokenizer = tiny_model.byte_tokenizer(bos_token="<s>", pad_token="<pad>", eos_token="</s>")
    tokenizer.backend_tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0)
    )
    return tokenizer


STANDIN = transformers.PreTrainedTokenizerFast.from_pretrained(ROOT / "resources/models/standin")
KINDS = {
    "T5 v1.1, Flan-T5, mT5": lambda: t5(STANDIN, **GATED),
    "ByT5": lambda: t5(transformers.ByT5Tokenizer(), **GATED),
    "CodeT5+": lambda: t5(roberta()),
    "BART": lambda: (
        transformers.BartForConditionalGeneration(transformers.BartConfig(vocab_size=300, **BART)),
        roberta(),
    ),
}


def saved(folder: Path, kind: str) -> Path:
    torch.manual_seed(1)
    for part in KINDS[kind]():
        part.save_pretrained(folder)
    return folder


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
    convert(saved(tmp_path / "hub", "ByT5"), tmp_path / "bytes")
    slow, fast = (
        transformers.AutoTokenizer.from_pretrained(tmp_path / name) for name in ("hub", "bytes")
    )
    for text in ("plain", "größe m² 【】\n{`<~^\t", "", "日本 \U0001f600"):
        assert fast(text)["input_ids"] == slow(text)["input_ids"]
        assert fast.decode(fast(text)["input_ids"], skip_special_tokens=True) == text


def test_what_cannot_be_converted(tmp_path):
    with pytest.raises(EssenceError, match="nowhere: no such file or folder"):
        convert(tmp_path / "nowhere", tmp_path / "out")
    saved(tmp_path / "hub", "ByT5")
    (tmp_path / "hub/config.json").write_text("{}")
    with pytest.raises(EssenceError, match=r"transformers cannot read it .*gguf"):
        convert(tmp_path / "hub", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(EssenceError, match="a SimpleNamespace has no fast form"):
        with_tokenizer_json(SimpleNamespace(is_fast=False))
