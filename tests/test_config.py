"""The configuration: complete, bounded, and wrong values are told with their cure."""

import copy
import json
import math
import re

import jsonschema
import pytest
import yaml
from conftest import merged, overlaid
from material import ROOT
from snakemake.cli import parse_config

from tools.config_schema import schema_text
from workflow_scripts.config import (
    ablation_names,
    answering_memory,
    endpoints,
    keep_apart,
    local_gpus,
    origin_note,
    run_settings,
    runs_of,
    splits_tested,
    training_memory,
)
from workflow_scripts.config_check import SCHEMA, check_files, checked, with_nulls
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json

LORA = {"rank": 8, "alpha": 16, "dropout": 0.0, "targets": None}
SERVER = "base_url: 'http://127.0.0.1:8000/v1', model: mine"


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
    overlays = sorted((ROOT / "configs").glob("*.yaml"))
    assert overlays
    for path in overlays:
        if path.name not in ("spider.yaml", "smollm2_spider.yaml"):  # name files of the user
            checked(overlaid(path.name))


def test_rows_can_be_built_from_files_that_are_there(tmp_path):
    config = overlaid("spider.yaml")
    missing = ("questions", "tables", "databases")
    config["data"] |= {key: str(tmp_path / config["data"][key]) for key in missing}
    said = faults(config)
    assert all(f"data.{key}" in said for key in missing) and said.count("\n") == len(missing)
    for name in ("q.json", "t.json", "shop.sqlite"):
        (tmp_path / name).touch()
    files = {"questions": str(tmp_path / "q.json"), "tables": str(tmp_path / "t.json")}
    config["data"] |= {**files, "databases": str(tmp_path)}
    assert checked(config)["data"]["source"] == "spider"
    assert origin_note(config).startswith("rows of q.json")
    config["data"] |= {"databases": None, "predictions": ["nowhere.parquet"]}
    assert re.search(r"(?s)databases is empty.*names 'nowhere.parquet'", faults(config))


def test_trainings_of_other_rows_or_another_model_are_not_replaced(config, tmp_path):
    own = merged(copy.deepcopy(config), {"data": {"source": "path", "path": "rows.jsonl"}})
    keep_apart(tmp_path, config)
    twin = {"rows": "twin", "model": "resources/models/standin"}
    assert read_json(tmp_path / "origin.json") == twin
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
        ({"source": "path", "path": "a/b.jsonl"}, "rows of b.jsonl, stand-in"),
        ({"source": "hub", "dataset": "a/rows", "revision": "main"}, "rows of rows, stand-in"),
        ({"source": "drive", "drive_id": "of_another_file"}, "rows of of_another_file, stand-in"),
        ({"source": "drive", "drive_id": "1_3s88Op1PCZo50RsHcx5m2Bj_n05PPn4"}, "stand-in model, "),
    ],
)
def test_figures_say_whose_rows_they_show(config, data, note):
    assert origin_note(config | {"data": data}).startswith(note)


def test_the_splits_tested_are_those_that_a_recipe_has_rows_of(config):
    config["test_set"]["unseen_databases"] = ["moon"]
    assert splits_tested(config, "repaired") == ["test", "unseen"]
    assert splits_tested(config, "as_run") == []
    config["test_set"] |= {"other": {"rows": "a.jsonl", "databases": "dir"}, "unseen_databases": []}
    assert splits_tested(config, "repaired") == ["test", "other"]
    config["test_set"]["rows"] = dict.fromkeys(config["test_set"]["rows"], 0)
    assert splits_tested(config, "repaired") == ["other"]


def test_gpus_are_counted_by_their_devices(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert local_gpus(tmp_path) == 2 and local_gpus(tmp_path / "nothing") == 0


def test_the_schema_is_that_of_the_model(config):
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "python -m tools.config_schema"
    jsonschema.validate(config, yaml.safe_load(schema_text()))


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("training: {sheduler: linear}", "training: unknown key sheduler. Known here: best_met"),
        ("training: {scheduler: lineer}", "should be 'linear', 'cosine' or 'constant'"),
        ("training: {warmup_steps: many}", "is 'many': it should be a valid integer"),
        ("training: {max_grad_norm: .inf}", "is inf: it should be a finite number"),
        ("data: {max_quarantine: 2}", "is 2: it should be less than or equal to 1"),
        ("data: {source: path}", "data.path is empty"),
        ("data: {source: path, path: no.jsonl}", "data.path names 'no.jsonl': no such file"),
        ("data: {databases: resources/nowhere}", "no database there"),
        ("runs: {exp1_natural: {epochs: 0}}", "should be greater than or equal to 1"),
        ("runs: {exp1_natural: {learning_rate: .nan}}", "is nan: it should be a finite number"),
        ("runs: {exp1_natural: {starts_from: nobody}}", "starts_from is 'nobody'"),
        ("runs: {exp1_natural: {starts_from: exp1_natural}}", "goes round in a circle"),
        ("run_defaults: {rows: 100}", "rows is 100; a balanced sample"),
        ("run_defaults: {epochs: 1.5}", "is 1.5: it should be a valid integer"),
        ("seeds: 7", "is 7: it should be a valid list"),
        ("seeds: []", "seeds is []"),
        ("seeds: [1, 1]", "seeds is [1, 1]: each may stand there once"),
        ("use_recipes: [mine]", "use_recipes is 'mine', which is no recipe"),
        ("agents: {recipe: mine}", "agents.recipe is 'mine', which is no recipe. Recipes: as_wr"),
        ("claims: {repaired: mine}", "claims.repaired is 'mine', which is no recipe"),
        ("ablation: {unrepaired: as_run}", "ablation.run must be a run of as_run"),
        ("ablation: {controls: {mine: {source: other}}}", "controls.mine: unknown key source. K"),
        ("model: {base: resources/models/nowhere}", "no such folder"),
        ("model: {base: resources/models}", "lacks model.safetensors, config.json"),
        ("model: {architecture: decoder}", "should be 'encoder-decoder' or 'causal'"),
        ("model: {architecture: causal}", "a model that is encoder-decoder. Set model.arch"),
        ("model: {lora: {rank: 8, alpha: 16, dropout: 0}}", "model.lora.targets is missing"),
        (f"model: {{lora: {json.dumps(LORA)}}}", "model.lora is set, but model.architecture is"),
        ("examples: {rows_per_task: 0}", "examples.rows_per_task is 0"),
        ("prediction: {splits: [test]}", "prediction.splits needs val"),
        ("test_set: {other: {rows: no.jsonl, databases: docs}}", "docs': no database there"),
        ("models: {m: {}}", "models.m.endpoint is missing"),
        ("models: {m: {endpoint: {model: mine}}}", "models.m.endpoint.base_url is missing"),
        ("models: {m: {endpoint: {base_url: 'localhost', model: m}}}", "base_url is 'localhost'"),
        (f"models: {{m: {{endpoint: {{{SERVER}, budget: 5}}}}}}", "endpoint.prices is not. Set"),
        (f"models: {{m: {{endpoint: {{{SERVER}, at_once: 0}}}}}}", "at_once is 0: it should be g"),
        (f"models: {{m: {{endpoint: {{{SERVER}, prices: {{input: 1}}}}}}}}", "output is missing"),
    ],
)
def test_a_wrong_value_names_key_value_and_cure(config, overlay, said):
    assert said in faults(merged(config, yaml.safe_load(overlay)))


@pytest.mark.parametrize("key", ["sk-secret", 7, "lower_case", "SK SECRET"])
def test_a_key_in_the_place_of_its_name_is_not_shown(config, key):
    config["models"] = {"m": {"endpoint": yaml.safe_load(f"{{{SERVER}}}") | {"key": key}}}
    said = faults(config)
    assert "models.m.endpoint.key: it should be the NAME of an environment" in said
    assert str(key) not in said


def test_a_missing_key_is_named(config):
    del config["twin"]["seed"]
    assert "twin.seed is missing. Add it" in faults(config)


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ("prediction={constrained: true}", "prediction.constrained", True),
        ("seeds=[007]", "seeds", [7]),
        ("run_defaults={rows: 90, patience: null}", "run_defaults.patience", None),
        ("recipes={repaired: {runs: {a: {rows: 90}}}}", "recipes.repaired.runs.a", {"rows": 90}),
        ("recipes={repaired: {runs: {exp2: null}}}", "recipes.repaired.runs", {"exp2": None}),
        ("run_defaults={learning_rate: 1e-4}", "run_defaults.learning_rate", 1e-4),
        ("data={url: 'http://host/null'}", "data.url", "http://host/null"),
        ("model={revision: 1234567}", "model.revision", "1234567"),
        ("models={}", "models", {}),
    ],
)
def test_what_config_on_the_command_line_sets_is_read_as_in_a_file(config, typed, key, value):
    config["runs"] |= {"a": {"experiment": 1, "batch_size": 1, "learning_rate": 1e-4}}
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
        "exp1_natural": {"rows": 90},
        "exp3_bs8_lr5e-5": None,
    }
    config["runs"]["exp3_bs8_lr1e-4"] = None
    config["recipes"]["as_run"]["runs"]["exp3_bs8_lr1e-4"] = None
    config = checked(config)
    runs = runs_of(config, "as_written")
    assert runs["exp1_balanced"]["epochs"] == 2
    assert runs["exp1_balanced"]["starts_from"] == "exp1_natural"
    assert runs["extra"]["patience"] == config["run_defaults"]["patience"]
    assert not {"exp3_bs8_lr5e-5", "exp3_bs8_lr1e-4"} & set(runs)
    assert run_settings(config, "as_written", "exp1_natural", 3).run.rows == 90


def test_a_control_is_the_repaired_recipe_and_run_but_for_its_settings(config):
    config["ablation"]["controls"] = {
        "both": {"prompt": "own", "source_tokens": 900, "starts_from": "random"},
        "mixed_up": {"sources": "other", "patience": None},
        "gone": None,
    }
    config = checked(config)
    names = [name for name in ablation_names(config) if "~" in name]
    assert names == ["repaired~both", "repaired~mixed_up"]
    base = run_settings(config, "repaired", "exp5_long", 1)
    both, mixed_up = (run_settings(config, name, "exp5_long", 1) for name in names)
    changed = {"name": "repaired~both", "prompt": "own", "source_tokens": 900}
    assert both == base.model_copy(update={"recipe": base.recipe.model_copy(update=changed)})
    assert runs_of(config, "repaired~both")["exp5_long"]["starts_from"] == "random"
    assert runs_of(config, "repaired")["exp5_long"]["starts_from"] == "base"
    assert mixed_up.run == base.run.model_copy(update={"sources": "other", "patience": None})


# --- Models that are compared with the best run


def test_an_endpoint_has_defaults_and_its_own_settings(config):
    assert endpoints(checked(config)) == {}
    server = yaml.safe_load(f"{{{SERVER}}}")
    config["models"] = {"far": {"endpoint": {**server, "retries": 2}}, "gone": None}
    config["models"] |= yaml.safe_load((ROOT / "configs/gpt4.yaml").read_text())["models"]
    found = endpoints(checked(config))
    assert list(found) == ["far", "gpt-4"] and found["gpt-4"].key == "OPENAI_API_KEY"
    assert (found["far"].name, found["far"].retries, found["far"].temperature) == ("far", 2, 0)


def test_compared_models_need_test_rows(config):
    config["models"] = {"a": {"endpoint": yaml.safe_load(f"{{{SERVER}}}")}}
    config["test_set"]["rows"] = dict.fromkeys(("Selector", "Decomposer", "Refiner"), 0)
    assert "compared on test rows, but agents.recipe (repaired) keeps none" in faults(config)


# --- The report's sizes, and their rehearsal


def test_the_reports_sizes_are_the_reports():
    """The report generates 512 tokens; the notebooks cut their answers after 128."""
    config = checked(overlaid("report.yaml"))
    for name, generated in (("as_run", 128), ("as_written", 512)):
        recipe = config["recipes"][name]
        sizes = [recipe[f"{part}_tokens"] for part in ("source", "target", "generate")]
        assert sizes == [512, 512, generated], name
        runs = runs_of(config, name)
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
    assert rehearsal["use_recipes"] == report["use_recipes"]
    for key in ("recipes", "training", "prediction", "execution", "agents", "claims", "ablation"):
        theirs, ours = ({**each[key]} for each in (report, rehearsal))
        if key == "recipes":
            theirs, ours = ({name: {**recipe, "runs": 0} for name, recipe in each.items()}
                            for each in (theirs, ours))  # fmt: skip
        assert ours == theirs, key
    for recipe in report["use_recipes"]:  # every run of every recipe, one epoch of each
        runs = runs_of(rehearsal, recipe)
        assert runs.keys() == runs_of(report, recipe).keys()
        assert {run["epochs"] for run in runs.values()} == {1}
        assert splits_tested(rehearsal, recipe) == splits_tested(report, recipe)


# Source and target tokens, rows trained and rows evaluated at a time -> MiB that a training of
# T5-small's size on a CPU takes at most; see docs/cluster.md.
MEASURED = {(512, 512, 1): 2791, (512, 512, 7): 8187, (2048, 512, 4): 10483}


def test_jobs_ask_for_the_memory_that_was_measured_and_more():
    for (source, target, rows), measured in MEASURED.items():
        config = overlaid("rehearsal.yaml")
        config["recipes"]["as_written"] |= {"source_tokens": source, "target_tokens": target}
        config["runs"]["exp1_natural"]["batch_size"] = rows
        config["training"]["eval_batch_size"] = 2
        settings = run_settings(checked(config), "as_written", "exp1_natural", 42)
        asked = training_memory(settings, weights=243.6, on_gpu=False) / 1.048576
        assert 1.08 < asked / measured < 1.9
        assert 3000 < training_memory(settings, weights=243.6, on_gpu=True) < asked
    settings = run_settings(checked(overlaid("rehearsal.yaml")), "repaired", "exp1_natural", 42)
    asked = answering_memory(settings, 13, weights=243.6, on_gpu=False) / 1.048576
    assert 1.1 < asked / 3789 < 2.3  # 13 rows of the rehearsal
    assert answering_memory(settings, 13, weights=243.6, on_gpu=True) < 3000
