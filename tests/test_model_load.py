"""Base models: what can be used, what is refused and how, added tokens, random weights."""

import shutil

import pytest
import tiny_model
import torch
from safetensors.torch import load_file, save_file

from tools.t5_small import t5_small
from workflow_scripts.errors import EssenceError
from workflow_scripts.model import load
from workflow_scripts.model.load import base_digest, check_base, initial_model, load_model
from workflow_scripts.model.random_weights import random_weights
from workflow_scripts.text import tokenizers
from workflow_scripts.text.tokenizers import added_tokens, load_tokenizer


@pytest.fixture
def base(tmp_path):
    return tiny_model.make_base(tmp_path / "base")


def test_what_is_no_model_of_the_kind_asked_for_is_refused(base, tmp_path):
    with pytest.raises(EssenceError, match=r"nowhere: no such model folder.*tools.pretrain"):
        check_base(tmp_path / "nowhere")
    with pytest.raises(EssenceError, match=r"is encoder-decoder, not causal. Set model.arch"):
        check_base(base, "causal")
    (base / "model.safetensors").unlink()
    with pytest.raises(EssenceError, match=r"no model.safetensors"):
        check_base(base)
    (base / "config.json").unlink()
    with pytest.raises(EssenceError, match=r"no config.json"):
        check_base(base)
    (base / "adapter_config.json").write_text("{}")
    with pytest.raises(EssenceError, match=r"adapters alone. Give the model of the run"):
        check_base(base)


def test_weights_that_cannot_be_read_or_are_of_another_shape(base):
    file, name = base / "model.safetensors", "encoder.block.0.layer.0.SelfAttention.q.weight"
    weights = load_file(file)
    del weights[name]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(EssenceError, match=rf"1 tensors are missing \({name}"):
        load_model(base)
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(EssenceError, match="the weights cannot be read"):
        load_model(base)


def test_added_tokens_start_from_similar_ones_and_the_others_stay(base, monkeypatch):
    stock, tokenizer = load_tokenizer(base, "stock"), load_tokenizer(base, "lossless")
    tokenizer.add_tokens([f"new{n}" for n in range(20)])
    before = load_model(base).get_input_embeddings().weight.detach()
    assert initial_model(base, stock, 1).get_input_embeddings().weight.equal(before)
    # The tiny vocabulary has no quotes: let the last token be similar to token 5.
    added = added_tokens(base, tokenizer)
    added |= dict.fromkeys(list(added)[-1:], 5)
    monkeypatch.setattr(load, "added_tokens", lambda *_: added)
    first = initial_model(base, tokenizer, 1)
    after = first.get_input_embeddings().weight.detach()
    assert len(after) == len(tokenizer) > len(before)
    assert first.get_output_embeddings().weight.equal(after)
    old = [row for row in range(len(before)) if row not in added]
    assert after[old].equal(before[old])
    starts = [before.mean(0) if each is None else before[each] for each in added.values()]
    noise = after[list(added)] - torch.stack(starts)
    assert 0.8 < float(noise.std() / before.std()) / load.ADDED_TOKEN_NOISE < 1.2


def test_random_weights_say_that_they_are_random(tiny, tmp_path):
    base = shutil.copytree(tiny / "chat", tmp_path / "base")
    (base / "model.safetensors").unlink()
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        random_weights(folder, base, seed=3)
    assert base_digest(one) == base_digest(two)
    assert "learned nothing" in (one / "README.md").read_text()
    assert load_tokenizer(one, "stock").chat_template == tiny_model.CHAT
    (base / "config.json").write_text("{}")
    with pytest.raises(EssenceError, match="no configuration of a model"):
        random_weights(tmp_path / "other", base)


def test_the_rehearsals_model_has_the_size_of_the_reports_and_t5s_gaps(tmp_path):
    t5_small(tmp_path / "size")
    random_weights(tmp_path / "model", tmp_path / "size")
    assert (tmp_path / "model/model.safetensors").stat().st_size == 242_041_896
    stock, lossless = (load_tokenizer(tmp_path / "model", kind) for kind in ("stock", "lossless"))
    assert tokenizers.embedding_rows_needed(stock) == 32_100
    assert tokenizers.embedding_rows_needed(lossless) <= 32_128
    for text in ("a `b`", "{a}", "a < b", "a\nb"):
        assert tokenizers.round_trips(lossless, text) and not tokenizers.round_trips(stock, text)
