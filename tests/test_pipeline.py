"""The whole pipeline on the smoke configuration, and what goes stale when something changes."""

import csv
import json
import os
import re
import shutil

import pytest
import sample_rows
import yaml
from conftest import Project, fresh_clone

from workflow_scripts import warm
from workflow_scripts.data.twin.worlds import UNSEEN_DOMAINS, domain_names
from workflow_scripts.model.fetch import FILES as MODEL_FILES
from workflow_scripts.tables import SCORES, read_rows, read_table

pytestmark = pytest.mark.pipeline


def test_everything_promised_is_there(smoke):
    results = smoke.folder / "results"
    for name in ("report.html", "data/rows.parquet", "data/quarantine.jsonl", "tables/results.csv"):
        assert (results / name).is_file(), name
    models = list(results.glob("runs/*/*/*/model"))
    assert models and all((folder / "README.md").is_file() for folder in models)
    drawn = {path.stem for path in (results / "figures").glob("*.svg")}
    assert drawn and drawn == {path.stem for path in (results / "figures").glob("*.png")}
    with open(results / "tables/results.csv") as file:
        rows = list(csv.DictReader(file))
    wanted = ["recipe", "run", "seed", "split", "task", "metric", "value", "low", "high"]
    assert list(rows[0])[:9] == wanted
    assert {row["task"] for row in rows} == {"all", "Selector", "Decomposer", "Refiner"}
    assert {row["split"] for row in rows} == {"val", "test", "unseen", "train"}
    with open(results / "tables/agents.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {"test", "unseen"}
    assert [row["setup"] for row in rows[:2]] == ["all agents", "without Selector"]


def test_what_the_readme_says_appears(smoke):
    readme = (smoke.folder / "README.md").read_text()
    named = re.findall(r"^\| `(results/[^`]*)` \|", readme, re.MULTILINE)
    assert len(named) > 5
    made = [name for name in named if not re.search("ablation|export", name)]  # by other targets
    patterns = [re.sub("<[a-z]+>", "*", name) for name in made]
    assert [name for name in patterns if not any(smoke.folder.glob(name))] == []


def test_nothing_is_done_twice(smoke):
    assert smoke.stale() == {}


def test_starts_are_paid_once(project, monkeypatch, tmp_path):
    """Answering runs in a fork of the warm process, which notes what it took."""
    run = "results/runs/as_written/exp3_bs8_lr1e-4/seed42/"
    for name in ("predictions.parquet", "answering.json"):
        (project.folder / run / name).unlink()
    monkeypatch.setenv(warm.COSTS, str(tmp_path / "costs"))
    project.snakemake("--cores", "1", run + "predictions.parquet")
    noted = (tmp_path / "costs").read_text()
    assert [line.split()[0] for line in noted.splitlines()] == [
        "warm",
        "workflow_scripts.model.predict",
    ]


def test_a_touch_reruns_nothing(project):
    for path in project.folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path)
    assert project.stale() == {}


def test_a_fresh_clone_with_results_reruns_nothing(smoke, tmp_path):
    clone = fresh_clone(tmp_path / "clone")
    for name in ("results", "resources/twin", ".snakemake"):
        target = clone.folder / name
        shutil.copytree(smoke.folder / name, target, dirs_exist_ok=True)
    assert clone.stale() == {}


def test_another_learning_rate_reruns_that_run_and_what_follows(project):
    run = "exp3_bs4_lr1e-4: {experiment: 3, batch_size: 4, learning_rate: "
    project.edit("config.yaml", run + "1.0e-4}", run + "9.0e-5}")
    stale = project.stale()
    # One in each of three recipes, and as_run's next one, which starts from its weights.
    assert stale["train"] == stale["predict"] == 4
    assert not {"read_rows", "draw_sample", "draw_test", "profile_rows", "audit_fit"} & set(stale)


def test_no_sample_row_of_a_recipe_with_a_test_set_is_of_an_unseen_database(smoke):
    data = smoke.folder / "results/data"
    unseen = set(domain_names(UNSEEN_DOMAINS))
    samples = {
        path: {row.database for row in read_rows(path)} & unseen
        for path in (data / "samples").glob("*/seed*/*.parquet")
    }
    apart = [found for path, found in samples.items() if "notest" not in str(path)]
    assert len(apart) >= 4 and not any(apart)
    assert any(samples.values()), "as the notebooks, as_run draws from all rows"
    assert {row.database for row in read_rows(data / "unseen.parquet")} <= unseen


def test_rows_of_another_file_are_answered_and_executed(project):
    twin = project.folder / "resources/twin"
    lines = (twin / "rows.jsonl").read_text().splitlines(keepends=True)
    (project.folder / "few.jsonl").write_text("".join(lines[:3]))
    other = "{rows: few.jsonl, databases: resources/twin/databases}"
    project.edit("configs/smoke.yaml", "test_set:\n", f"test_set:\n  other: {other}\n")
    stale = project.stale()
    assert stale["read_other"] == stale["score_runs"] == 1
    assert stale["predict"] == 10, "as_run has no test rows"
    assert not {"train", "draw_sample"} & set(stale)
    project.snakemake("--cores", "2", "results/scores.parquet")
    scores = read_table(project.folder / "results/scores.parquet", SCORES)
    linked = scores[
        (scores.split == "other") & (scores.task == "all") & (scores.metric == "linked_rate")
    ]
    assert len(linked) == 10 and set(linked.value) == {1} and set(linked.n) == {3}


def test_the_best_run_is_exported_when_asked_for(project):
    project.snakemake("--cores", "1", "export")
    folder = project.folder / "results/export/repaired"
    files = {path.name for path in folder.iterdir()}
    assert files == {"README.md", *MODEL_FILES}


def test_a_figures_style_reruns_that_figure(project):
    project.edit("config.yaml", "  format_note: null", "  style: {tasks: {font.size: 11}}\n  #")
    assert set(project.stale()) == {"plot_figures", "make_report", "all"}


def test_a_helper_reruns_only_its_users(project):
    project.edit("workflow_scripts/intervals.py", "LEVEL = 0.95", "LEVEL = 0.9")
    stale = project.stale()
    assert "score_runs" in stale
    assert not {"train", "predict", "read_rows", "draw_sample"} & set(stale)


def test_the_generator_reruns_for_another_seed_of_the_twin(project):
    project.edit("config.yaml", "seed: 7", "seed: 8")
    assert {"build_twin", "read_rows", "train"} <= set(project.stale())


def test_a_comment_reruns_nothing(project):
    project.edit("workflow_scripts/files.py", "import hashlib", "import hashlib  # a comment")
    assert project.stale() == {}


def test_too_many_unreadable_rows_stop_the_run_and_are_kept_to_be_read(tmp_path):
    clone = fresh_clone(tmp_path / "clone")
    rows = list(sample_rows.many(1, 1))
    good = len(rows)
    sample_rows.write(clone.folder / "rows.jsonl", [*rows, '{"idx": 1,', '{"idx": 99}'])
    overlay = clone.folder / "configs/smoke.yaml"
    overlay.write_text(overlay.read_text() + "data: {source: path, path: rows.jsonl}\n")
    done = clone.snakemake("--cores", "1", "results/data/rows.parquet", check=False)
    assert done.returncode
    assert "data.max_quarantine" in done.stdout + done.stderr
    lines = (clone.folder / "results/data/quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in lines] == [good + 1, good + 2]
    assert not (clone.folder / "results/data/rows.parquet").exists()


def test_recipes_may_have_other_names(tmp_path):
    """The plan is the same: no code and no rule asks for a recipe's name."""
    plans = []
    for suffix in ("", "_of_mine"):
        clone = fresh_clone(tmp_path / f"clone{suffix}")
        config = yaml.safe_load((clone.folder / "config.yaml").read_text())
        names = {name: name + suffix for name in config["recipes"]}
        config["recipes"] = {names[name]: each for name, each in config["recipes"].items()}
        config["use_recipes"] = [names[name] for name in config["use_recipes"]]
        for section in ("claims", "ablation", "agents"):
            config[section] = {
                key: names[value] if isinstance(value, str) and value in names else value
                for key, value in config[section].items()
            }
        (clone.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        (clone.folder / "configs/smoke.yaml").write_text("seeds: [1, 2]")
        plans.append(clone.stale("all", "ablation"))
    assert plans[0] == plans[1] and plans[0]["train"] > 50


def test_make_full_trains_five_seeds_and_the_ablation_of_one(tmp_path):
    folder = fresh_clone(tmp_path / "clone").folder
    (folder / "configs/one.yaml").write_text("seeds: [42]")
    default, full = (
        Project(folder, "--configfile", f"configs/{name}.yaml").stale() for name in ("one", "full")
    )
    changes = 2 * 3 + 4  # repairs added and taken back, and controls
    assert full["train"] == 5 * default["train"] + changes
    assert "tabulate_ablation" in full and "tabulate_ablation" not in default


def test_results_of_other_rows_are_not_replaced(project):
    sample_rows.write(project.folder / "rows.jsonl", list(sample_rows.many(2, 2)))
    run = project.folder / "results/runs/as_written/exp1_natural/seed42/training.json"
    before = run.read_bytes()
    project.edit("config.yaml", "  source: twin  ", "  source: path  ")
    project.edit("config.yaml", "  path: null", "  path: rows.jsonl")
    done = project.snakemake("--cores", "1", check=False)
    said = done.stdout + done.stderr
    assert done.returncode and "rows: twin, now path rows.jsonl" in said
    assert "rm results/origin.json" in said and run.read_bytes() == before


def test_a_wrong_value_stops_before_any_job(tmp_path):
    clone = fresh_clone(tmp_path / "clone")
    run = "exp1_natural: {experiment: 1, sampling: natural, batch_size: 1, learning_rate: "
    clone.edit("config.yaml", run + "5.0e-5", run + "slow")
    done = clone.snakemake("--cores", "1", check=False)
    said = done.stdout + done.stderr
    assert done.returncode
    assert "runs.exp1_natural.learning_rate is 'slow': it should be a valid number" in said
    assert not (clone.folder / "results" / "data").exists()


def test_the_same_config_gives_the_same_tables(smoke, project):
    """Training and answering again from the same rows yields the same bytes."""
    run = "results/runs/as_written/exp1_natural/seed42"
    before = {
        name: (smoke.folder / run / name).read_bytes()
        for name in (
            "training_log.jsonl",
            "predictions.parquet",
            "model/model.safetensors",
        )
    }
    shutil.rmtree(project.folder / run)
    project.snakemake("--cores", "2", f"{run}/predictions.parquet")
    for name, content in before.items():
        assert (project.folder / run / name).read_bytes() == content, name


@pytest.mark.slow
def test_the_ablation_adds_and_takes_back_each_repair(project):
    project.snakemake("--cores", "2", "ablation")
    results, repairs = project.folder / "results", ("prompt", "tokenizer", "padding")
    with open(results / "tables/ablation.csv") as file:
        rows = list(csv.DictReader(file))
    wanted = {f"as_written+{name}" for name in repairs} | {f"repaired-{name}" for name in repairs}
    controls = ("input_of_another_row", "answers_cut", "own_sections_uncut", "untrained_base")
    wanted |= {f"repaired~{name}" for name in controls}
    assert {row["recipe"] for row in rows} == {"as_written", "repaired", *wanted}
    assert (results / "random_base/seed42/README.md").is_file()
    executed = {"execution_accuracy", "execution_accuracy_lenient"}
    metrics = {"exact_match", "exact_match_decoded", "rouge_l", *executed}
    assert {row["metric"] for row in rows} == {*metrics, "loss_per_token"}
    assert (results / "figures/ablation.png").is_file()
    assert project.stale("ablation") == {}
