"""A model from a folder, with an embedding for every token of its tokenizer."""

from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import digest_of, sha256
from workflow_scripts.text.architecture import architecture_of
from workflow_scripts.text.tokenizers import added_tokens, embedding_rows_needed

# Standard deviation of the noise on added embeddings, as a share of the embedding's own; with less,
# tokens that start from the same embedding are distinguished late.
ADDED_TOKEN_NOISE = 0.5


def base_digest(folder: Path) -> str:
    """sha256 over names and contents of a model folder's weights, config, tokenizer, template."""
    kinds = ("*.json", "*.safetensors", "*.jinja")
    files = sorted(path for kind in kinds for path in folder.glob(kind))
    return digest_of({path.name: sha256(path) for path in files})


def check_base(folder: Path, architecture: str | None = None) -> None:
    """Raise EssenceError unless `folder` holds a model, of `architecture` where that is given."""
    if not folder.is_dir():
        raise EssenceError(
            f"{folder}: no such model folder. Set model.base to a folder with config.json and "
            "model.safetensors, or make the stand-in again: python -m tools.pretrain --out DIR"
        )
    if (folder / "adapter_config.json").is_file():
        raise EssenceError(
            f"{folder}: these are adapters alone. Give the model of the run that trained them, "
            "results/runs/<recipe>/<run>/seed<k>."
        )
    if not (folder / "config.json").is_file():
        raise EssenceError(f"{folder}: no config.json in it, so it is not a model folder.")
    if architecture and (own := architecture_of(folder)) != architecture:
        raise EssenceError(
            f"{folder}: the architecture of this model is {own}, not {architecture}. "
            f"Set model.architecture to {own}, or model.base to another model."
        )
    if not (folder / "model.safetensors").is_file():
        raise EssenceError(
            f"{folder}: no model.safetensors. Copy the weights there, or make random ones "
            f"with `python -m workflow_scripts.model.random_weights --config {folder} --out ...`."
        )


def load_model(folder: Path, dtype: str = "float32", **options: Any) -> Any:
    """The model, in float32 unless another dtype is given; `options` go to `from_pretrained`.

    Raises EssenceError when the folder or the weights in it cannot be used.
    """
    check_base(folder)
    silence_library()
    try:
        model, report = model_class(folder).from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True, **options
        )
    except Exception as error:  # truncated or foreign files raise errors of many kinds
        raise EssenceError(
            f"{folder}: the weights cannot be read ({str(error).splitlines()[0]}). "
            "Fetch or make the model again."
        ) from error
    check_complete(folder, report)
    return model


def check_complete(folder: Path, report: dict[str, Any]) -> None:
    """Raise EssenceError where the weights lack tensors, which transformers would make up."""
    if missing := sorted(report["missing_keys"]):
        raise EssenceError(
            f"{folder}: the weights do not fit config.json: {len(missing)} tensors are missing "
            f"({', '.join(missing[:3])}, ...). Fetch or make the model again."
        )


def model_class(folder: Path) -> Any:
    """transformers' class that loads a model of the architecture of `folder`."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    causal = architecture_of(folder) == "causal"
    return AutoModelForCausalLM if causal else AutoModelForSeq2SeqLM


def silence_library() -> None:
    """No progress bars and no advice in our logs."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def initial_model(folder: Path, tokenizer: Any, seed: int) -> Any:
    """The model of a folder, with an embedding for every token of `tokenizer`.

    Each token that the model has yet to learn starts from the embedding of a similar token, or from
    the mean embedding, with seeded noise so that no two start equal.
    """
    import torch

    model, added = load_model(folder), added_tokens(folder, tokenizer)
    needed, known = embedding_rows_needed(tokenizer), model.get_input_embeddings().weight.shape[0]
    if needed > known:
        model.resize_token_embeddings(needed, mean_resizing=False)
    modules = (model.get_input_embeddings(), model.get_output_embeddings())
    matrices = {id(module.weight): module.weight for module in modules}  # tied: one and the same
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in matrices.values():
            mean, deviation = weight[:known].mean(0), weight[:known].std()
            for token, similar in added.items():
                noise = torch.randn(weight.shape[1], generator=generator)
                start = mean if similar is None else weight[similar]
                weight[token] = start + ADDED_TOKEN_NOISE * deviation * noise
    return model
