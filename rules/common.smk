# What all rules share: the checked configuration, where things lie, and which run needs what.
# All paths are relative to the working directory, which may be another than the workflow's folder.
import gc
import json
import os
import re
import sys
from functools import partial
from pathlib import Path

import yaml
from pydantic import BaseModel
from snakemake.exceptions import IncompleteCheckpointException
from snakemake.utils import update_config

from workflow_scripts.settings import TEST_SPLITS
from workflow_scripts import warm
from workflow_scripts.agents.loop import Loop
from workflow_scripts.commands import ROOT_VARIABLE, stage_command
from workflow_scripts.config import (
    BUILT,
    RANDOM_T5_SMALL,
    STANDIN,
    TWIN_ROWS,
    ablation_names,
    cuts,
    answering_memory,
    agents_are_evaluated,
    endpoints,
    keep_apart,
    local_gpus,
    model_used,
    origin_note,
    own_model,
    recipe_settings,
    reports_rows,
    rows_used,
    run_settings,
    runs_of,
    sample_name,
    sample_settings,
    scale_of,
    source_of,
    splits_tested,
    training_memory,
    wants_gpu,
)
from workflow_scripts.config_check import check_files, checked, with_nulls
from workflow_scripts.data.checksums import report_files
from workflow_scripts.digest import ROOT
from workflow_scripts.files import sha256
from workflow_scripts.locks import take
from workflow_scripts.model.fetch import FILES as MODEL_FILES
from workflow_scripts.model.fetch import SOURCE
from workflow_scripts.sql.databases import list_databases
from tools.twin.worlds import UNSEEN_DOMAINS, domain_names

# Snakemake's modules stay for good: going through them at each garbage collection costs as much
# time as reading the code of all stages.
gc.freeze()

# What the caller leaves out, be it a person or another workflow with this one as a module, is as in
# config.yaml.
CONFIG_GIVEN, DEFAULTS = config, ROOT / "config.yaml"
check_files([DEFAULTS, *workflow.configfiles])
config = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
update_config(config, CONFIG_GIVEN)
config = checked(with_nulls(config, workflow.config_settings.config))

# The stages run with the Python that runs Snakemake, whether or not its environment is activated;
# one that Snakemake itself activates (--sdm conda) goes before.
PYTHON_FOLDER = str(Path(sys.executable).parent)
os.environ.update(
    {
        "PATH": os.pathsep.join([PYTHON_FOLDER, *os.get_exec_path()]),
        ROOT_VARIABLE: str(ROOT),
    }
)

OWNED = []  # the lock on this folder, while jobs run

RECIPES = config["use_recipes"]
SEEDS = config["seeds"]
TWIN = config["data"]["source"] == "twin"
if config["test_set"]["unseen_databases"] is None:
    config["test_set"]["unseen_databases"] = domain_names(
        UNSEEN_DOMAINS if TWIN else ()
    )
# Where SQL is executed, and the files that decide what it answers.
DATABASES = "resources/twin/databases" if TWIN else config["data"].get("databases")
DATABASE_FILES = (
    [f"{DATABASES}/{name}/{name}.sqlite" for name in domain_names()]
    if TWIN
    else [str(path) for _, path in list_databases(DATABASES or "nowhere")]
)
RUN = "results/runs/{recipe}/{run}/seed{seed}"
TEST_FILES = {split: f"results/data/{split}.parquet" for split in TEST_SPLITS}
OTHER = config["test_set"].get("other")  # rows and databases of another test
OTHER_DATABASE_FILES = (
    [str(path) for _, path in list_databases(OTHER["databases"])] if OTHER else []
)

HUB = "resources/downloads/models"
# Taken as it is; a name with a revision is downloaded from the hub first.
BASE_MODEL = config["model"]["base"].rstrip("/")
if config["model"].get("revision"):
    BASE_MODEL = f"{HUB}/{Path(BASE_MODEL).name}"
ENDPOINTS = endpoints(config)
ENDPOINT = "results/models/{endpoint}"  # what a compared model answered
ENDPOINT_SIZES = {
    ENDPOINT.format(endpoint=name): model.get("parameters")
    for name, model in config["models"].items()
}
ENDPOINT_DIRS = list(ENDPOINT_SIZES)

PUBLISHED = "resources/published.json"
SHIPPED = "resources/shipped_results.json"
RANDOM_BASE = "results/random_base/seed{seed}"  # the base model, untrained
T5_SMALL = "results/t5_small"  # its size alone, for the rehearsal

REPORTS_ROWS = reports_rows(config)
OWN_MODEL = own_model(config)


include: "internals.smk"


# A GPU is asked for where the configuration demands one, or where this machine has one; where there
# is none, a cluster's scheduler counts.
GPUS = int(wants_gpu(config))
limit_gpus(local_gpus())


wildcard_constraints:
    recipe="|".join(re.escape(name) for name in config["recipes"]),
    run=r"[A-Za-z0-9_.-]+",
    seed=r"\d+",
    endpoint="|".join(map(re.escape, ENDPOINTS)) or "none",


def run_dirs(recipes=RECIPES, experiment=None):
    """Folders of all fine-tunings, or of those of one experiment."""
    return [
        RUN.format(recipe=recipe, run=name, seed=seed)
        for recipe in recipes
        for name, run in runs_of(config, recipe).items()
        for seed in SEEDS
        if experiment in (None, run["experiment"])
    ]


def training_inputs(wildcards):
    """A run's rows and the model that it starts from: the base, random weights, another run's."""
    starts_from = runs_of(config, wildcards.recipe)[wildcards.run]["starts_from"]
    run = RUN.format(recipe=wildcards.recipe, run=starts_from, seed=wildcards.seed)
    folders = {"base": BASE_MODEL, "random": RANDOM_BASE.format(seed=wildcards.seed)}
    folder = folders.get(starts_from, f"{run}/model")
    source = [f"{folder}/{SOURCE}"] if folder.startswith(f"{HUB}/") else []
    return {
        **sample_files(wildcards.recipe, wildcards.run, wildcards.seed),
        "base": [f"{folder}/{name}" for name in MODEL_FILES] + source,
    }


def settings_of(wildcards):
    """All that decides the fine-tuning of a run."""
    return run_settings(config, wildcards.recipe, wildcards.run, int(wildcards.seed))


def settings_of_best(recipe):
    best = best_run(recipe)
    return run_settings(config, best["recipe"], best["run"], best["seed"])


def memory_to_answer(settings):
    """mem_mb of a job that answers with a model trained like that; `settings` of wildcards."""

    def memory(wildcards, input, attempt):
        weights = sum(Path(name).stat().st_size for name in input if "/model/" in name)
        rows = config["prediction"]["batch_size"]
        try:
            trained_as = settings(wildcards)
        except IncompleteCheckpointException:
            return 0  # the best run is not known yet; asked again once it is
        return answering_memory(trained_as, rows, weights / 1e6, bool(GPUS)) * attempt

    return memory


def prediction_inputs(wildcards):
    """A run's model and the rows it is asked: its own (or those of `scored_on`), test rows."""
    scored_on = runs_of(config, wildcards.recipe)[wildcards.run]["scored_on"]
    run = wildcards.run if scored_on == "self" else scored_on
    return {
        **sample_files(wildcards.recipe, run, wildcards.seed),
        **dict.fromkeys(TEST_SPLITS, []),
        **{
            split: TEST_FILES[split]
            for split in splits_tested(config, wildcards.recipe)
        },
        "model": [f"{RUN}/model/{name}" for name in MODEL_FILES],
    }


def sample_files(recipe, run, seed):
    folder = f"results/data/samples/{sample_name(config, recipe, run)}/seed{seed}"
    return {"train": f"{folder}/train.parquet", "val": f"{folder}/val.parquet"}


def training_rows(folders):
    """The file of training rows of each run, by its folder."""
    return [sample_files(*address_of(folder))["train"] for folder in folders]


def address_of(folder):
    """(recipe, run, seed) of a run's folder."""
    recipe, run, seed = Path(folder).parts[-3:]
    return recipe, run, seed.removeprefix("seed")


def files_of(folders, *names):
    return [f"{folder}/{name}" for folder in folders for name in names]


def ablation_dirs():
    return [
        RUN.format(recipe=recipe, run=config["ablation"]["run"], seed=seed)
        for recipe in ablation_names(config)
        for seed in SEEDS[: config["ablation"]["seeds"]]
    ]


def settings_json(value):
    """Settings as a rule's parameter: the rule runs again when they change."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True)
