"""A model from a folder, or a clear word on why that cannot be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import digest_of, read_json, sha256

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
MODEL_FILES = ("*.json", "*.safetensors", "*.bin", "*.model")
NEW_ROW_NOISE = 0.5  # share of the embedding's own spread; with less, likes are told apart late


def base_digest(folder: Path) -> str:
    """sha256 over the names and contents of a model folder's weights, config and tokenizer."""
    files = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})
    return digest_of({path.name: sha256(path) for path in files})


def check_base(folder: Path) -> None:
    """Raise EssenceError unless `folder` holds an encoder-decoder model with its weights."""
    if not folder.is_dir():
        raise EssenceError(
            f"{folder}: no such model folder. Set model.base to a folder with config.json and "
            "model.safetensors, or make the stand-in model again with `snakemake pretrain`."
        )
    if not (folder / "config.json").is_file():
        raise EssenceError(f"{folder}: no config.json in it, so it is not a model folder.")
    config = read_json(folder / "config.json")
    if not config.get("is_encoder_decoder"):
        raise EssenceError(
            f"{folder}: model.base is a {config.get('model_type', 'model of unknown type')}, "
            "which is not an encoder-decoder (seq2seq) model. Use a T5, mT5, BART or the like."
        )
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise EssenceError(
            f"{folder}: no weights ({' or '.join(WEIGHTS)}). Copy them there, or make random ones "
            f"with `python -m workflow_scripts.model.random_weights --config {folder} --out ...`."
        )


def load_model(folder: Path) -> Any:
    """The model in float32.

    Raises EssenceError when the folder or the weights in it cannot be used.
    """
    check_base(folder)
    from transformers import AutoModelForSeq2SeqLM

    quiet_library()
    try:
        model, report = AutoModelForSeq2SeqLM.from_pretrained(
            folder, dtype="float32", local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # truncated or foreign files raise errors of many kinds
        raise EssenceError(
            f"{folder}: the weights cannot be read ({str(error).splitlines()[0]}). "
            "Fetch or make the model again."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise EssenceError(
            f"{folder}: the weights do not fit config.json: {len(missing)} tensors are missing "
            f"({', '.join(missing[:3])}, ...). Fetch or make the model again."
        )
    return model


def quiet_library() -> None:
    """No progress bars and no advice in our logs."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def make_room(model: Any, tokenizer: Any, new: Mapping[int, int | None], seed: int) -> None:
    """Give the embedding a row for every token of `tokenizer`.

    `new` (see `tokenizers.new_rows`) names the tokens that the model has yet to learn: each starts
    from the row of its like, or from the mean row, with seeded noise to tell them apart.
    """
    import torch

    from workflow_scripts.text.tokenizers import rows_needed

    tokens, old = rows_needed(tokenizer), model.get_input_embeddings().weight.shape[0]
    if tokens > old:
        model.resize_token_embeddings(tokens, mean_resizing=False)
    modules = (model.get_input_embeddings(), model.get_output_embeddings())
    tables = {id(module.weight): module.weight for module in modules}  # often one and the same
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for table in tables.values():
            mean, spread = table[:old].mean(0), table[:old].std()
            for row, like in new.items():
                noise = torch.randn(table.shape[1], generator=generator)
                start = mean if like is None else table[like]
                table[row] = start + NEW_ROW_NOISE * spread * noise
