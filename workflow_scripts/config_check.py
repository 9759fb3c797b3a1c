"""The configuration is checked before any job: each fault is told with its key and its cure.

Shapes and bounds of single keys stand in rules/config.schema.yaml; here is how a breach of them is
told, and what one key asks of another.
"""

import copy
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import jsonschema
import yaml

from workflow_scripts.artifacts.data import SampleSettings
from workflow_scripts.artifacts.settings import RunSettings
from workflow_scripts.config import (
    BUILT,
    RUN_DEFAULTS,
    SOURCE_KEYS,
    TWIN_ROWS,
    Config,
    ablation_recipes,
    compared_recipes,
    has_databases,
    runs_of,
    source_of,
    splits_tested,
    unseen_databases,
)
from workflow_scripts.config_models import compared_faults, model_faults
from workflow_scripts.data.twin.domains import domain_names
from workflow_scripts.errors import EssenceError
from workflow_scripts.sql.databases import list_databases

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "rules" / "config.schema.yaml"
# What a run needs and has no default.
RUN_KEYS = [
    key
    for key in dict.fromkeys([*RunSettings.model_fields, *SampleSettings.model_fields])
    if key not in {*RUN_DEFAULTS, "name", "seed"}
]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast
BASES = ("base", "random")  # what a run starts from, unless from another run
TYPE_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "object": "a mapping",
    "boolean": "true or false",
    "array": "a list",
    "null": "null",
}
BOUNDS = {
    "minimum": "at least {} is needed",
    "maximum": "at most {} is allowed",
    "exclusiveMinimum": "it must be above {}",
    "exclusiveMaximum": "it must be below {}",
}


def read_typed(config: Config, typed: Config) -> Config:
    """`config` with the values that --config set (`typed`) read as in a configuration file.

    Snakemake hands over all that stands inside a mapping or a list of --config as text, 'true' and
    '1' too. Here it stays text only where text belongs; null is nothing everywhere.
    """
    config = copy.deepcopy(config)
    for path, value in leaves(typed):
        if value in ("null", "~", "") and at(config, path) == value:
            at(config, path[:-1])[path[-1]] = None
    for error in map(_deepest, _breaches(config)):
        path = list(error.absolute_path)
        is_text = path and isinstance(error.instance, str) and error.validator in ("type", "enum")
        if is_text and at(typed, path) == error.instance:
            at(config, path[:-1])[path[-1]] = yaml.safe_load(error.instance)
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
    faults = sorted({_describe(error) for error in _breaches(config)} | set(_not_finite(config)))
    if not faults:
        config = _without_removed(config)
        faults = _contradictions(config)
    if faults:
        raise EssenceError("the configuration is wrong:\n  " + "\n  ".join(faults))
    config["recipes"] |= ablation_recipes(config) | compared_recipes(config)
    return config


def _breaches(config: Config) -> Iterator[jsonschema.ValidationError]:
    schema = yaml.load(SCHEMA.read_text(encoding="utf-8"), _Loader)
    return jsonschema.Draft202012Validator(schema).iter_errors(config)


def _not_finite(config: Config) -> Iterator[str]:
    for path, value in leaves(config):
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{'.'.join(map(str, path))} is {value}: a finite number belongs here."


def _deepest(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    """Of several shapes that a value could have, what is wrong in the one that it resembles."""
    if error.validator == "anyOf" and error.context:
        return _deepest(max(error.context, key=lambda each: len(each.absolute_path)))
    return error


def _describe(error: jsonschema.ValidationError) -> str:
    """A breach of the schema: key, value, what belongs there, and what the key means."""
    error = _deepest(error)
    key = ".".join(str(part) for part in error.absolute_path) or "the configuration"
    value, bound = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(value) - set(known))
        return f"{key}: unknown key {', '.join(unknown)}. Known here: {', '.join(known)}."
    if error.validator == "required":
        missing = sorted(set(bound) - set(value))
        return f"{key}: missing {', '.join(missing)}. Add it; config.yaml has an example."
    if error.validator == "type" and isinstance(value, str) and _is_number(value):
        example = f"{float(value):.1e}" if "e" in value.lower() else value
        return (
            f"{key} is '{value}', which YAML reads as text; a number belongs here. "
            f"Write {example} (with a point, without quotes)."
        )
    meaning = error.schema.get("description")
    if error.schema.get("writeOnly"):
        return f"{key} is not what belongs here, and is not shown: {meaning}"
    return f"{key} is {value!r}: {_wanted(error)}." + (f" ({meaning})" if meaning else "")


def _wanted(error: jsonschema.ValidationError) -> str:
    bound = error.validator_value
    if error.validator == "type":
        types = [bound] if isinstance(bound, str) else bound
        return f"{' or '.join(TYPE_NAMES[each] for each in types)} belongs here"
    if error.validator == "enum":
        return f"one of {', '.join(map(str, bound))} belongs here"
    return BOUNDS[error.validator].format(bound) if error.validator in BOUNDS else error.message


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without_removed(config: Config) -> Config:
    config = copy.deepcopy(config)
    for key in ("runs", "recipes", "models"):
        config[key] = _without_null(config[key])
    config["ablation"]["controls"] = _without_null(config["ablation"]["controls"])
    return config


def _without_null(entries: Config) -> Config:
    return {name: value for name, value in entries.items() if value is not None}


def _contradictions(config: Config) -> list[str]:
    """What the schema cannot see: one key against another, and against the disk."""
    faults = [*_recipe_faults(config), *model_faults(config["model"]), *_data_faults(config)]
    faults += [*_test_set_faults(config), *compared_faults(config)]
    for recipe in config["use_recipes"]:
        if recipe in config["recipes"]:
            faults += _run_faults(recipe, runs_of(config, recipe))
    return faults or list(_prediction_faults(config))


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


def _data_faults(config: Config) -> Iterator[str]:
    data = config["data"]
    key = SOURCE_KEYS.get(data["source"])
    if key and not source_of(config):
        yield f"data.source is {data['source']}, but data.{key} is empty. Set it."
    # Snakemake passes over a source file that is missing as long as what was made of it is there.
    for key, name in _files_named(data):
        if name != TWIN_ROWS and not (ROOT / name).is_file():
            yield f"data.{key} names {name!r}: no such file."
    databases = data.get("databases")
    if data["source"] in BUILT and not databases:
        yield f"data.source is {data['source']}, but data.databases is empty. Set it."
    if databases and not any(list_databases(ROOT / databases)):
        yield (
            f"data.databases is {databases!r}: no database there. A folder with "
            "<db_id>/<db_id>.sqlite belongs here, or null: answers are then not executed."
        )


def _files_named(data: Config) -> Iterator[tuple[str, str]]:
    """(key, file) of the files that the source of the rows reads."""
    built = data["source"] in BUILT
    for key in ("questions", "tables") if built else ("path",) if data["source"] == "path" else ():
        if data.get(key):
            yield key, data[key]
    for name in data.get("predictions") or [] if built else []:
        yield "predictions", name


def _test_set_faults(config: Config) -> Iterator[str]:
    """Names of the rows' databases are known once the rows are read: `draw_test` checks them."""
    unknown = sorted(set(unseen_databases(config)) - set(domain_names()))
    if config["data"]["source"] == "twin" and unknown:
        yield (
            f"test_set.unseen_databases names {', '.join(unknown)}, which the twin does not have. "
            f"Its databases: {', '.join(domain_names())}."
        )
    other = config["test_set"].get("other")
    if not other:
        return
    if not (ROOT / other["rows"]).is_file():
        yield f"test_set.other.rows is {other['rows']!r}: no such file."
    if not any(list_databases(ROOT / other["databases"])):
        yield (
            f"test_set.other.databases is {other['databases']!r}: no database there. A folder "
            "with <db_id>/<db_id>.sqlite belongs here."
        )
    if not has_databases(config):
        yield (
            "test_set.other is executed together with the other rows, but data.databases is empty. "
            "Set it; where a row's database is not there, the row is not executed."
        )


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
