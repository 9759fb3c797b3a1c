"""The configuration is checked before any job: each fault with its key and its cure.

The meaning and bounds of single keys stand in config_model.py; here is what keys ask of each other
and of the disk, and how a fault is put.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from workflow_scripts.config import (
    BUILT,
    SOURCE_KEYS,
    STANDIN,
    TWIN_ROWS,
    Config,
    ablation_recipes,
    has_databases,
    runs_of,
    splits_tested,
)
from workflow_scripts.config_model import Configuration, RunKeys
from workflow_scripts.digest import ROOT
from workflow_scripts.errors import EssenceError
from workflow_scripts.model.fetch import FILES as MODEL_FILES
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.text.architecture import architecture_of

SCHEMA = ROOT / "rules" / "config.schema.yaml"
NO_DATABASE = "no database there. A folder with <db_id>/<db_id>.sqlite belongs here"
BASES = ("base", "random")  # what a run starts from, unless from another run
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast


def check_files(files: Iterable[Path | str]) -> None:
    """Raise EssenceError where a configuration file has a key twice: YAML would take the last."""
    faults = []
    for file in files:
        text = Path(file).read_text(encoding="utf-8")
        faults += [f"{file}, {fault}" for fault in _repeated_keys(yaml.compose(text, _Loader))]
    _raise(faults)


def _repeated_keys(node: yaml.Node) -> Iterator[str]:
    lines: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        line = key.start_mark.line + 1
        if key.value in lines:
            before = lines[key.value]
            yield f"line {line}: {key.value} stands in line {before} already. Keep one of them."
        lines[key.value] = line
        yield from _repeated_keys(value)


def _raise(faults: list[str]) -> None:
    if faults:
        raise EssenceError("\n  ".join(["the configuration is wrong:", *faults]))


def with_nulls(given: Any, typed: Any) -> Any:
    """`given`, with None where --config set null: Snakemake hands over `typed` values as text."""
    if isinstance(given, dict) and isinstance(typed, dict):
        return {key: with_nulls(value, typed.get(key)) for key, value in given.items()}
    if isinstance(given, list) and given == typed:
        return [with_nulls(value, value) for value in given]
    return None if given == typed and given in ("null", "~", "") else given


def checked(config: Config) -> Config:
    """Return `config` without removed (null) entries and with derived recipes.

    Numbers and true or false may come as text. Raises EssenceError with one line per fault: key,
    value, what is wrong, what to do.
    """
    try:
        model = Configuration.model_validate(config, strict=False)
    except ValidationError as error:
        _raise(sorted({_describe(each) for each in error.errors(include_url=False)}))
    config = model.model_dump(exclude_unset=True)
    for section in (config, config["ablation"]):
        for key in ("runs", "recipes", "models", "repairs", "controls"):
            if key in section:
                section[key] = {k: v for k, v in section[key].items() if v is not None}
    _raise(list(_unknown_names(config)) or list(_faults(config)))
    config["recipes"] |= ablation_recipes(config)
    return config


def _describe(error: Any) -> str:
    """One breach of the model: key, value, and what belongs there."""
    key, kind = ".".join(map(str, error["loc"])), error["type"]
    if kind == "missing":
        return f"{key} is missing. Add it; config.yaml has an example."
    if kind == "unknown_key":
        return f"{key or 'the configuration'}: {error['msg']}."
    value = "" if kind == "secret" else f" is {error['input']!r}"
    return f"{key}{value}: {error['msg'].replace('Input should', 'it should')}."


def _unknown_names(config: Config) -> Iterator[str]:
    """Names of recipes and runs that there are not."""
    recipes, ablation = config["recipes"], config["ablation"]
    named = [("use_recipes", name) for name in config["use_recipes"]]
    named += [(f"claims.{column}", name) for column, name in config["claims"].items()]
    named += [("agents.recipe", config["agents"]["recipe"])]
    named += [(f"ablation.{end}", ablation[end]) for end in ("unrepaired", "repaired")]
    for key, name in named:
        if name not in recipes:
            yield f"{key} is {name!r}, which is no recipe. Recipes: {', '.join(recipes)}."


def _faults(config: Config) -> Iterator[str]:
    """What one key asks of another, and of the disk."""
    yield from _data_faults(config)
    yield from _base_faults(config["model"])
    yield from _test_set_faults(config)
    yield from _prediction_faults(config)
    yield from _endpoint_faults(config)
    for recipe in config["use_recipes"]:
        yield from _run_faults(recipe, runs_of(config, recipe))
    ablation = config["ablation"]
    for end in ("unrepaired", "repaired"):
        if ablation["run"] not in (runs := runs_of(config, ablation[end])):
            yield f"ablation.run must be a run of {ablation[end]}: {', '.join(runs)}."


def _data_faults(config: Config) -> Iterator[str]:
    data = config["data"]
    source, key = data["source"], SOURCE_KEYS.get(data["source"])
    more = "databases" if source in BUILT else "revision" if source == "hub" else None
    for needed in filter(None, (key, more)):
        if not data.get(needed):
            yield f"data.source is {source}, but data.{needed} is empty. Set it."
    # Snakemake passes over a missing source file as long as what was made of it is there.
    keys = ("questions", "tables") if source in BUILT else ("path",) if source == "path" else ()
    names = [(key, data.get(key)) for key in keys]
    names += [("predictions", name) for name in data.get("predictions") or [] if source in BUILT]
    for key, name in names:
        if name and name != TWIN_ROWS and not Path(name).is_file():
            yield f"data.{key} names {name!r}: no such file."
    folder = data.get("databases")
    if folder and not any(list_databases(folder)):
        yield (
            f"data.databases is {folder!r}: {NO_DATABASE}, or null: answers are then not executed."
        )


def _base_faults(model: Config) -> Iterator[str]:
    """The faults of a model that is fine-tuned."""
    kind = model.get("architecture", "encoder-decoder")
    if model.get("lora") and kind != "causal":
        yield (
            f"model.lora is set, but model.architecture is {kind}: it is for decoder-only "
            "models. Set the architecture to causal, or lora to null."
        )
    base = model["base"]
    if model.get("revision") or base.startswith("results/"):
        return  # made or fetched first
    folder = ROOT / base if base == STANDIN else Path(base)
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if not folder.is_dir():
        yield (
            f"model.base is {base!r}: no such folder. Name a folder with a model, or a model on "
            f"the hub together with model.revision."
        )
    elif missing:
        yield (
            f"model.base is {base!r}, which lacks {', '.join(missing)}. transformers' "
            "save_pretrained writes them, of the model and of its (fast) tokenizer."
        )
    elif (own := architecture_of(folder)) != kind:
        yield f"model.base is {base!r}, a model that is {own}. Set model.architecture to that."


def _test_set_faults(config: Config) -> Iterator[str]:
    """Names of the rows' databases are known once the rows are read: `draw_test` checks them."""
    if other := config["test_set"].get("other"):
        if not Path(other["rows"]).is_file():
            yield f"test_set.other.rows is {other['rows']!r}: no such file."
        if not any(list_databases(other["databases"])):
            yield f"test_set.other.databases is {other['databases']!r}: {NO_DATABASE}."
        if not has_databases(config):
            yield (
                "test_set.other is executed together with the other rows, but data.databases is "
                "empty. Set it; where a row's database is not there, the row is not executed."
            )


def _prediction_faults(config: Config) -> Iterator[str]:
    tested = all("test" in splits_tested(config, name) for name in config["use_recipes"])
    if "val" not in config["prediction"]["splits"] and not tested:
        yield "prediction.splits needs val: a recipe without test rows is scored on them."


def _endpoint_faults(config: Config) -> Iterator[str]:
    """The faults of models that are compared with the best run."""
    for name, entry in config["models"].items():
        key, endpoint = f"models.{name}.endpoint", entry["endpoint"]
        if endpoint.get("budget") and not endpoint.get("prices"):
            yield (
                f"{key}.budget is set, but {key}.prices is not. Set the prices of a million "
                "tokens: {input: ..., output: ...}."
            )
    recipe = config["agents"]["recipe"]
    if config["models"] and not splits_tested(config, recipe):
        yield (
            f"models: they are compared on test rows, but agents.recipe ({recipe}) keeps none. "
            "Set test_set.rows and the recipe's test_set, or empty models."
        )


def _run_faults(recipe: str, runs: dict[str, Config]) -> Iterator[str]:
    for name, run in runs.items():
        key = f"runs.{name} (recipe {recipe})"
        if missing := [each for each in RunKeys.model_fields if each not in run]:
            yield f"{key}: missing {', '.join(missing)}. Add it there or to run_defaults."
            return
        if run["sampling"] == "balanced" and run["rows"] % 3:
            lower = run["rows"] - run["rows"] % 3
            yield (
                f"{key}: rows is {run['rows']}; a balanced sample has equally many of three "
                f"tasks. Write {lower} or {lower + 3}."
            )
        for setting, others in (("starts_from", BASES), ("scored_on", ("self",))):
            if run[setting] not in (*others, *runs):
                known = ", ".join([*others, *sorted(runs)])
                yield f"{key}: {setting} is {run[setting]!r}. Known: {known}."
        chain = [name]  # of runs, each of which starts from the next one's weights
        while (before := runs.get(chain[-1], {}).get("starts_from", "base")) not in BASES:
            chain.append(before)
            if before in chain[:-1]:
                yield f"{key}: starts_from goes round in a circle: {' -> '.join(chain)}."
                return
