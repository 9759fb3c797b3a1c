"""The configuration resolved: what rows, samples, recipes and runs it stands for.

The only place that knows how defaults, runs and recipes combine. `config` is what Snakemake reads
from config.yaml and its overlays, checked (config_check.py); config_model.py explains every key.
"""

from pathlib import Path
from typing import Any

from workflow_scripts.data.checksums import report_files
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json
from workflow_scripts.settings import (
    TEST_SPLITS,
    Endpoint,
    ModelSettings,
    Recipe,
    RunSettings,
    SampleSettings,
    Settings,
    TextSettings,
    TrainingSettings,
)

Config = dict[str, Any]

# Made by a rule where a configuration names them: generated rows, a model with random weights.
TWIN_ROWS, RANDOM_T5_SMALL = "resources/twin/rows.jsonl", "results/random_t5_small"
STANDIN = "resources/models/standin"  # the base model that comes with the workflow
BUILT = ("spider", "bird")  # data.source: rows that are built from questions and databases
# data.source -> its key
SOURCE_KEYS = {"path": "path", "url": "url", "drive": "drive_id", "hub": "dataset"}
SOURCE_KEYS |= dict.fromkeys(BUILT, "questions")
USUAL_VALIDATION_SHARE = 0.2  # goes without saying in a sample's name


def source_of(config: Config) -> str | None:
    """The file, address or id that the rows come from; None for the twin, or where it is unset."""
    return config["data"].get(SOURCE_KEYS.get(config["data"]["source"], ""))


def splits_tested(config: Config, recipe: str) -> list[str]:
    """The splits of test rows that a recipe's runs are asked; none where it keeps no test set."""
    drawn = any(config["test_set"]["rows"].values())
    given = {
        "test": drawn,
        "unseen": drawn and config["test_set"].get("unseen_databases"),
        "other": config["test_set"].get("other"),
    }
    keeps_test = config["recipes"][recipe]["test_set"]
    return [split for split in TEST_SPLITS if keeps_test and given[split]]


def has_databases(config: Config) -> bool:
    """Whether answers can be executed."""
    return config["data"]["source"] == "twin" or bool(config["data"].get("databases"))


def agents_are_evaluated(config: Config) -> bool:
    """Whether the agents at work together have a model, databases and questions."""
    recipe, questions = config["agents"]["recipe"], config["test_set"]["rows"]["Decomposer"]
    trained = recipe in config["use_recipes"] and "test" in splits_tested(config, recipe)
    return trained and has_databases(config) and questions > 0


def runs_of(config: Config, recipe: str) -> dict[str, Config]:
    """The runs of a recipe by name, each with every setting of a run; null removes a run."""
    own = config["recipes"][recipe].get("runs") or {}
    return {
        name: config["run_defaults"] | config["runs"].get(name, {}) | own.get(name, {})
        for name in dict.fromkeys([*config["runs"], *own])
        if own.get(name, {}) is not None
    }


def sample_settings(config: Config, recipe: str, run: str, seed: int) -> SampleSettings:
    """What decides the rows that a run is trained and validated on."""
    return _chosen(SampleSettings, runs_of(config, recipe)[run], seed=seed)


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
    return _chosen(Recipe, config["recipes"][name], name=name)


def cuts(config: Config) -> dict[str, dict[str, int]]:
    """Recipe -> side of a row -> tokens kept, of a source where the whole prompt is the source."""
    sides = {"full": ("source_tokens", "target_tokens")}
    recipes = {name: config["recipes"][name] for name in config["use_recipes"]}
    return {
        name: {side: recipe[side] for side in sides.get(recipe["prompt"], ("target_tokens",))}
        for name, recipe in recipes.items()
    }


def run_settings(config: Config, recipe: str, run: str, seed: int) -> Settings:
    """All that decides a fine-tuning besides its rows and its first weights."""
    return Settings(
        recipe=recipe_settings(config, recipe),
        run=_chosen(RunSettings, runs_of(config, recipe)[run], name=run),
        training=TrainingSettings(**config["training"]),
        seed=seed,
        device=config["model"]["device"],
        precision=config["model"]["precision"],
        model=_chosen(ModelSettings, config["model"]),
    )


def _chosen(shape: type, given: Config, **more: Any) -> Any:
    """A record, of those of the given settings that it has."""
    return shape(**{key: given[key] for key in shape.model_fields if key in given}, **more)


def training_memory(settings: Settings, weights: float, on_gpu: bool) -> int:
    """MB of main memory that a training is to have; `weights`: MB of the files it starts from.

    docs/cluster.md says what of it was measured, and how.
    """
    memory = 3000 + 5 * weights  # libraries; weights, their gradients, AdamW's two averages, a copy
    if not on_gpu:
        row = settings.recipe.source_tokens / 400 + settings.recipe.target_tokens / 170
        training = settings.training
        together = training.rows_at_once or settings.run.batch_size
        rows = max(together, training.eval_batch_size / 4)
        memory += rows * row * weights
    return round(memory)


def answering_memory(settings: Settings, rows: int, weights: float, on_gpu: bool) -> int:
    """MB of main memory for answering `rows` prompts at a time; `weights` as in training_memory."""
    memory = 2000 + 2 * weights
    if not on_gpu:
        tokens = settings.recipe.source_tokens + settings.recipe.generate_tokens
        memory += rows * tokens * weights / 2000
    return round(memory)


def endpoints(config: Config) -> dict[str, Endpoint]:
    """The compared models that a server answers for, by name."""
    return {
        name: Endpoint(name=name, **model["endpoint"]) for name, model in config["models"].items()
    }


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
        of_text = {key: changed[key] for key in changed if key in TextSettings.model_fields}
        of_run = {key: changed[key] for key in changed if key not in of_text}
        runs, run = repaired.get("runs") or {}, ablation["run"]
        runs = {**runs, run: {**runs.get(run, {}), **of_run}}
        derived[f"{ablation['repaired']}~{control}"] = {**repaired, **of_text, "runs": runs}
    return derived


def local_gpus(devices: Path = Path("/dev")) -> int:
    """How many GPUs this machine has, without asking torch."""
    return len(list(devices.glob("nvidia[0-9]*")))


def wants_gpu(config: Config) -> bool:
    """Whether training and prediction ask for a GPU: if set, or if the machine has one."""
    device = config["model"]["device"]
    return device == "cuda" or (device == "auto" and local_gpus() > 0)


def reports_rows(config: Config) -> bool:
    """Whether the rows are the report's, which are verified when they are fetched."""
    return source_of(config) == report_files().raw.drive_id


def own_model(config: Config) -> bool:
    """Whether the base model is another than the report's."""
    return config["model"]["base"] != report_files().base_model.name


def rows_used(config: Config) -> str:
    """The source of the rows, in words for a reader."""
    if reports_rows(config):
        return "the report's rows"
    source = source_of(config)
    return "generated twin data" if source in (None, TWIN_ROWS) else f"rows of {Path(source).name}"


def model_used(config: Config) -> str:
    """The base model, in words for a reader."""
    base = config["model"]["base"]
    if not own_model(config):
        return "the report's model"
    names = {STANDIN: "stand-in model", RANDOM_T5_SMALL: "model with random weights"}
    return names.get(base, f"model {Path(base).name}")


def scale_of(config: Config) -> str:
    """How near results come to the report's: toy, rehearsal, own (neither's) or real."""
    if config["model"]["base"] == RANDOM_T5_SMALL:
        return "rehearsal"
    if config["model"]["base"] == STANDIN or rows_used(config) == "generated twin data":
        return "toy"
    return "real" if reports_rows(config) and not own_model(config) else "own"


def origin_note(config: Config) -> str:
    """What a table must say of the data, the model and the rates: all that is not the report's."""
    scale = config["training"]["learning_rate_scale"]
    notes = {
        rows_used(config): not reports_rows(config),
        model_used(config): own_model(config),
        f"learning rates times {scale:g}": scale != 1,
        "answers constrained to their schema": config["prediction"]["constrained"],
    }
    return ", ".join(note for note, differs in notes.items() if differs)


def keep_apart(results: Path, config: Config) -> None:
    """Note where `results` come from; raise EssenceError when trainings from elsewhere are there.

    Snakemake would take them for stale and put new ones in their place: hours of work, for an
    option that was forgotten.
    """
    data, model = config["data"], config["model"]
    origin = {
        "rows": " ".join(filter(None, (data["source"], source_of(config), data.get("revision")))),
        "model": " ".join(filter(None, (model["base"], model.get("revision")))),
    }
    file = results / "origin.json"
    if file.is_file() and (results / "runs").is_dir():
        before = read_json(file)
        changed = [f"{key}: {before[key]}, now {now}" for key, now in origin.items()
                   if before[key] != now]  # fmt: skip
        if changed:
            raise EssenceError(
                f"{results} holds trainings of another origin ({'; '.join(changed)}), which would "
                "be replaced. Repeat the --configfile and --config that made them, work in "
                f"another folder (--directory), or let them go: rm {file}"
            )
    write_json(file, origin)
