"""What configs/rehearsal.yaml trains: a model of T5-small's size."""

from tools.t5_small import t5_small
from workflow_scripts.model.random_weights import random_weights
from workflow_scripts.text.tokenizers import embedding_rows_needed, load_tokenizer, round_trips


def test_the_model_has_the_size_of_the_reports_to_the_byte_and_its_tokenizer_t5s_gaps(tmp_path):
    model = tmp_path / "model"
    t5_small(tmp_path / "size")
    random_weights(model, tmp_path / "size")
    assert (model / "model.safetensors").stat().st_size == 242_041_896
    stock, lossless = (load_tokenizer(model, kind) for kind in ("stock", "lossless"))
    assert embedding_rows_needed(stock) == 32_100
    assert embedding_rows_needed(lossless) <= 32_128
    for text in ("a `b`", "{a}", "a < b", "a\nb"):
        assert round_trips(lossless, text) and not round_trips(stock, text)
