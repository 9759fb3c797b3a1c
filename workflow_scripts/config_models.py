"""What is wrong with a model in the configuration: each fault with its key and its cure."""

from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.artifacts.settings import ModelSettings
from workflow_scripts.config import Config, model_settings, splits_tested
from workflow_scripts.model.fetch import FILES as MODEL_FILES
from workflow_scripts.text.architecture import architecture_of

ROOT = Path(__file__).resolve().parent.parent


def model_faults(model: Config, key: str = "model") -> Iterator[str]:
    """The faults of a block of the configuration, which stands there as `key`."""
    yield from _settings_faults(model_settings(model), model["device"], key)
    base = model["base"]
    if model.get("revision") or base.startswith("results/"):
        return  # fetched or made before it is used
    missing = [name for name in MODEL_FILES if not (ROOT / base / name).is_file()]
    if not (ROOT / base).is_dir():
        yield (
            f"{key}.base is {base!r}: no such folder. Name a folder with a model, or a model "
            f"on the hub together with {key}.revision."
        )
    elif missing:
        yield (
            f"{key}.base is {base!r}, which lacks {', '.join(missing)}. transformers' "
            "save_pretrained writes them, of the model and of its (fast) tokenizer."
        )
    elif (found := architecture_of(ROOT / base)) != model_settings(model).architecture:
        yield f"{key}.base is {base!r}, a model that is {found}. Set {key}.architecture to that."


def _settings_faults(model: ModelSettings, device: str, key: str) -> Iterator[str]:
    for setting in ("lora", "liger"):
        if getattr(model, setting) and model.architecture != "causal":
            yield (
                f"{key}.{setting} is set, but {key}.architecture is {model.architecture}: it is "
                f"for decoder-only models. Set the architecture to causal, or leave it out."
            )
    if model.load_4bit and not model.lora:
        yield (
            f"{key}.load_4bit is true, but {key}.lora is null. Weights of 4 bits cannot be "
            "trained: set lora, or load_4bit to false."
        )
    for setting in ("load_4bit", "liger"):
        if getattr(model, setting) and device == "cpu":
            yield f"{key}.{setting} needs a GPU, but {key}.device is cpu. Set it to false."


def compared_faults(config: Config) -> Iterator[str]:
    for name, model in config["models"].items():
        endpoint = model["endpoint"]
        if endpoint.get("budget") and not endpoint.get("prices"):
            yield (
                f"models.{name}.endpoint.budget is set, but models.{name}.endpoint.prices is not. "
                "Set the prices of a million tokens: {input: ..., output: ...}."
            )
    recipe = config["agents"]["recipe"]
    known = recipe in config["recipes"]
    if config["models"] and known and not splits_tested(config, recipe):
        yield (
            f"models: they are compared on test rows, but agents.recipe ({recipe}) keeps none. "
            "Set test_set.rows and the recipe's test_set, or empty models."
        )
