"""The configuration resolved: what rows, samples, recipes and runs it stands for.

The only place that knows how defaults, runs and recipes combine. `config` is what Snakemake reads
from config.yaml and its overlays, checked (config_check.py); config_model.py explains every key.
"""

from pathlib import Path
from typing import Any

from workflow_scripts.data.samples import TEST_SPLITS, SampleSettings
from workflow_scripts.data.twin.worlds import UNSEEN_DOMAINS, domain_names
from workflow_scripts.settings import (
    Endpoint,
    ModelSettings,
    Recipe,
    RunSettings,
    Settings,
    TrainingSettings,
)

Config = dict[str, Any]

# Made by a rule where a configuration names them: generated rows, a model with random weights.
TWIN_ROWS, RANDOM_T5_SMALL = "resources/twin/rows.jsonl", "results/random_t5_small"
STANDIN = "resources/models/standin"  # the base model that comes with the workflow
BUILT = ("spider", "bird")  # data.source: rows that are built from questions and databases
SOURCE_KEYS = {"path": "path", "url": "url", "drive": "drive_id"}  # data.source -> its key
SOURCE_KEYS |= dict.fromkeys(BUILT, "questions")
USUAL_VALIDATION_SHARE = 0.2  # goes without saying in a sample's name
# What stands under a recipe besides its own settings; the last two under derived ones alone.
NOT_OF_THE_RECIPE = ("runs", "test_set", "model", "learning_rate_scale")
# What an entry of `models` says of its fine-tuning, besides the keys of `model`.
OF_THE_ENTRY = ("recipe", "run", "learning_rate_scale", "parameters")


def source_of(config: Config) -> str | None:
    """The file, address or id that the rows come from; None for the twin, or where it is unset."""
    return config["data"].get(SOURCE_KEYS.get(config["data"]["source"], ""))


def unseen_databases(config: Config) -> list[str]:
    """The whole databases that no run of a recipe with a test set trains on."""
    named = config["test_set"].get("unseen_databases")
    if named is None:
        return domain_names(UNSEEN_DOMAINS) if config["data"]["source"] == "twin" else []
    return named


def splits_tested(config: Config, recipe: str) -> list[str]:
    """The splits of test rows that a recipe's runs are asked; none where it keeps no test set."""
    drawn = any(config["test_set"]["rows"].values())
    given = {
        "test": drawn,
        "unseen": drawn and unseen_databases(config),
        "other": config["test_set"].get("other"),
    }
    keeps_test = config["recipes"][recipe]["test_set"]
    return [split for split in TEST_SPLITS if keeps_test and given[split]]


def has_databases(config: Config) -> bool:
    """Whether answers can be executed."""
    return config["data"]["source"] == "twin" or bool(config["data"].get("databases"))


def runs_of(config: Config, recipe: str) -> dict[str, Config]:
    """The runs of a recipe by name, each with every setting of a run; null removes a run."""
    own = config["recipes"][recipe].get("runs") or {}
    names = dict.fromkeys([*config["runs"], *own])
    return {
        name: {
            **config["run_defaults"],
            **config["runs"].get(name, {}),
            **own.get(name, {}),
        }
        for name in names
        if own.get(name, {}) is not None
    }


def agents_are_evaluated(config: Config) -> bool:
    """Whether the agents at work together have a model, databases and questions."""
    recipe, asked = config["agents"]["recipe"], config["test_set"]["rows"]["Decomposer"]
    trained = recipe in config["use_recipes"]
    return (
        trained and has_databases(config) and "test" in splits_tested(config, recipe) and asked > 0
    )


def sample_settings(config: Config, recipe: str, run: str, seed: int) -> SampleSettings:
    """What decides the rows that a run is trained and validated on."""
    chosen = {**runs_of(config, recipe)[run], "seed": seed}
    return SampleSettings(**{key: chosen[key] for key in SampleSettings.model_fields})


def sample_name(config: Config, recipe: str, run: str) -> str:
    """Folder name of a run's rows; runs with equal settings share one sample."""
    settings = sample_settings(config, recipe, run, seed=0)
    parts = [settings.sampling, str(settings.rows), settings.split]
    if settings.validation_share != USUAL_VALIDATION_SHARE:
        parts.append(f"val{settings.validation_share:g}")
    if settings.draw != 1:
        parts.append(f"draw{settings.draw}")
    if not config["recipes"][recipe]["test_set"]:
        parts.append("notest")
    return "_".join(parts)


def recipe_settings(config: Config, name: str) -> Recipe:
    """A recipe's own settings, without those of its runs."""
    settings = config["recipes"][name]
    own = {key: value for key, value in settings.items() if key not in NOT_OF_THE_RECIPE}
    return Recipe(name=name, **own)


def run_settings(config: Config, recipe: str, run: str, seed: int) -> Settings:
    """All that decides a fine-tuning besides its rows and its first weights."""
    chosen = {"name": run, **runs_of(config, recipe)[run]}
    return Settings(
        recipe=recipe_settings(config, recipe),
        run=RunSettings(**{key: chosen[key] for key in RunSettings.model_fields}),
        training=TrainingSettings(**_training(config, recipe)),
        seed=seed,
        device=config["model"]["device"],
        precision=config["model"]["precision"],
        model=model_settings(model_of(config, recipe)),
    )


def _training(config: Config, recipe: str) -> Config:
    own = config["recipes"][recipe].get("learning_rate_scale")
    return config["training"] | ({"learning_rate_scale": own} if own else {})


def training_memory(settings: Settings, weights: float, on_gpu: bool) -> int:
    """MB of main memory that a training is to have; `weights`: MB of the files it starts from.

    docs/cluster.md says what of it was measured, and how.
    """
    memory = 3000 + 5 * weights  # libraries; weights, their gradients, AdamW's two averages, a copy
    if not on_gpu:
        row = settings.recipe.source_tokens / 400 + settings.recipe.target_tokens / 170
        memory += (
            max(settings.run.batch_size, settings.training.eval_batch_size / 4) * row * weights
        )
    return round(memory)


def answering_memory(settings: Settings, rows: int, weights: float, on_gpu: bool) -> int:
    """MB of main memory for answering `rows` prompts at a time; `weights` as in training_memory."""
    memory = 2000 + 2 * weights
    if not on_gpu:
        tokens = settings.recipe.source_tokens + settings.recipe.generate_tokens
        memory += rows * tokens * weights / 2000
    return round(memory)


def model_of(config: Config, recipe: str) -> Config:
    """The base model of a recipe's runs: the configuration's, or that of a compared model."""
    return config["recipes"][recipe].get("model") or config["model"]


def model_settings(model: Config) -> ModelSettings:
    """What stands under `model` besides where the base model is and what it runs on."""
    return ModelSettings(**{key: model[key] for key in ModelSettings.model_fields if key in model})


def endpoints(config: Config) -> dict[str, Endpoint]:
    """The compared models that a server answers for, by name."""
    return {
        name: Endpoint.model_validate({"name": name, **model["endpoint"]})
        for name, model in config["models"].items()
        if "endpoint" in model
    }


def compared_recipes(config: Config) -> dict[str, Config]:
    """A recipe with one run for each compared model that is fine-tuned here, named recipe@model."""
    derived = {}
    for name, entry in config["models"].items():
        if "base" in entry:
            recipe, run = compared_run(config, name)
            others = {other: None for other in runs_of(config, recipe) if other != run}
            own = config["recipes"][recipe].get("runs") or {}
            base = {key: value for key, value in entry.items() if key not in OF_THE_ENTRY}
            derived[f"{recipe}@{name}"] = {
                **config["recipes"][recipe],
                "runs": {**own, **others},
                "model": {key: config["model"][key] for key in ("device", "precision")} | base,
                "learning_rate_scale": entry.get("learning_rate_scale"),
            }
    return derived


def compared_run(config: Config, name: str) -> tuple[str, str]:
    """(recipe, run) that a compared model is fine-tuned like."""
    entry = config["models"][name]
    return entry.get("recipe") or config["agents"]["recipe"], entry["run"]


def ablation_names(config: Config) -> list[str]:
    """The recipes of the ablation: both ends, and those derived from them."""
    ends = [config["ablation"][end] for end in ("unrepaired", "repaired")]
    return [*ends, *ablation_recipes(config)]


def ablation_recipes(config: Config) -> dict[str, Config]:
    """The recipes one step from either end: each repair alone, taken back, and each control.

    Their names are the end's, a sign (+, -, ~ for a control) and what is changed.
    """
    ablation, recipes = config["ablation"], config["recipes"]
    unrepaired, repaired = recipes[ablation["unrepaired"]], recipes[ablation["repaired"]]
    derived = {}
    for repair, keys in ablation["repairs"].items():
        after, before = ({key: end[key] for key in keys} for end in (repaired, unrepaired))
        derived[f"{ablation['unrepaired']}+{repair}"] = {**unrepaired, **after}
        derived[f"{ablation['repaired']}-{repair}"] = {**repaired, **before}
    for control, changed in ablation["controls"].items():
        derived[f"{ablation['repaired']}~{control}"] = _control(repaired, ablation["run"], changed)
    return derived


def _control(recipe: Config, run: str, changed: Config) -> Config:
    """`recipe` with some settings changed: its own, and those of the one run."""
    of_recipe = {key: value for key, value in changed.items() if key in recipe}
    of_run = {key: value for key, value in changed.items() if key not in recipe}
    runs = recipe.get("runs") or {}
    return {**recipe, **of_recipe, "runs": {**runs, run: {**runs.get(run, {}), **of_run}}}


def local_gpus(devices: Path = Path("/dev")) -> int:
    """How many GPUs this machine has, without asking torch."""
    return len(list(devices.glob("nvidia[0-9]*")))


def wants_gpu(config: Config) -> bool:
    """Whether training and prediction ask for a GPU: if set, or if the machine has one."""
    device = config["model"]["device"]
    return device == "cuda" or (device == "auto" and local_gpus() > 0)
