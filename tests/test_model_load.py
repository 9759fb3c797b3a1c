"""Base models: what can be used, what is refused and how, added tokens, random weights."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_model
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.model.load import (
    ADDED_TOKEN_NOISE,
    base_digest,
    check_base,
    embed_added_tokens,
    load_model,
)
from workflow_scripts.model.random_weights import random_weights
from workflow_scripts.text.tokenizers import added_tokens, load_tokenizer


@pytest.fixture
def base(tmp_path):
    return tiny_model.make_base(tmp_path / "base")


def test_a_missing_folder_and_its_cure(tmp_path):
    with pytest.raises(EssenceError, match=r"nowhere: no such model folder.*tools.pretrain"):
        check_base(tmp_path / "nowhere")


def test_a_model_of_another_architecture_is_refused(base, tmp_path):
    LlamaConfig().save_pretrained(tmp_path)
    said = (
        r"model.base is a llama, whose architecture is causal, not encoder-decoder. Set model.arc"
    )
    with pytest.raises(EssenceError, match=said):
        check_base(tmp_path, "encoder-decoder")
    with pytest.raises(EssenceError, match=r"is a t5, whose architecture is encoder-decoder"):
        check_base(base, "causal")


def test_a_folder_without_configuration_or_weights(base):
    (base / "model.safetensors").unlink()
    with pytest.raises(EssenceError, match=r"no model.safetensors"):
        check_base(base)
    (base / "config.json").unlink()
    with pytest.raises(EssenceError, match=r"no config.json"):
        check_base(base)


def test_weights_that_cannot_be_read(base):
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    with pytest.raises(EssenceError, match="the weights cannot be read"):
        load_model(base)


def test_weights_of_another_shape(base):
    weights = load_file(base / "model.safetensors")
    name = "encoder.block.0.layer.0.SelfAttention.q.weight"
    del weights[name]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EssenceError, match=rf"1 tensors are missing \({name}"):
        load_model(base)
    config = read_json(base / "config.json") | {"d_ff": 48}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(EssenceError, match="the weights cannot be read"):
        load_model(base)


def with_added_tokens(base: Path, tokenizer, seed: int = 0):
    model = load_model(base)
    embed_added_tokens(model, tokenizer, added(base, tokenizer), seed)
    return model


def added(base: Path, tokenizer) -> dict[int, int | None]:
    """`added_tokens`, the last one similar to token 5: the tiny vocabulary has no quotes."""
    found = added_tokens(base, tokenizer)
    return found | dict.fromkeys(list(found)[-1:], 5)


def test_added_tokens_start_from_similar_ones_and_the_others_stay(base):
    tokenizer = load_tokenizer(base, "lossless")
    tokenizer.add_tokens([f"new{n}" for n in range(20)])
    before = load_model(base).get_input_embeddings().weight.detach()
    first, again = with_added_tokens(base, tokenizer, 1), with_added_tokens(base, tokenizer, 1)
    after = first.get_input_embeddings().weight.detach()
    assert len(after) == len(tokenizer) > len(before)
    assert after.equal(again.get_input_embeddings().weight)
    assert first.get_output_embeddings().weight.equal(after)
    new = list(added_tokens(base, tokenizer))
    old = [row for row in range(len(before)) if row not in new]
    assert after[old].equal(before[old])
    assert len(after[new].unique(dim=0)) == len(new)
    noise = torch.stack(
        [
            after[token] - (before.mean(0) if similar is None else before[similar])
            for token, similar in added(base, tokenizer).items()
        ]
    )
    assert 0.8 < float(noise.std() / before.std()) / ADDED_TOKEN_NOISE < 1.2


def test_a_model_with_its_own_tokenizer_is_left_as_it_is(base):
    tokenizer = load_tokenizer(base, "stock")
    before = load_model(base).get_input_embeddings().weight
    assert with_added_tokens(base, tokenizer).get_input_embeddings().weight.equal(before)


def test_the_digest_follows_content(base, tmp_path):
    copy = shutil.copytree(base, tmp_path / "copy")
    assert base_digest(copy) == base_digest(base)
    (copy / "README.md").write_text("A card")
    assert base_digest(copy) == base_digest(base)
    (copy / "config.json").write_text("{}")
    assert base_digest(copy) != base_digest(base)


def test_random_weights_say_that_they_are_random(base, tmp_path):
    (base / "model.safetensors").unlink()
    for name in ("one", "two"):
        random_weights(tmp_path / name, base, seed=3)
    one, two = tmp_path / "one", tmp_path / "two"
    assert base_digest(one) == base_digest(two)
    assert "learned nothing" in (one / "README.md").read_text()
    model = load_model(one)
    assert model.config.d_model == 16


def test_a_decoder_only_model_with_random_weights_keeps_its_chat_template(tmp_path):
    base = tiny_model.make_causal_base(tmp_path / "llama", tiny_model.CHAT)
    random_weights(tmp_path / "out", base, seed=3)
    assert load_model(tmp_path / "out").config.hidden_size == 16
    assert load_tokenizer(tmp_path / "out", "stock").chat_template == tiny_model.CHAT
    (base / "config.json").write_text("{}")
    with pytest.raises(EssenceError, match="no configuration of a model"):
        random_weights(tmp_path / "other", base)
