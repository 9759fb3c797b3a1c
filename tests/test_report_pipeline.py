"""The rules of the report on made-up runs: every file promised, stale by content, in a browser."""

import pytest
import report_files as made
import yaml
from conftest import Project, fresh_clone, merged
from report_browser import MISSING, Browser

from workflow_scripts.config import runs_of, sample_name
from workflow_scripts.config_check import checked
from workflow_scripts.model.fetch import FILES as MODEL_FILES

# The rules of the report alone; everything that they read is made up beforehand.
SNAKEFILE = """
configfile: "config.yaml"
include: "rules/common.smk"
rule predict:
    output: out="never.parquet"
    shell: stage_command("model.predict")
include: "rules/report.smk"
rule everything:
    default_target: True
    input: REPORT_ITEMS
"""
# Stands in for the model, which would need torch and a trained model.
PREDICT = """
from pathlib import Path
from typing import Annotated
from workflow_scripts.settings import Settings
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import PREDICTIONS, Prediction, read_rows, write_table

def predict(
    settings: Annotated[Settings, Setting("settings of the run")],
    model: Annotated[Path, Setting("folder of the model")],
    out: Annotated[Path, Output("predictions.parquet")],
    val: Annotated[Path, Input("rows")],
    test: Annotated[Path, Input("rows")],
) -> None:
    write_table(out, [
        Prediction(split=split, idx=row.idx, task=row.task, db_id=row.db_id,
            question=row.question, gold=row.target, gold_decoded=row.target,
            prediction=row.target, prediction_tokens=3, cut=False, input=row.idx, reachable=True)
        for split, path in (("test", test), ("val", val)) for row in read_rows(path)
    ], PREDICTIONS)

run_stage(predict)
"""
# The runs that report_files.py makes up: the report's.
OVERLAY = {
    "use_recipes": ["as_run", "as_written", "repaired"],
    "runs": {"exp5_long": None},
    "ablation": {"run": "exp3_bs4_lr1e-4"},
    "agents": {"recipe": "as_run"},  # which keeps no test rows: nobody is asked, without a model
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    """A clone with made-up results, the report built once from them. Do not edit it."""
    folder = fresh_clone(tmp_path_factory.mktemp("report") / "essence").folder
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY))
    (folder / "workflow_scripts/model/predict.py").write_text(PREDICT)
    (folder / "resources/models/standin").mkdir(parents=True, exist_ok=True)
    made.make_results(folder / "results")
    config = checked(merged(yaml.safe_load((folder / "config.yaml").read_text()), OVERLAY))
    counts = {"Selector": 8, "Decomposer": 8, "Refiner": 8}
    made.make_rows(folder / "results/data/test.parquet", counts)
    for recipe in OVERLAY["use_recipes"]:
        for run in runs_of(config, recipe):
            sample = folder / "results/data/samples" / sample_name(config, recipe, run) / "seed42"
            for part in ("train", "val"):
                made.make_rows(sample / f"{part}.parquet", counts)
            model = folder / f"results/runs/{recipe}/{run}/seed42/model"
            model.mkdir(parents=True, exist_ok=True)
            for name in MODEL_FILES:
                (model / name).touch()
    project = Project(folder, "--configfile", "overlay.yaml")
    project.snakemake("--cores", "2")
    return project


def test_every_promised_file_is_made(finished):
    results = finished.folder / "results"
    figures = {path.name for path in (results / "figures").iterdir()}
    for number in ("3.1_tasks", "5.1_losses", "5.2_tasks", "5.7_losses"):
        assert {f"figure_{number}.svg", f"figure_{number}.png"} <= figures
    tables = {path.name for path in (results / "tables").iterdir()}
    assert {"results.csv", "claims.csv", "over_seeds.csv", "best_runs.json"} <= tables
    assert "predictions.csv" in tables
    page = (results / "report.html").read_text()
    assert len(page) > 1_000_000
    for caption in (
        "Training and evaluation loss over the epochs: ",
        "as the notebooks drew it and",
    ):
        assert page.count(caption) == 1, "said once for all figures of a kind"
    assert page.count("To be read like <a href") > 4


def test_the_report_is_made_once_and_again_only_for_a_change(finished, tmp_path):
    assert finished.stale() == {}
    project, reports = finished.copy(tmp_path / "essence"), {"make_report", "everything"}
    project.edit("resources/figures.yaml", "How many rows each of", "The rows of each of")
    assert set(project.stale()) == reports
    project.edit("resources/figures.yaml", "The rows of each of", "How many rows each of")
    style = {"figures": {"style": {"heatmap": {"font.size": 11}}}}
    (project.folder / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY | style))
    assert set(project.stale()) == {"plot_figures", *reports}
    (project.folder / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY))
    project.edit("workflow_scripts/report/figures/data.py", "BAR = 0.32", "BAR = 0.2")
    assert set(project.stale()) == {"plot_figures", *reports}


@pytest.fixture
def browser(tmp_path):
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")
    with Browser(tmp_path / "profile") as opened:
        yield opened


LOADED = """
const images = [...document.images];
return images.length > 10 && images.every(image => image.complete && image.naturalWidth > 100);
"""
WIDEST = """
return Math.max(...[...document.images].map(image => image.getBoundingClientRect().right));
"""
COVERED = """
const menu = document.querySelector('nav').getBoundingClientRect();
const text = document.querySelector('main').getBoundingClientRect();
return menu.width > 0 && menu.right > text.left;
"""
COUNT = "return document.getElementById('p-count').textContent"


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 420])
def test_the_report_fits_its_window(finished, browser, width):
    browser.resize(width, 900)
    browser.open(finished.folder / "results/report.html")
    browser.wait(LOADED)
    chapters = browser.script(
        "return [...document.querySelectorAll('.chapter > h2')].map(each => each.innerText)"
    )
    assert [title[0] for title in chapters] == list("12345678")
    assert chapters[0].startswith("1 Data") and chapters[6].startswith("7 Claims and artefacts")
    assert browser.script("return document.documentElement.scrollWidth") <= width
    assert browser.script(WIDEST) <= width, "no figure is wider than the window"
    assert not browser.script(COVERED)
    cards = "return [...document.querySelectorAll('.cards .big')].map(each => each.innerText)"
    assert browser.script(cards) == ["0%", "0%", "25%"]
    assert browser.errors() == []


@pytest.mark.browser
def test_predictions_can_be_searched_and_linked_offline(finished, browser):
    browser.open(finished.folder / "results/report.html")
    exact = "exact: as_run 0 of 12, as_written 0 of 12, repaired 3 of 12"
    assert browser.wait(COUNT) == f"1 to 12 of 12 rows; {exact}"
    browser.script(
        "const box = document.getElementById('p-search'); box.value = 'question 101?';"
        "box.dispatchEvent(new Event('input'));"
    )
    one = "1 to 1 of 1 rows; exact: as_run 0 of 1, as_written 0 of 1, repaired 1 of 1"
    assert browser.script(COUNT) == one
    browser.script("location.hash = '#row-val-3'")
    browser.wait("return Boolean(document.getElementById('row-val-3'))")
    sides = "return [...document.querySelectorAll('#p-list h4')].map(each => each.innerText)"
    assert [title.split(":")[0] for title in browser.script(sides)] == [
        "gold",
        "as_run",
        "as_written",
        "repaired",
    ]
    assert browser.errors() == []
