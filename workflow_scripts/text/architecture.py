"""Recognise the kind of model in a folder by its config.json."""

from pathlib import Path
from typing import Any

from workflow_scripts.files import read_json


def model_config(folder: Path) -> dict[str, Any]:
    """Read config.json; without one, the folder has the tokenizer of an encoder-decoder alone."""
    file = folder / "config.json"
    return read_json(file) if file.is_file() else {"is_encoder_decoder": True}


def architecture_of(folder: Path) -> str:
    """Return encoder-decoder or causal, as model.architecture does."""
    return "encoder-decoder" if model_config(folder).get("is_encoder_decoder") else "causal"
