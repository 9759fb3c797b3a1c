"""Base models: what can be used, what is refused and how, rows for new tokens, random weights."""

import json
import shutil

import pytest
import tiny_model
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.model.load import base_digest, check_base, load_model
from workflow_scripts.model.random_weights import make_random_model
from workflow_scripts.text.tokenizers import load_tokenizer


@pytest.fixture
def base(tmp_path):
    return tiny_model.make_base(tmp_path / "base")


def test_a_missing_folder_and_its_cure(tmp_path):
    with pytest.raises(EssenceError, match=r"nowhere: no such model folder.*snakemake pretrain"):
        check_base(tmp_path / "nowhere")


def test_a_decoder_only_model_is_refused(tmp_path):
    LlamaConfig().save_pretrained(tmp_path)
    with pytest.raises(EssenceError, match=r"model.base is a llama, .*not an encoder-decoder"):
        check_base(tmp_path)


def test_a_folder_without_configuration_or_weights(base):
    (base / "model.safetensors").unlink()
    with pytest.raises(EssenceError, match=r"no weights \(model.safetensors or"):
        check_base(base)
    (base / "config.json").unlink()
    with pytest.raises(EssenceError, match=r"no config.json"):
        check_base(base)


def test_weights_that_cannot_be_read(base):
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    with pytest.raises(EssenceError, match="the weights cannot be read"):
        load_model(base, load_tokenizer(base, "stock"))


def test_weights_of_another_shape(base):
    weights = load_file(base / "model.safetensors")
    name = "encoder.block.0.layer.0.SelfAttention.q.weight"
    del weights[name]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EssenceError, match=rf"1 tensors are missing \({name}"):
        load_model(base, load_tokenizer(base, "stock"))
    config = read_json(base / "config.json") | {"d_ff": 48}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(EssenceError, match="the weights cannot be read"):
        load_model(base, load_tokenizer(base, "stock"))


def test_tokens_that_fit_take_free_rows_and_others_get_new_ones(base):
    tokenizer = load_tokenizer(base, "stock")
    before = load_model(base, tokenizer)
    rows = before.get_input_embeddings().weight
    tokenizer.add_tokens(["{", "}"])
    assert load_model(base, tokenizer).get_input_embeddings().weight.equal(rows)
    tokenizer.add_tokens([f"new{n}" for n in range(20)])
    first, again = load_model(base, tokenizer, 1), load_model(base, tokenizer, 1)
    grown, rows = first.get_input_embeddings().weight.detach(), rows.detach()
    assert len(grown) == len(tokenizer) > len(rows)
    assert grown[: len(rows)].equal(rows)
    assert grown.equal(again.get_input_embeddings().weight)
    assert first.get_output_embeddings().weight.equal(grown)
    new = grown[len(rows) :]
    assert len(new.unique(dim=0)) == len(new)
    assert torch.allclose(new, rows.mean(0).expand_as(new), atol=0.2 * float(rows.std()))


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
        make_random_model(base, tmp_path / name, seed=3)
    one, two = tmp_path / "one", tmp_path / "two"
    assert base_digest(one) == base_digest(two)
    assert "learned nothing" in (one / "README.md").read_text()
    model = load_model(one, load_tokenizer(one, "stock"))
    assert model.config.d_model == 16
