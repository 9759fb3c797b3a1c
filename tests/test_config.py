"""The configuration: complete, bounded, and wrong values are told with their cure."""

import copy
import json
import math
import os
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import merged, overlaid
from snakemake.cli import parse_config

from workflow_scripts.config import (
    answering_memory,
    local_gpus,
    run_settings,
    runs_of,
    sample_name,
    splits_tested,
    training_memory,
    unseen_databases,
)
from workflow_scripts.config_check import SCHEMA, at, check_files, checked, read_typed
from workflow_scripts.config_model import schema_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.origin import keep_apart, origin_note, origin_of
from workflow_scripts.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
REPAIRED = "recipes.repaired.runs"
LORA = {"rank": 8, "alpha": 16, "dropout": 0.0, "targets": None}
CAUSAL = {"architecture": "causal", "base": "some/llama", "revision": "main"}


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def put(config, dotted, value):
    *parents, last = dotted.split(".")
    for key in parents:
        config = config[key]
    config[last] = value


def test_the_default_is_valid_and_so_is_every_overlay(config):
    checked(copy.deepcopy(config))
    overlays = sorted((ROOT / "configs").glob("*.yaml"))
    assert overlays
    for path in overlays:
        if path.name != "spider.yaml":  # names files of the user
            checked(merged(copy.deepcopy(config), yaml.safe_load(path.read_text())))


def test_rows_can_be_built_from_files_that_are_there(config, tmp_path):
    overlay = yaml.safe_load((ROOT / "configs/spider.yaml").read_text())
    config = merged(config, overlay)
    missing = ("questions", "tables", "databases")
    config["data"] |= {key: str(tmp_path / overlay["data"][key]) for key in missing}
    with pytest.raises(EssenceError) as error:
        checked(config)
    assert all(f"data.{key}" in str(error.value) for key in missing)
    assert str(error.value).count("\n") == len(missing)
    for name in ("q.json", "t.json", "shop.sqlite"):
        (tmp_path / name).touch()
    files = {"questions": str(tmp_path / "q.json"), "tables": str(tmp_path / "t.json")}
    config["data"] |= {**files, "databases": str(tmp_path)}
    assert checked(config)["data"]["source"] == "spider"
    assert origin_note(config).startswith("rows of q.json")
    config["data"] |= {"databases": None, "predictions": ["nowhere.parquet"]}
    with pytest.raises(EssenceError, match=r"(?s)names 'nowhere.parquet'.*databases is empty"):
        checked(config)


def test_trainings_of_other_rows_or_another_model_are_not_replaced(config, tmp_path):
    twin = origin_of(config)
    put(config, "data.source", "path")
    put(config, "data.path", "rows.jsonl")
    own = origin_of(config)
    assert (twin.rows, twin.model) == ("twin", "resources/models/standin")
    assert own.rows == "path rows.jsonl"
    keep_apart(tmp_path, twin)
    keep_apart(tmp_path, own)  # nothing was trained yet
    (tmp_path / "runs").mkdir()
    keep_apart(tmp_path, own)
    with pytest.raises(EssenceError, match=r"rows: path rows.jsonl, now twin\).*another folder"):
        keep_apart(tmp_path, twin)
    (tmp_path / "origin.json").unlink()
    keep_apart(tmp_path, twin)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        ({"source": "twin"}, "generated twin data, stand-in model, learning rates times 10"),
        ({"source": "path", "path": "a/b.jsonl"}, "rows of b.jsonl, stand-in"),
        ({"source": "drive", "drive_id": "of_another_file"}, "rows of of_another_file, stand-in"),
        ({"source": "drive", "drive_id": "1_3s88Op1PCZo50RsHcx5m2Bj_n05PPn4"}, "stand-in model, "),
    ],
)
def test_figures_say_whose_rows_they_show(config, data, note):
    put(config, "data", data)
    assert origin_note(config).startswith(note)


def test_the_splits_tested_are_those_that_a_recipe_has_rows_of(config):
    assert splits_tested(config, "repaired") == ["test", "unseen"]
    assert splits_tested(config, "as_run") == []
    put(config, "test_set.other", {"rows": "a.jsonl", "databases": "dir"})
    put(config, "test_set.unseen_databases", [])
    assert splits_tested(config, "repaired") == ["test", "other"]
    put(config, "test_set.rows", dict.fromkeys(config["test_set"]["rows"], 0))
    assert splits_tested(config, "repaired") == ["other"]


def test_the_twins_databases_are_unseen_where_nothing_is_said_and_no_others(config):
    assert len(unseen_databases(config)) == 3
    put(config, "data.source", "path")
    assert unseen_databases(config) == []
    put(config, "test_set.unseen_databases", ["world_1"])
    assert unseen_databases(config) == ["world_1"]


def test_gpus_are_counted_by_their_devices(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert local_gpus(tmp_path) == 2 and local_gpus(tmp_path / "nothing") == 0


def test_the_schema_is_that_of_the_model(config):
    """It is for people and their editors; WRITE=1 writes it."""
    if os.environ.get("WRITE"):
        SCHEMA.write_text(schema_text(), encoding="utf-8")
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run this test with WRITE=1"
    schema = yaml.safe_load(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(config, schema)
    for block in [schema, *schema["$defs"].values()]:
        for name, part in block.get("properties", {}).items():
            described = part if "description" in part else schema["$defs"][_named(part)]
            assert described.get("description"), (block["title"], name)


def _named(part):
    """The shape that a part of a schema refers to."""
    return part["$ref"].rpartition("/")[2]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("runs.exp1_natural.learning_rate", "1e-4", "Write 1.0e-04"),
        ("training.warmup_steps", "12", "a number belongs here"),
        ("training.sheduler", "linear", "training: unknown key sheduler"),
        ("training.checkpoint_steps", 50, "is gone: a training is saved at the end of each epoch"),
        ("training.scheduler", "lineer", "should be 'linear', 'cosine' or 'constant'"),
        ("data.max_quarantine", 2, "should be less than or equal to 1"),
        ("runs.exp1_natural.epochs", 0, "should be greater than or equal to 1"),
        ("runs.exp1_natural.starts_from", "nobody", "starts_from is 'nobody'"),
        ("runs.exp1_natural.starts_from", "exp1_natural", "goes round in a circle"),
        ("run_defaults.rows", 100, "Write 99 or 102"),
        ("run_defaults.rows", 1, "greater than or equal to 2"),
        ("data.source", "path", "data.path is empty"),
        ("data", {"source": "path", "path": "no.jsonl", "max_quarantine": 0}, "no such file"),
        ("use_recipes", ["mine"], "which is no recipe"),
        ("agents.recipe", "mine", "agents.recipe must be one of the recipes"),
        ("model.base", "resources/models/nowhere", "no such folder"),
        ("model.base", "resources/models", "lacks model.safetensors, config.json"),
        ("model.architecture", "decoder", "should be 'encoder-decoder' or 'causal'"),
        ("model.lora", {"rank": 8, "alpha": 16, "dropout": 0.0}, "missing targets"),
        ("model.lora", LORA, "model.lora is set, but model.architecture is encoder-decoder"),
        ("model.liger", True, "for decoder-only models"),
        ("model.load_4bit", True, "model.lora is null"),
        ("data.databases", "resources/nowhere", "no database there"),
        ("examples.rows_per_task", 0, "equal to 1. (Rows.)"),
        ("prediction.splits", ["test"], "prediction.splits needs val"),
        ("test_set.unseen_databases", ["moon"], "moon, which the twin does not have. Its dat"),
        ("test_set.other", {"rows": "no.jsonl", "databases": "docs"}, "docs': no database there"),
        ("ablation.unrepaired", "as_run", "must be a run of as_run"),
        ("claims.repaired", "mine", "must be one of the recipes"),
        ("seeds", [], "seeds"),
        ("runs.exp1_natural.learning_rate", math.nan, "is nan: it should be a finite number"),
        ("training.max_grad_norm", math.inf, "is inf: it should be a finite number"),
    ],
)
def test_a_wrong_value_names_key_value_and_cure(config, key, value, said):
    put(config, key, value)
    with pytest.raises(EssenceError) as error:
        checked(config)
    assert said in str(error.value)
    assert any(part in str(error.value) for part in key.split("."))


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ("prediction={constrained: true}", "prediction.constrained", True),
        ("seeds=[1,2]", "seeds", [1, 2]),
        ("seeds=[007]", "seeds", [7]),
        ("use_recipes=[repaired]", "use_recipes", ["repaired"]),
        ("run_defaults={rows: 90, patience: null}", "run_defaults.rows", 90),
        ("run_defaults={rows: 90, patience: null}", "run_defaults.patience", None),
        ("recipes={repaired: {runs: {exp5_long: {rows: 90}}}}", REPAIRED + ".exp5_long.rows", 90),
        ("recipes={repaired: {runs: {exp1_natural: null}}}", REPAIRED, {"exp1_natural": None}),
        ("training={learning_rate_scale: 0.5}", "training.learning_rate_scale", 0.5),
        ("data={url: 'http://host/null'}", "data.url", "http://host/null"),
        ("model={revision: 1234567}", "model.revision", "1234567"),
        ("models={}", "models", {}),
    ],
)
def test_what_config_on_the_command_line_sets_is_read_as_in_a_file(config, typed, key, value):
    typed = parse_config([typed])  # as Snakemake does it
    config = read_typed(merged(config, copy.deepcopy(typed)), typed)
    assert at(config, key.split(".")) == value
    checked(config)


@pytest.mark.parametrize(
    ("typed", "cure"),
    [
        ("training={warmup_steps: many}", "is 'many': it should be a valid integer"),
        ("run_defaults={learning_rate: 1e-4}", "Write 1.0e-04"),
        ("run_defaults={learning_rate: .nan}", "is nan: it should be a finite number"),
        ("run_defaults={epochs: 1.5}", "is 1.5: it should be a valid integer"),
        ("seeds=7", "is 7: it should be a valid list"),
    ],
)
def test_a_wrong_value_on_the_command_line_has_a_cure(config, typed, cure):
    typed = parse_config([typed])
    with pytest.raises(EssenceError) as error:
        checked(read_typed(merged(config, copy.deepcopy(typed)), typed))
    assert cure in str(error.value)


def test_a_key_that_stands_twice_is_refused_with_its_lines(tmp_path):
    check_files([ROOT / "config.yaml", *(ROOT / "configs").glob("*.yaml")])
    (tmp_path / "mine.yaml").write_text("seeds: [1]\nruns:\n  a: {rows: 3, rows: 6}\nseeds: [2]\n")
    with pytest.raises(EssenceError) as error:
        check_files([tmp_path / "mine.yaml"])
    assert "mine.yaml, line 3: rows stands in line 3 already" in str(error.value)
    assert "mine.yaml, line 4: seeds stands in line 1 already" in str(error.value)


def test_what_needs_a_gpu_is_refused_on_a_cpu(config):
    config["model"] |= CAUSAL | {"lora": LORA, "device": "cpu"}
    checked(copy.deepcopy(config))
    config["model"] |= {"load_4bit": True, "liger": True}
    with pytest.raises(EssenceError, match=r"(?s)load_4bit needs a GPU.*liger needs a GPU"):
        checked(config)


def test_a_base_of_another_architecture_is_told(config):
    config["model"]["architecture"] = "causal"
    with pytest.raises(EssenceError, match=r"that is encoder-decoder. Set model.architecture to"):
        checked(config)


def test_answers_of_a_decoder_only_model_are_not_constrained(config):
    config["model"] |= CAUSAL
    config["prediction"]["constrained"] = True
    with pytest.raises(
        EssenceError, match=r"prediction.constrained is true, but answers of decoder"
    ):
        checked(config)


def test_settings_of_a_plain_model_are_not_spelt_out(config):
    """What was trained before other models could be is not made stale by them."""
    plain = run_settings(checked(config), "repaired", "exp1_natural", 1)
    assert "model" not in plain.model_dump() and "model" not in plain.model_dump(mode="json")
    config["model"] |= CAUSAL | {"lora": LORA}
    causal = run_settings(checked(config), "repaired", "exp1_natural", 1)
    assert causal.model_dump(mode="json")["model"]["lora"] == LORA
    assert Settings.model_validate(causal.model_dump(mode="json")) == causal


def test_a_missing_key_is_named(config):
    del config["twin"]["seed"]
    with pytest.raises(EssenceError, match="twin: missing seed"):
        checked(config)


def test_run_settings_combine_defaults_run_and_recipe(config):
    config["recipes"]["as_written"]["runs"] = {
        "exp1_balanced": {"starts_from": "exp1_natural", "epochs": 2},
        "extra": {"experiment": 2, "batch_size": 2, "learning_rate": 1.0e-4},
        "exp1_natural": {"rows": 90},
        "exp3_bs8_lr5e-5": None,
    }
    config = checked(config)
    runs = runs_of(config, "as_written")
    assert runs["exp1_balanced"]["epochs"] == 2
    assert runs["exp1_balanced"]["starts_from"] == "exp1_natural"
    assert runs["extra"]["patience"] == config["run_defaults"]["patience"]
    assert "exp3_bs8_lr5e-5" not in runs
    assert run_settings(config, "as_written", "exp1_natural", 3).run.rows == 90


def test_runs_with_equal_rows_share_one_sample(config):
    config = checked(config)
    names = {run: sample_name(config, "as_written", run) for run in runs_of(config, "as_written")}
    assert sorted(set(names.values())) == ["balanced_150_row", "balanced_36_row", "natural_36_row"]
    assert names["exp1_balanced"] == names["exp3_bs8_lr1e-4"] != names["exp1_natural"]


def test_null_removes_a_run_in_an_overlay(config):
    config["runs"]["exp3_bs8_lr1e-4"] = None
    config["recipes"]["as_run"]["runs"]["exp3_bs8_lr1e-4"] = None
    config = checked(config)
    assert all("exp3_bs8_lr1e-4" not in runs_of(config, recipe) for recipe in config["use_recipes"])


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


# Where a rehearsal may differ from the report: how many rows and epochs, and what cannot be had
# without a network and a GPU. Every other difference would leave something unrehearsed.
REHEARSED = re.compile(
    r"data\.(source|path|drive_id)|twin\.domains_per_database"
    r"|model\.(base|revision|sha256|device)|test_set\.rows\.\w+|run_defaults\.(rows|epochs)"
    r"|(recipes\.as_run\.)?runs\.\w+\.(rows|epochs)"
)


def flat(config, above=""):
    """Every setting by its dotted key."""
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def test_the_rehearsal_is_the_report_but_for_its_counts_source_model_and_device():
    report, rehearsal = (dict(flat(overlaid(f"{name}.yaml"))) for name in ("report", "rehearsal"))
    keys = report.keys() | rehearsal.keys()
    differ = {key for key in keys if report.get(key, ...) != rehearsal.get(key, ...)}
    assert {key for key in differ if not REHEARSED.fullmatch(key)} == set()
    counts = {key for key in differ if key.endswith((".rows", ".epochs")) or ".rows." in key}
    assert all(rehearsal[key] <= 9 for key in counts)
    assert {"run_defaults.rows", "run_defaults.epochs"} < counts


def test_the_rehearsal_trains_and_answers_every_run_of_the_report():
    """Every run of every recipe, one epoch of each."""
    report, rehearsal = (checked(overlaid(f"{name}.yaml")) for name in ("report", "rehearsal"))
    for recipe in report["use_recipes"]:
        runs = runs_of(rehearsal, recipe)
        assert runs.keys() == runs_of(report, recipe).keys()
        assert {run["epochs"] for run in runs.values()} == {1}
        assert splits_tested(rehearsal, recipe) == splits_tested(report, recipe)


# Source and target tokens, rows trained and rows evaluated at a time -> MiB that a training of
# T5-small's size on a CPU at most, MiB; see docs/cluster.md.
MEASURED = {
    **{(512, 512, 1): 2791, (512, 512, 4): 5240, (512, 512, 7): 8187},
    **{(2048, 512, 1): 4159, (2048, 512, 4): 10483, (2048, 512, 7): 13434},
}


@pytest.mark.parametrize(("size", "measured"), MEASURED.items())
def test_a_training_asks_for_the_memory_that_was_measured_and_more(size, measured):
    source, target, rows = size
    settings = run_settings(checked(overlaid("rehearsal.yaml")), "as_written", "exp1_natural", 42)
    settings = settings.model_copy(
        update={
            "recipe": settings.recipe.model_copy(
                update={"source_tokens": source, "target_tokens": target}
            ),
            "run": settings.run.model_copy(update={"batch_size": rows}),
            "training": settings.training.model_copy(update={"eval_batch_size": 2}),
        }
    )
    asked = training_memory(settings, weights=243.6, on_gpu=False) / 1.048576
    assert 1.08 < asked / measured < 1.9
    assert 3000 < training_memory(settings, weights=243.6, on_gpu=True) < asked


def test_a_job_that_answers_asks_for_the_memory_that_was_measured_and_more():
    settings = run_settings(checked(overlaid("rehearsal.yaml")), "repaired", "exp1_natural", 42)
    asked = answering_memory(settings, 13, weights=243.6, on_gpu=False) / 1.048576
    assert 1.1 < asked / 3789 < 2.3  # 13 rows of the rehearsal
    assert answering_memory(settings, 13, weights=243.6, on_gpu=True) < 3000
