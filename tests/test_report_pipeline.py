"""The rules of the report on made-up runs: every file promised, stale by content, in a browser."""

import re

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
include: "rules/report.smk"
rule everything:
    default_target: True
    input: REPORT_ITEMS
"""
# Stands in for the model, which would need torch and a trained model.
PREDICT = """
from pathlib import Path
from typing import Annotated
from workflow_scripts.artifacts.parquet import read_rows, write_rows
from workflow_scripts.artifacts.settings import Settings
from workflow_scripts.artifacts.tables import Prediction, Row
from workflow_scripts.stage import Input, Output, Setting, run_stage

def predict(
    settings: Annotated[Settings, Setting("settings of the run")],
    model: Annotated[Path, Setting("folder of the model")],
    out: Annotated[Path, Output("predictions.parquet")],
    val: Annotated[Path, Input("rows")],
    test: Annotated[Path, Input("rows")],
) -> None:
    write_rows(out, Prediction, [
        Prediction(split=split, idx=row.idx, task=row.task, db_id=row.db_id,
            question=row.question, gold=row.target, gold_decoded=row.target,
            prediction=row.target, prediction_tokens=3, cut=False)
        for split, path in (("test", test), ("val", val)) for row in read_rows(Row, path)
    ])

run_stage(predict)
"""
# The runs that report_files.py makes up: the report's.
OVERLAY = {
    "use_recipes": ["as_run", "as_written", "repaired"],
    "runs": {"exp5_long": None},
    "ablation": {"run": "exp3_bs4_lr1e-4"},
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
    assert {"results.csv", "claims.csv", "over_seeds.csv", "best_run.json"} <= tables
    assert (results / "report.html").stat().st_size > 1_000_000


def test_the_report_is_made_once_and_again_only_for_a_change(finished, tmp_path):
    assert finished.stale() == {}
    project = finished.copy(tmp_path / "essence")
    caption = ("how many rows each of", "the rows of each of")
    project.edit("workflow_scripts/report/figures/tasks.py", *caption)
    assert set(project.stale()) == {"write_captions", "make_report", "everything"}


def test_a_style_and_the_code_of_a_figure_rerun_that_figure_alone(finished, tmp_path):
    project = finished.copy(tmp_path / "essence")
    style = {"figures": {"style": {"heatmap": {"font.size": 11}}}}
    (project.folder / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY | style))
    assert set(project.stale()) == {"plot_heatmap", "make_report", "everything"}
    project.edit("workflow_scripts/report/figures/fit.py", "WIDTH = 0.32", "WIDTH = 0.2")
    rerun = {"plot_heatmap", "plot_fit", "make_report", "everything"}
    assert set(project.stale()) == rerun


@pytest.fixture
def browser(tmp_path):
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")
    with Browser(tmp_path / "profile") as opened:
        yield opened


CLICK = """
const found = [...document.querySelectorAll('nav a')].find(a => a.innerText.trim() == arguments[0]);
if (found) found.click();
return Boolean(found);
"""
HOME = "document.querySelector('nav li a').click(); return true"
SHOWN = """
const image = document.querySelector('.overflow-auto > .p-3 > img');
const frame = document.querySelector('iframe');
return frame ? frame.offsetHeight > 300 : Boolean(image && image.complete && image.width > 300);
"""


@pytest.mark.browser
def test_the_report_opens_in_a_browser(finished, browser):
    browser.open(finished.folder / "results/report.html")
    top = browser.wait("return document.querySelector('h1.title')?.getBoundingClientRect().top")
    assert top >= 0, "the front page must begin inside the window"
    menu = browser.script("return document.querySelector('nav').innerText").splitlines()
    categories = [line for line in menu if re.match(r"\d ", line)]
    assert [line[0] for line in categories] == list("12345678")
    assert categories[0] == "1 Data" and categories[6] == "7 Claims and artefacts"
    for category in categories:
        browser.script(HOME)
        browser.wait(CLICK, category)
        eyes = "return document.querySelectorAll('nav tbody td:last-child a:first-child').length"
        shown = browser.wait(eyes)
        assert shown >= 1, category
        browser.script("document.querySelector('nav tbody td:last-child a').click()")
        assert browser.wait(SHOWN), category
    assert browser.errors() == []


@pytest.mark.browser
def test_predictions_can_be_searched_offline(finished, browser):
    browser.open(finished.folder / "results/tables/predictions_repaired.html")
    count = "return document.getElementById('count').textContent"
    assert re.fullmatch(r"1 to 20 of 24; exact: 6", browser.wait(count))
    browser.script(
        "const box = document.getElementById('search'); box.value = 'question 101?';"
        "box.dispatchEvent(new Event('input'));"
    )
    assert browser.script(count) == "1 to 1 of 1; exact: 1"
    assert browser.errors() == []
