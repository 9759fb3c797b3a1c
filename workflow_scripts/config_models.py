"""What is wrong with a model in the configuration: each fault with its key and its cure."""

from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.artifacts.settings import ModelSettings
from workflow_scripts.config import (
    Config,
    compared_run,
    model_settings,
    runs_of,
    splits_tested,
)
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
    """The faults of the models that are compared with the best run."""
    for name, entry in config["models"].items():
        if ("endpoint" in entry) == ("base" in entry):
            yield f"models.{name} needs either endpoint or base, with the run to fine-tune it like."
        elif "endpoint" in entry:
            yield from _endpoint_faults(entry["endpoint"], f"models.{name}.endpoint")
        else:
            yield from _base_faults(config, name)
    yield from _one_folder(config)
    recipe = config["agents"]["recipe"]
    known = recipe in config["recipes"]
    if config["models"] and known and not splits_tested(config, recipe):
        yield (
            f"models: they are compared on test rows, but agents.recipe ({recipe}) keeps none. "
            "Set test_set.rows and the recipe's test_set, or empty models."
        )


def _endpoint_faults(endpoint: Config, key: str) -> Iterator[str]:
    if endpoint.get("budget") and not endpoint.get("prices"):
        yield (
            f"{key}.budget is set, but {key}.prices is not. Set the prices of a million tokens: "
            "{input: ..., output: ...}."
        )


def _base_faults(config: Config, name: str) -> Iterator[str]:
    key, entry = f"models.{name}", config["models"][name]
    if "run" not in entry:
        yield f"{key}: missing run. Name the run that it is fine-tuned like."
        return
    recipe, run = compared_run(config, name)
    if recipe not in config["recipes"]:
        known = ", ".join(config["recipes"])
        yield f"{key}.recipe is {recipe!r}, which is no recipe. Recipes: {known}."
    elif run not in (runs := runs_of(config, recipe)):
        yield f"{key}.run is {run!r}, which is no run of {recipe}. Runs: {', '.join(runs)}."
    elif runs[run]["starts_from"] != "base" or runs[run]["scored_on"] != "self":
        yield f"{key}.run is {run!r}, which needs other runs. Name one that starts from the base."
    else:
        yield from model_faults({"device": config["model"]["device"], **entry}, key)


def _one_folder(config: Config) -> Iterator[str]:
    """Models of the hub are downloaded to folders of their last names."""
    meant: dict[str, tuple[str, str]] = {}
    for model in (config["model"], *config["models"].values()):
        if model.get("revision") and "base" in model:
            one = (model["base"], model["revision"])
            other = meant.setdefault(Path(model["base"]).name, one)
            if other != one:
                yield (
                    f"models: {' at '.join(one)} and {' at '.join(other)} would be downloaded to "
                    "one folder. Compare them in two clones."
                )
