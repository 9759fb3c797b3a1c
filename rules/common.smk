# What all rules share: how code and settings become part of a rule, and where things lie.
import json

from workflow_scripts.config import checked, run_settings, runs_of, sample_name, sample_settings
from workflow_scripts.digest import code_digest

config = checked(config)

RECIPES = config["use_recipes"]
SEEDS = config["seeds"]
TWIN = config["data"]["source"] == "twin"
STANDIN = "resources/models/standin"
RUN = "results/runs/{recipe}/{run}/seed{seed}"
MODEL_FILES = [
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
]


wildcard_constraints:
    recipe="|".join(RECIPES),
    run=r"[A-Za-z0-9_.-]+",
    seed=r"\d+",


def run_dirs(recipes=RECIPES, experiment=None):
    """Folders of all fine-tunings, or of those of one experiment."""
    return [
        RUN.format(recipe=recipe, run=name, seed=seed)
        for recipe in recipes
        for name, run in runs_of(config, recipe).items()
        for seed in SEEDS
        if experiment in (None, run["experiment"])
    ]


def settings_json(value):
    """Settings as a rule's parameter: the rule runs again when they change."""
    return json.dumps(value, sort_keys=True)


def origin_note():
    """What a figure must say about the data and the model it was made with."""
    if config["figures"].get("format_note") is not None:
        return config["figures"]["format_note"]
    notes = ["generated twin data"] if TWIN else []
    if config["model"]["base"] == STANDIN:
        notes.append("stand-in model")
    return ", ".join(notes)
