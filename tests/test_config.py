"""The configuration: complete, bounded, and wrong values are told with their cure."""

import copy
import json
import math

import pytest
import yaml
from conftest import merged, overlaid
from material import ROOT
from snakemake.cli import parse_config

from tools.config_schema import schema_text
from workflow_scripts.config import (
    ablation_names,
    answering_memory,
    keep_apart,
    origin_note,
    run_settings,
    runs_of,
    splits_tested,
    training_memory,
)
from workflow_scripts.config_check import SCHEMA, check_files, checked, with_nulls
from workflow_scripts.errors import EssenceError

FAULTS = yaml.safe_load((ROOT / "tests/config_faults.yaml").read_text())


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def faults(config):
    with pytest.raises(EssenceError) as error:
        checked(config)
    return str(error.value)


def test_the_default_is_valid_and_so_is_every_overlay(config):
    check_files([ROOT / "config.yaml", *(ROOT / "configs").glob("*.yaml")])
    assert checked(copy.deepcopy(config)).keys() == config.keys()
    for path in (ROOT / "configs").glob("*.yaml"):
        if path.name not in ("spider.yaml", "smollm2_spider.yaml"):  # name files of the user
            checked(overlaid(path.name))


def test_trainings_of_other_rows_or_another_model_are_not_replaced(config, tmp_path):
    own = merged(copy.deepcopy(config), {"data": {"source": "path", "path": "rows.jsonl"}})
    keep_apart(tmp_path, config)
    keep_apart(tmp_path, own)  # nothing was trained yet
    (tmp_path / "runs").mkdir()
    keep_apart(tmp_path, own)
    with pytest.raises(EssenceError, match=r"rows: path rows.jsonl, now twin\).*another folder"):
        keep_apart(tmp_path, config)
    (tmp_path / "origin.json").unlink()
    keep_apart(tmp_path, config)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        ({"source": "twin"}, "generated twin data, stand-in model, learning rates times 10"),
        ({"source": "spider", "questions": "a/dev.json"}, "rows of dev.json, stand-in"),
        ({"source": "drive", "drive_id": "of_another_file"}, "rows of of_another_file, stand-in"),
        ({"source": "drive", "drive_id": "1_3s88Op1PCZo50RsHcx5m2Bj_n05PPn4"}, "stand-in model, "),
    ],
)
def test_figures_say_whose_rows_they_show(config, data, note):
    assert origin_note(config | {"data": data}).startswith(note)


def test_the_schema_is_that_of_the_model():
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "python -m tools.config_schema"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault["said"])
def test_a_wrong_value_names_key_value_and_cure(config, fault):
    assert fault["said"] in faults(merged(config, fault["overlay"]))


@pytest.mark.parametrize("key", ["sk-secret", 7, "lower_case", "SK SECRET"])
def test_a_key_in_the_place_of_its_name_is_not_shown(config, key):
    config["models"] = {"m": {"endpoint": {"base_url": "http://host", "model": "m", "key": key}}}
    said = faults(config)
    assert "models.m.endpoint.key: it should be the NAME of an environment" in said
    assert str(key) not in said


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ("prediction={constrained: true}", "prediction.constrained", True),
        ("seeds=[007]", "seeds", [7]),
        ("run_defaults={rows: 90, patience: null}", "run_defaults.patience", None),
        ("recipes={repaired: {runs: {exp2: null}}}", "recipes.repaired.runs", {"exp2": None}),
        ("run_defaults={learning_rate: 1e-4}", "run_defaults.learning_rate", 1e-4),
        ("data={url: 'http://host/null'}", "data.url", "http://host/null"),
        ("model={revision: 1234567}", "model.revision", "1234567"),
    ],
)
def test_what_config_on_the_command_line_sets_is_read_as_in_a_file(config, typed, key, value):
    typed = parse_config([typed])  # as Snakemake does it
    elsewhere = {"essence": {"seeds": "null"}, "seeds": "null"}  # of a workflow around this one
    assert with_nulls(config, elsewhere) == config
    config = checked(with_nulls(merged(config, copy.deepcopy(typed)), typed))
    for each in key.split("."):
        config = config[each]
    assert config == value and type(config) is type(value)


def test_a_key_that_stands_twice_is_refused_with_its_lines(tmp_path):
    (tmp_path / "mine.yaml").write_text("seeds: [1]\nruns:\n  a: {rows: 3, rows: 6}\nseeds: [2]\n")
    with pytest.raises(EssenceError) as error:
        check_files([tmp_path / "mine.yaml"])
    assert "mine.yaml, line 3: rows stands in line 3 already" in str(error.value)
    assert "mine.yaml, line 4: seeds stands in line 1 already" in str(error.value)


def test_run_settings_combine_defaults_run_and_recipe(config):
    config["recipes"]["as_written"]["runs"] = {
        "exp1_balanced": {"starts_from": "exp1_natural", "epochs": 2},
        "extra": {"experiment": 2, "batch_size": 2, "learning_rate": 1.0e-4},
        "exp3_bs8_lr5e-5": None,
    }
    for own in (config, config["recipes"]["as_run"]):
        own["runs"]["exp3_bs8_lr1e-4"] = None
    config = checked(config)
    runs = runs_of(config, "as_written")
    assert runs["exp1_balanced"]["starts_from"] == "exp1_natural"
    assert runs["extra"]["patience"] == config["run_defaults"]["patience"]
    assert not {"exp3_bs8_lr5e-5", "exp3_bs8_lr1e-4"} & set(runs)
    assert run_settings(config, "as_written", "exp1_balanced", 3).run.epochs == 2


def test_a_control_is_the_repaired_recipe_and_run_but_for_its_settings(config):
    config["ablation"]["controls"] = {
        "both": {"prompt": "own", "source_tokens": 900, "starts_from": "random", "patience": None},
        "gone": None,
    }
    config = checked(config)
    (name,) = (name for name in ablation_names(config) if "~" in name)
    base, control = (run_settings(config, of, "exp5_long", 1) for of in ("repaired", name))
    recipe = {"name": "repaired~both", "prompt": "own", "source_tokens": 900}
    changes = {
        "recipe": base.recipe.model_copy(update=recipe),
        "run": base.run.model_copy(update={"patience": None}),
    }
    assert control == base.model_copy(update=changes)
    starts = [runs_of(config, of)["exp5_long"]["starts_from"] for of in ("repaired", name)]
    assert starts == ["base", "random"]


def test_the_reports_sizes_are_the_reports():
    """The report generates 512 tokens; the notebooks cut their answers after 128."""
    config = checked(overlaid("report.yaml"))
    for name, generated in (("as_run", 128), ("as_written", 512)):
        recipe, runs = config["recipes"][name], runs_of(config, name)
        sizes = [recipe[f"{part}_tokens"] for part in ("source", "target", "generate")]
        assert sizes == [512, 512, generated], name
        assert {run["rows"] for run in runs.values() if run["experiment"] < 5} == {1011}
        for first in (runs["exp1_natural"], runs["exp1_balanced"]):
            assert (first["epochs"], first["patience"]) == (10, None)  # no early stopping
        assert runs["exp3_bs8_lr1e-4"]["epochs"] == 20
    published = json.loads((ROOT / "resources/published.json").read_text())["runs"]
    for name, run in runs_of(config, "as_run").items():  # 1,011 rows less 203 to validate on
        steps = math.ceil(808 / run["batch_size"]) * run["epochs"]
        assert steps == published[name]["steps_planned"], name
    repaired = config["recipes"]["repaired"]
    assert min(repaired["target_tokens"], repaired["generate_tokens"]) == 512
    assert config["training"]["learning_rate_scale"] == 1


def test_the_rehearsal_is_the_report_but_for_its_counts_source_model_and_device():
    """What differs besides would go unrehearsed: above all a recipe's, and how it is trained."""
    report, rehearsal = (checked(overlaid(f"{name}.yaml")) for name in ("report", "rehearsal"))
    same = ("use_recipes", "training", "prediction", "execution", "agents", "claims", "ablation")
    for key in same:
        assert rehearsal[key] == report[key], key
    for name, recipe in report["recipes"].items():
        assert rehearsal["recipes"][name] | {"runs": 0} == recipe | {"runs": 0}
    for recipe in report["use_recipes"]:  # every run of every recipe, one epoch of each
        runs = runs_of(rehearsal, recipe)
        assert runs.keys() == runs_of(report, recipe).keys()
        assert {run["epochs"] for run in runs.values()} == {1}
        assert splits_tested(rehearsal, recipe) == splits_tested(report, recipe)


@pytest.mark.parametrize(  # as docs/cluster.md has it, of a model of T5-small's size on a CPU
    ("source", "target", "rows", "measured_mib"),
    [(512, 512, 1, 2791), (512, 512, 7, 8187), (2048, 512, 4, 10483)],
)
def test_jobs_ask_for_the_memory_that_was_measured_and_more(source, target, rows, measured_mib):
    config = overlaid("rehearsal.yaml")
    config["recipes"]["as_written"] |= {"source_tokens": source, "target_tokens": target}
    config["runs"]["exp1_natural"]["batch_size"] = rows
    config["training"]["eval_batch_size"] = 2
    config = checked(config)
    settings = run_settings(config, "as_written", "exp1_natural", 42)
    asked = training_memory(settings, weights=243.6, on_gpu=False)
    assert 1.08 < asked / 1.048576 / measured_mib < 1.9
    assert 3000 < training_memory(settings, weights=243.6, on_gpu=True) < asked
    settings = run_settings(config, "repaired", "exp1_natural", 42)
    asked = answering_memory(settings, 13, weights=243.6, on_gpu=False)  # the rehearsal's rows
    assert 1.1 < asked / 1.048576 / 3789 < 2.3
