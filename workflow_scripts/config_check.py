"""The configuration is read and checked before any job: each fault with its key and its cure.

The meaning and bounds of single keys stand in config_model.py, and so does what the keys of one
section ask of each other; here is how a fault is put, and what sections ask of each other.
"""

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from workflow_scripts.config import (
    Config,
    ablation_recipes,
    compared_recipes,
    has_databases,
    runs_of,
    splits_tested,
    unseen_databases,
)
from workflow_scripts.config_model import ComparedModel, Configuration, Run, json_schema
from workflow_scripts.data.twin.worlds import domain_names
from workflow_scripts.digest import ROOT
from workflow_scripts.errors import EssenceError

SCHEMA = ROOT / "rules" / "config.schema.yaml"
RUN_KEYS = list(Run.model_fields)  # all of them are needed, in the run or in run_defaults
REMOVED = {"training.checkpoint_steps": "a training is saved at the end of each epoch"}
BASES = ("base", "random")  # what a run starts from, unless from another run
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast


def read_typed(config: Config, typed: Config) -> Config:
    """`config` with the values that --config set (`typed`) read as in a configuration file.

    Snakemake hands over all that stands inside a mapping or a list of --config as text, 'true' and
    '1' too. Here it stays text only where text belongs; null is nothing everywhere.
    """
    config = copy.deepcopy(config)
    for path, value in leaves(typed):
        if value in ("null", "~", "") and at(config, path) == value:
            at(config, path[:-1])[path[-1]] = None
    for error in _breaches(config):
        path, value = error["loc"], error["input"]
        if isinstance(value, str) and at(typed, path) == value:
            at(config, path[:-1])[path[-1]] = yaml.safe_load(value)
    return config


def leaves(value: object, path: tuple = ()) -> Iterator[tuple[tuple, object]]:
    """(keys that lead there, value) of all that is neither a mapping nor a list."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(each, (*path, key))
    else:
        yield path, value


def at(config: object, path: Iterable) -> object:
    """What stands under a path of keys; None where there is no such place."""
    for key in path:
        try:
            config = config[key]
        except (KeyError, IndexError, TypeError):
            return None
    return config


def check_files(files: Iterable[Path | str]) -> None:
    """Raise EssenceError where a configuration file has a key twice: YAML would take the last."""
    faults = []
    for file in files:
        text = Path(file).read_text(encoding="utf-8")
        faults += [f"{file}, {fault}" for fault in _repeated_keys(yaml.compose(text, _Loader))]
    if faults:
        raise EssenceError("\n  ".join(["the configuration is wrong:", *faults]))


def _repeated_keys(node: yaml.Node) -> Iterator[str]:
    lines: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        line = key.start_mark.line + 1
        if key.value in lines:
            before = lines[key.value]
            yield f"line {line}: {key.value} stands in line {before} already. Keep one of them."
        lines[key.value] = line
        yield from _repeated_keys(value)


def checked(config: Config) -> Config:
    """Return `config` without removed (null) entries and with derived recipes.

    Raises EssenceError with one line per fault: key, value, what is wrong, what to do.
    """
    faults = sorted({_describe(error) for error in _breaches(config)})
    if not faults:
        config = _without_removed(config)
        faults = list(_contradictions(config))
    if faults:
        raise EssenceError("\n  ".join(["the configuration is wrong:", *faults]))
    config["recipes"] |= ablation_recipes(config) | compared_recipes(config)
    return config


def _breaches(config: Config) -> list[Any]:
    try:
        Configuration.model_validate(config)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _describe(error: Any) -> str:
    """One breach of the model: key, value, what belongs there, and what the key means."""
    kind, place, value = error["type"], error["loc"], error["input"]
    key = _name(place)
    if key in REMOVED:
        return f"{key} is gone: {REMOVED[key]}. Take it out."
    if kind == "extra_forbidden":
        known = ", ".join(sorted(_at_schema(place[:-1])["properties"]))
        return f"{_name(place[:-1])}: unknown key {place[-1]}. Known here: {known}."
    if kind == "missing":
        return f"{_name(place[:-1])}: missing {place[-1]}. Add it; config.yaml has an example."
    if kind in ("int_type", "float_type") and isinstance(value, str) and _as_number(value):
        return (
            f"{key} is '{value}', which YAML reads as text; a number belongs here. "
            f"Write {_as_number(value)} (with a point, without quotes)."
        )
    if place[-1:] == ("[key]",):
        return f"{_name(place[:-2])}: {value!r} is no name here: {error['msg']}."
    part = _at_schema(place)
    meaning = part.get("description")
    if part.get("writeOnly"):
        return f"{key} is not what belongs here, and is not shown: {meaning}"
    fault = error["msg"].replace("Input should be", "it should be")
    return f"{key} is {value!r}: {fault}." + (f" ({meaning})" if meaning else "")


def _name(place: tuple) -> str:
    return ".".join(map(str, place)) or "the configuration"


def _at_schema(place: tuple) -> Config:
    """What the schema says of a key, and of what may stand there."""
    schema = json_schema()
    part = schema
    for each in place:
        by_name = {**part.get("patternProperties", {}), "items": part.get("items", {})}
        part = dict(part.get("properties", {}).get(each) or next(iter(by_name.values())))
        for shape in part.pop("anyOf", [part]):
            named = schema["$defs"].get(shape.get("$ref", "").rpartition("/")[2], shape)
            if named.get("type") != "null":
                part = {**named, **part}
    return part


def _as_number(text: str) -> str | None:
    """How YAML wants a number that it reads as text; None of what is no number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return f"{number:.1e}" if "e" in text.lower() else text


def _without_removed(config: Config) -> Config:
    config = copy.deepcopy(config)
    sections = [config[key] for key in ("runs", "recipes", "models")]
    for entries in (*sections, config["ablation"]["controls"]):
        for name in [name for name, entry in entries.items() if entry is None]:
            del entries[name]
    return config


def _contradictions(config: Config) -> list[str]:
    """What one key asks of another, and of the disk."""
    model = Configuration.model_validate(config)
    faults = [*_recipe_faults(config), *model.model.faults("model", model.model.device)]
    faults += [*model.data.faults(), *_test_set_faults(config, model)]
    for name, entry in model.models.items():
        faults += _compared_faults(config, f"models.{name}", entry)
    faults += _comparison_faults(config, model)
    for recipe in config["use_recipes"]:
        if recipe in config["recipes"]:
            faults += _run_faults(recipe, runs_of(config, recipe))
    return faults or list(_prediction_faults(config))


def _test_set_faults(config: Config, model: Configuration) -> Iterator[str]:
    """Names of the rows' databases are known once the rows are read: `draw_test` checks them."""
    unknown = sorted(set(unseen_databases(config)) - set(domain_names()))
    if model.data.source == "twin" and unknown:
        yield (
            f"test_set.unseen_databases names {', '.join(unknown)}, which the twin does not have. "
            f"Its databases: {', '.join(domain_names())}."
        )
    if model.test_set.other:
        yield from model.test_set.other.faults()
        if not has_databases(config):
            yield (
                "test_set.other is executed together with the other rows, but data.databases is "
                "empty. Set it; where a row's database is not there, the row is not executed."
            )


def _compared_faults(config: Config, key: str, entry: ComparedModel) -> Iterator[str]:
    """The faults of a model that is compared with the best run."""
    if (entry.endpoint is None) == (entry.base is None):
        yield f"{key} needs either endpoint or base, with the run to fine-tune it like."
    elif entry.endpoint:
        yield from entry.endpoint.faults(f"{key}.endpoint")
    elif entry.run is None:
        yield f"{key}: missing run. Name the run that it is fine-tuned like."
    elif (recipe := entry.recipe or config["agents"]["recipe"]) not in config["recipes"]:
        known = ", ".join(config["recipes"])
        yield f"{key}.recipe is {recipe!r}, which is no recipe. Recipes: {known}."
    elif entry.run not in (runs := runs_of(config, recipe)):
        yield f"{key}.run is {entry.run!r}, which is no run of {recipe}. Runs: {', '.join(runs)}."
    elif runs[entry.run]["starts_from"] != "base" or runs[entry.run]["scored_on"] != "self":
        yield f"{key}.run is {entry.run!r}, which needs other runs. Name one that starts from base."
    else:
        yield from entry.faults(key, config["model"]["device"])


def _comparison_faults(config: Config, model: Configuration) -> Iterator[str]:
    """What compared models ask for together: test rows, and a folder for each of the hub."""
    meant: dict[str, tuple[str, str]] = {}
    for each in (model.model, *model.models.values()):
        if each.revision and each.base:
            one = (each.base, each.revision)
            other = meant.setdefault(Path(each.base).name, one)
            if other != one:
                yield (
                    f"models: {' at '.join(one)} and {' at '.join(other)} would be downloaded to "
                    "one folder. Compare them in two folders (--directory)."
                )
    recipe = model.agents.recipe
    if model.models and recipe in model.recipes and not splits_tested(config, recipe):
        yield (
            f"models: they are compared on test rows, but agents.recipe ({recipe}) keeps none. "
            "Set test_set.rows and the recipe's test_set, or empty models."
        )


def _recipe_faults(config: Config) -> Iterator[str]:
    recipes = ", ".join(config["recipes"])
    for name in config["use_recipes"]:
        if name not in config["recipes"]:
            yield f"use_recipes names {name!r}, which is no recipe. Recipes: {recipes}."
    for column, name in config["claims"].items():
        if name not in config["recipes"]:
            yield f"claims.{column} must be one of the recipes: {recipes}."
    if config["agents"]["recipe"] not in config["recipes"]:
        yield f"agents.recipe must be one of the recipes: {recipes}."
    ablation = config["ablation"]
    for end in ("unrepaired", "repaired"):
        if ablation[end] not in config["recipes"]:
            yield f"ablation.{end} must be one of the recipes: {recipes}."
        elif ablation["run"] not in (runs := runs_of(config, ablation[end])):
            yield f"ablation.run must be a run of {ablation[end]}: {', '.join(runs)}."


def _run_faults(recipe: str, runs: dict[str, Config]) -> list[str]:
    faults = []
    for name, run in runs.items():
        where = f"runs.{name} (recipe {recipe})"
        missing = [key for key in RUN_KEYS if key not in run]
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
        for key, others in (("starts_from", BASES), ("scored_on", ("self",))):
            if run[key] not in (*others, *runs):
                known = ", ".join([*others, *sorted(runs)])
                faults.append(f"{where}: {key} is {run[key]!r}. Known: {known}.")
    return faults or _circles(recipe, runs)


def _circles(recipe: str, runs: dict[str, Config]) -> list[str]:
    """A run that starts from the weights of a run that, in the end, starts from its own."""
    for name in runs:
        chain = [name]
        while (before := runs[chain[-1]]["starts_from"]) not in BASES:
            chain.append(before)
            if before in chain[:-1]:
                circle = " -> ".join(chain)
                return [f"recipe {recipe}: starts_from goes round in a circle: {circle}."]
    return []


def _prediction_faults(config: Config) -> Iterator[str]:
    splits = config["prediction"]["splits"]
    if config["prediction"]["constrained"] and config["model"].get("architecture") == "causal":
        yield (
            "prediction.constrained is true, but answers of decoder-only models are not "
            "constrained. Set it to false."
        )
    tested = all("test" in splits_tested(config, name) for name in config["use_recipes"])
    if "val" not in splits and not tested:
        yield "prediction.splits needs val: a recipe without test rows is scored on them."
