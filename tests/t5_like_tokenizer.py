"""A small tokenizer of T5's kind, for the tests of the text stage."""

import json
from pathlib import Path

import pytest

from workflow_scripts.model.t5_tokenizer import CHARACTERS, SPACE, make_tokenizer


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory) -> Path:
    """A folder with a T5-like tokenizer whose vocabulary has T5's gaps, and a config.json."""
    folder = tmp_path_factory.mktemp("model")
    words = ["▁SELECT", "SELECT", "▁FROM", "▁kiln", "kiln", "▁WHERE", "maker", "▁question", "sql"]
    make_tokenizer([SPACE, *CHARACTERS, "é", *words]).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"is_encoder_decoder": True, "vocab_size": 128}))
    return folder
