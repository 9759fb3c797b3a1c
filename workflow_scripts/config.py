"""The configuration: checked before any job, and resolved into the settings of each run.

`checked` is called by the Snakefile; the other functions answer what a run of a recipe is made
of. They are the only place that knows how defaults, runs and recipes combine.
"""

import copy
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from workflow_scripts.errors import EssenceError
from workflow_scripts.model.fetch import FILES as MODEL_FILES
from workflow_scripts.sql.databases import list_databases

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "rules" / "config.schema.yaml"
SOURCE_KEYS = {"path": "path", "url": "url", "drive": "drive_id"}  # data.source -> its key
RUN_KEYS = ("experiment", "batch_size", "learning_rate")

Config = dict[str, Any]


def checked(config: Config) -> Config:
    """Return `config` with removed (null) entries dropped.

    Raises EssenceError with one line per fault: key, value, what is wrong, what to do.
    """
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    faults = sorted({_describe(error) for error in validator.iter_errors(config)})
    if not faults:
        config = _without_removed(config)
        faults = _cross_check(config)
    if faults:
        raise EssenceError("the configuration is wrong:\n  " + "\n  ".join(faults))
    config["recipes"] |= _ablation_recipes(config)
    return config


def local_gpus(devices: Path = Path("/dev")) -> int:
    """How many GPUs this machine has, without asking torch."""
    return len(list(devices.glob("nvidia[0-9]*")))


def wants_gpu(config: Config) -> bool:
    """Whether training and prediction ask for a GPU: when told to, or when one is here."""
    device = config["model"]["device"]
    return device == "cuda" or (device == "auto" and local_gpus() > 0)


def best_run_candidates(config: Config) -> list[str]:
    """The runs among which experiment 4 chooses."""
    best = config["best_run"]
    runs = runs_of(config, best["recipe"])
    return [name for name, run in runs.items() if best["experiment"] in (None, run["experiment"])]


def source_of(config: Config) -> str | None:
    """The file, address or id that the rows come from; None for the twin, or where it is unset."""
    return config["data"].get(SOURCE_KEYS.get(config["data"]["source"], ""))


def keeps_test(config: Config, recipe: str) -> bool:
    """Whether a recipe's runs are asked rows that no run trains on."""
    return config["recipes"][recipe]["test_set"] and any(config["test_set"]["rows"].values())


def has_databases(config: Config) -> bool:
    """Whether answers can be executed."""
    return config["data"]["source"] == "twin" or bool(config["data"].get("databases"))


def ablation_names(config: Config) -> list[str]:
    """The recipes of the ablation: both ends, and one step from either end for each repair."""
    ablation = config["ablation"]
    worse, better, repairs = ablation["worse"], ablation["better"], ablation["repairs"]
    forth = [f"{worse}+{repair}" for repair in repairs]
    return [worse, *forth, better, *(f"{better}-{repair}" for repair in repairs)]


def _ablation_recipes(config: Config) -> dict[str, Config]:
    ablation, recipes = config["ablation"], config["recipes"]
    worse, better = recipes[ablation["worse"]], recipes[ablation["better"]]
    derived = {}
    for repair, keys in ablation["repairs"].items():
        repaired, spoilt = ({key: end[key] for key in keys} for end in (better, worse))
        derived[f"{ablation['worse']}+{repair}"] = {**worse, **repaired}
        derived[f"{ablation['better']}-{repair}"] = {**better, **spoilt}
    return derived


def runs_of(config: Config, recipe: str) -> dict[str, Config]:
    """The runs of a recipe by name, each with every setting of a run."""
    special = config["recipes"][recipe].get("runs") or {}
    names = list(config["runs"]) + [name for name in special if name not in config["runs"]]
    defaults = {"patience": None, "starts_from": "base", "scored_on": "self", "draw": 1}
    return {
        name: {
            **defaults,
            **config["run_defaults"],
            **config["runs"].get(name, {}),
            **(special.get(name) or {}),
        }
        for name in names
        if not (name in special and special[name] is None)
    }


def sample_settings(config: Config, recipe: str, run: str, seed: int) -> Config:
    """What `data.sample draw` needs to draw the rows of a run."""
    settings = runs_of(config, recipe)[run]
    keys = ("sampling", "rows", "split", "validation_share", "draw")
    return {**{key: settings[key] for key in keys}, "seed": seed}


def sample_name(config: Config, recipe: str, run: str) -> str:
    """Folder name of a run's rows; runs with equal settings share one sample."""
    settings = sample_settings(config, recipe, run, 0)
    parts = [settings["sampling"], str(settings["rows"]), settings["split"]]
    if settings["validation_share"] != 0.2:
        parts.append(f"val{settings['validation_share']:g}")
    if settings["draw"] != 1:
        parts.append(f"draw{settings['draw']}")
    if not config["recipes"][recipe]["test_set"]:
        parts.append("notest")
    return "_".join(parts)


def run_settings(config: Config, recipe: str, run: str, seed: int) -> Config:
    """All that decides a fine-tuning besides its data and its first weights."""
    chosen = runs_of(config, recipe)[run]
    text = {k: v for k, v in config["recipes"][recipe].items() if k not in ("runs", "test_set")}
    keys = ("experiment", "sampling", "rows", "batch_size", "learning_rate", "epochs", "patience")
    return {
        "recipe": {"name": recipe, **text},
        "run": {"name": run, **{key: chosen[key] for key in keys}},
        "training": config["training"],
        "seed": seed,
        "device": config["model"]["device"],
        "precision": config["model"]["precision"],
    }


def _describe(error: jsonschema.ValidationError) -> str:
    key = ".".join(str(part) for part in error.absolute_path) or "the configuration"
    value, kind = error.instance, error.validator
    if kind == "anyOf" and error.context:
        deepest = max(error.context, key=lambda each: len(each.absolute_path))
        return _describe(deepest)
    if kind == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(value) - set(known))
        return f"{key}: unknown key {', '.join(unknown)}. Known here: {', '.join(known)}."
    if kind == "required":
        missing = sorted(set(error.validator_value) - set(value))
        return f"{key}: missing {', '.join(missing)}. Add it; config.yaml has an example."
    if kind == "type" and isinstance(value, str) and _is_number(value):
        example = f"{float(value):.1e}" if "e" in value.lower() else value
        return (
            f"{key} is '{value}', which YAML reads as text; a number belongs here. "
            f"Write {example} (with a point, without quotes)."
        )
    wanted = {
        "type": lambda: f"{_kinds(error.validator_value)} belongs here",
        "enum": lambda: f"one of {', '.join(map(str, error.validator_value))} belongs here",
        "minimum": lambda: f"at least {error.validator_value} is needed",
        "maximum": lambda: f"at most {error.validator_value} is allowed",
        "exclusiveMinimum": lambda: f"it must be above {error.validator_value}",
        "exclusiveMaximum": lambda: f"it must be below {error.validator_value}",
    }.get(kind, lambda: error.message)()
    meaning = error.schema.get("description") if isinstance(error.schema, dict) else None
    return f"{key} is {value!r}: {wanted}." + (f" ({meaning})" if meaning else "")


def _kinds(wanted: str | list[str]) -> str:
    names = {
        "integer": "a whole number",
        "number": "a number",
        "string": "text",
        "object": "a mapping",
    }
    names |= {"boolean": "true or false", "array": "a list", "null": "null"}
    return " or ".join(names[each] for each in ([wanted] if isinstance(wanted, str) else wanted))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without_removed(config: Config) -> Config:
    config = copy.deepcopy(config)
    for key in ("runs", "recipes"):
        config[key] = {name: value for name, value in config[key].items() if value is not None}
    return config


def _cross_check(config: Config) -> list[str]:
    faults = []
    recipes = ", ".join(config["recipes"])
    for name in config["use_recipes"]:
        if name not in config["recipes"]:
            faults.append(f"use_recipes names {name!r}, which is no recipe. Recipes: {recipes}.")
    base = config["model"]["base"]
    made_here = config["model"].get("revision") or base.startswith("results/")
    if not made_here:
        faults += _check_base(base)
    for end in ("worse", "better"):
        if config["ablation"][end] not in config["recipes"]:
            faults.append(f"ablation.{end} must be one of the recipes: {recipes}.")
        elif config["ablation"]["run"] not in runs_of(config, config["ablation"][end]):
            known = ", ".join(runs_of(config, config["ablation"][end]))
            faults.append(f"ablation.run must be a run of {config['ablation'][end]}: {known}.")
    wanted = SOURCE_KEYS.get(config["data"]["source"])
    if wanted and not source_of(config):
        source = config["data"]["source"]
        faults.append(f"data.source is {source}, but data.{wanted} is empty. Set it.")
    # Snakemake passes over a source file that is missing as long as what was made of it is there.
    elif wanted == "path" and not (ROOT / config["data"]["path"]).is_file():
        faults.append(f"data.path is {config['data']['path']!r}: no such file.")
    databases = config["data"].get("databases")
    if databases and not list(list_databases(ROOT / databases)):
        faults.append(
            f"data.databases is {databases!r}: no database there. A folder with "
            "<db_id>/<db_id>.sqlite belongs here, or null: answers are then not executed."
        )
    for recipe in config["use_recipes"]:
        if recipe in config["recipes"]:
            faults += _check_runs(config, recipe)
    return faults or _check_best(config)


def _check_base(base: str) -> list[str]:
    folder = ROOT / base
    if not folder.is_dir():
        return [
            f"model.base is {base!r}: no such folder. Name a folder with a model, or a model "
            "on the hub together with model.revision."
        ]
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    return [
        f"model.base is {base!r}, which lacks {', '.join(missing)}. transformers' "
        "save_pretrained writes them, of the model and of its (fast) tokenizer."
    ][: len(missing)]


def _check_best(config: Config) -> list[str]:
    """What experiment 4 chooses by must be measured, which shows only after all training."""
    best, splits = config["best_run"], config["prediction"]["splits"]
    recipe = best["recipe"]
    if recipe not in config["use_recipes"]:
        return ["best_run.recipe must be one of use_recipes, or nothing is measured for it."]
    faults = []
    if not best_run_candidates(config):
        faults.append(f"best_run.experiment is {best['experiment']}: {recipe} has no such run.")
    a_loss = best["metric"] in ("eval_loss", "loss_per_token")
    if a_loss and best["split"] != "val":
        faults.append(f"best_run.split must be val: {best['metric']} is measured there alone.")
    elif not a_loss and best["split"] not in splits:
        faults.append(f"best_run.split is {best['split']}, but prediction.splits lacks it.")
    if best["split"] == "test" and not keeps_test(config, recipe):
        faults.append(f"best_run.split is test, but recipe {recipe} keeps no test rows.")
    if best["metric"] == "execution_accuracy" and not has_databases(config):
        faults.append("best_run.metric is execution_accuracy, but data.databases is empty.")
    if "val" not in splits and not all(keeps_test(config, name) for name in config["use_recipes"]):
        faults.append("prediction.splits needs val: a recipe without test rows is scored on them.")
    return faults


def _check_runs(config: Config, recipe: str) -> list[str]:
    faults = []
    runs = runs_of(config, recipe)
    needed = (*RUN_KEYS, "sampling", "rows", "split", "validation_share", "epochs")
    for name, run in runs.items():
        where = f"runs.{name} (recipe {recipe})"
        missing = [key for key in needed if key not in run]
        if missing:
            faults.append(
                f"{where}: missing {', '.join(missing)}. Add it there or to run_defaults."
            )
            continue
        if run["sampling"] == "balanced" and run["rows"] % 3:
            lower = run["rows"] - run["rows"] % 3
            faults.append(
                f"{where}: rows is {run['rows']}; a balanced sample has equally many of three "
                f"tasks. Write {lower} or {lower + 3}."
            )
        for key, none in (("starts_from", "base"), ("scored_on", "self")):
            if run[key] not in (none, *runs):
                faults.append(
                    f"{where}: {key} is {run[key]!r}. Known: {none}, {', '.join(sorted(runs))}."
                )
    return faults or _check_chains(recipe, runs)


def _check_chains(recipe: str, runs: dict[str, Config]) -> list[str]:
    for name in runs:
        chain = [name]
        while (before := runs[chain[-1]]["starts_from"]) != "base":
            if before in chain:
                circle = " -> ".join([*chain, before])
                return [f"recipe {recipe}: starts_from goes round in a circle: {circle}."]
            chain.append(before)
    return []
