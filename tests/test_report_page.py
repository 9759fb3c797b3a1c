"""results/report.html: its first screen, its sections, and the results that ship."""

import base64
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import report_files as made
import yaml
from conftest import merged

from tools import ship_results
from workflow_scripts.config import scale_of
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report import html, sections
from workflow_scripts.report.choose_best import choose_best
from workflow_scripts.report.claims import COLUMNS
from workflow_scripts.report.draw_examples import draw
from workflow_scripts.report.html import marked
from workflow_scripts.report.judge import JUDGED, UNTESTED
from workflow_scripts.report.page import write_report
from workflow_scripts.report.sections import collect
from workflow_scripts.tables import (
    ANSWERS,
    PREDICTIONS,
    ROWS,
    read_csv,
    read_rows,
    read_table,
    write_csv,
    write_table,
)
from workflow_scripts.text.audit import FitAudit

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "resources/shipped_results.json"
RECIPES = {column: column for column in COLUMNS}
CHOSEN = "exp3_bs4_lr1e-4"
CLAIMS = pd.DataFrame(
    [
        (JUDGED, "Exact match is 0", "0", "", "", "", "artefact", "artefact of A1: gone", "toy"),
        (UNTESTED, "Batch 8 overfits", "", "", "", "", "not testable here",
         "not testable here: needs x", "toy"),
    ],
    columns=["group", "claim", "published", *COLUMNS, "kind", "verdict", "scale"],
)  # fmt: skip
EFFECT = {"recipe": "mine+prompt", "end": "mine", "change": "+prompt", "artefact": "A1"}
EFFECT |= {"split": "test", "metric": "exact_match", "n": 9, "value": 0.5, "low": 0.2, "high": 0.8}
LOSS = EFFECT | {"split": "val", "metric": "loss_per_token", "n": 3}


@pytest.fixture(scope="module")
def results(runs, tables, tmp_path_factory) -> Path:
    """results/ as the report's last stage finds it. Do not edit it."""
    results, root = tmp_path_factory.mktemp("results"), runs[0].parents[2]
    folder = shutil.copytree(tables, results / "tables")
    choose_best(runs, folder / "best_runs.json")
    write_csv(folder / "claims.csv", CLAIMS)
    for name in RECIPES:
        made.make_fit(results / f"{name}.json", made.recipe(name))
    (results / "fit.svg").write_text("<svg/>")
    (results / "runs").symlink_to(root)
    return results


def section(file: Path | str, chapter: str = "1 Data", table: str | None = None) -> dict:
    words = {"title": "A title", "caption": "Shown (A2).\n"}
    return {"chapter": chapter, "file": str(file), "table": table, **words}


def report_of(
    results: Path, out: Path, shown: Sequence[dict] = (), seeds: int = 1, ablation: Sequence = ()
) -> str:
    """report.html on one line, with shipped results over `seeds` seeds."""
    shipped = read_json(SHIPPED)
    claim = {"claim": "Batch 8 overfits", "kind": "reproduced", "verdict": "reproduced, shipped"}
    shipped["seeds"] |= {"seeds": seeds, "claims": [claim]}
    if ablation:
        write_csv(out / "ablation.csv", pd.DataFrame(list(ablation)))
    root = (results / "runs").resolve()
    write_report(
        {"sections": list(shown)}, results / "tables", root / "answers.parquet", made.PUBLISHED,
        [FitAudit.read(results / f"{name}.json") for name in RECIPES], results / "fit.svg",
        shipped, RECIPES, out / "report.html", ablation=[out / "ablation.csv"] * bool(ablation),
        note="generated & small",
    )  # fmt: skip
    return " ".join((out / "report.html").read_text().split())


def test_the_first_screen_has_a_number_with_its_interval_and_rows_for_each_recipe(
    results, tmp_path
):
    text = report_of(results, tmp_path)
    cards = re.findall(r'<div class="card">(.*?) </div> (?=<div class="card">|</div>)', text)
    titles = [re.search("<h2>(.*?)</h2>", card)[1] for card in cards]
    assert titles == ["As run", "As written", "Repaired"]
    assert '<div class="big">25%</div>' in cards[2]
    assert "2 seeds, each on 12 test rows; no model could exceed 75%" in cards[2]
    # a tokenizer that cannot write an answer: what a model can reach comes first
    written = re.search(r"<strong>(.*?)</strong>", cards[1])[1]
    assert written == "exact match with what the tokenizer can write"
    assert "over rows and seeds, 2 seeds" in cards[1]
    assert "the question of 3,375 of 3,375 rows" in cards[2] and 'href="#A1"' in cards[2]
    assert f"repaired: {CHOSEN}, number 1 of 8 by ROUGE-L on test rows" in text
    assert text.index('id="verdicts"') < text.index('class="cards"') < text.index("data:image/svg")
    assert "Measured on: generated &amp; small." in text
    scale = "Its scale is toy: it was made with generated rows or the stand-in model."
    assert scale in text and "the shipped results in" not in text, "none is shown"
    text = report_of(results, tmp_path, seeds=5)
    assert "This run was trained in fp32, the shipped results in bf16" in text


def test_shipped_results_stand_in_for_seeds_and_ablation_that_a_run_lacks(results, tmp_path):
    text = report_of(results, tmp_path)
    assert "2 claims in words. This run judges 1 of them: 1 artefact." in text
    assert "Batch 8 overfits" not in text  # two seeds are more than one
    assert "Shipped with the project: the run exp5_long (seeds: 1), measured" in text
    text = report_of(results, tmp_path, seeds=5)
    assert "shipped, 5 seeds" in text and "reproduced, shipped" in text
    unseen = EFFECT | {"split": "unseen", "value": 0.1}  # not in this table
    text = report_of(results, tmp_path, ablation=[EFFECT, unseen, LOSS])
    assert "marks controls" not in text and "0.10" not in text
    control = EFFECT | {"recipe": "mine~other", "change": "~other", "artefact": None}
    text = report_of(results, tmp_path, ablation=[EFFECT, unseen, control, LOSS])
    assert "Measured by this run (seeds: 3)." in text and "0.50 [0.20, 0.80]" in text
    assert "A ~ marks controls" in text and "mine~other" in text
    assert "Shipped with the project" not in text


def test_the_report_is_one_file_and_every_link_in_it_leads_somewhere(results, tmp_path):
    (tmp_path / "a.png").write_bytes(b"pixels")
    (tmp_path / "a.csv").write_text("a,b\n")
    shown = [section(tmp_path / name) for name in ("a.png", "a.csv")]
    names = ("summary", "differences", "equal_steps", "runs", "predictions", "claims")
    shown += [section(f"{name}.csv", "7 Tables", name) for name in names]
    text = report_of(results, tmp_path, shown)
    assert base64.b64encode(b"pixels").decode() in text
    assert text.count("Shown (<a") == 1  # sections that share a caption say it once
    assert '<span class="tag bad">artefact' in text and "&lt;span" not in text
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert {"top", "claims", "A1", "A2", "1-data", "7-tables"} <= targets
    ids = re.findall(r' id="([^"]+)"', text)
    assert targets <= set(ids) and len(ids) == len(set(ids))
    assert re.findall(r'(?:src|href)="(?!#|data:)', text) == []
    means = read_csv(results / "tables/over_seeds.csv")
    chosen = means[(means.recipe == "repaired") & (means.run == CHOSEN) & (means.task == "all")]
    [loss] = chosen[chosen.metric == "eval_loss"].itertuples()
    assert f"{loss.mean:.3f} [{loss.low:.3f}, {loss.high:.3f}]" in text
    assert "exact match Selector" in text and "answer also in training" not in text
    assert f"repaired {CHOSEN}" in text and '<td class="number">2 of 4<' in text  # converged
    assert text.count("torch 2.13.0") == 1  # what all runs share is said once
    assert "1e-4</td>" in text and "0.0001" not in text


@pytest.mark.parametrize(
    ("overlays", "scale"),
    [
        ([], "toy"),
        (["data: {source: path, path: mine.jsonl}"], "toy"),  # with the stand-in
        (["data: {source: path, path: mine.jsonl}", "model: {base: mine}"], "own"),
        (["configs/rehearsal.yaml"], "rehearsal"),
        (["configs/report.yaml"], "real"),
    ],
)
def test_a_configuration_has_a_scale(overlays, scale):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for overlay in overlays:
        text = (ROOT / overlay).read_text() if overlay.endswith(".yaml") else overlay
        merged(config, yaml.safe_load(text))
    assert scale_of(config) == scale


# --- sections


def test_rows_of_experiment_4_are_drawn_by_seed(tmp_path):
    rows = read_rows(made.make_rows(tmp_path / "rows.parquet", dict.fromkeys(TASKS, 9)))
    drawn = draw(rows, 2, seed=4)
    assert [row.task for row in drawn] == [task for task in TASKS for _ in range(2)]
    assert drawn == draw(rows, 2, seed=4)
    assert drawn != draw(rows, 2, seed=5)
    with pytest.raises(EssenceError, match="10 rows of each task"):
        draw(rows, 10, seed=4)


def test_examples_stand_side_by_side_and_say_where_each_run_met_the_row(results, tmp_path):
    rows = read_rows(made.make_rows(tmp_path / "rows.parquet", {"Selector": 2}))
    drawn = [tmp_path / f"{name}.parquet" for name in ("first", "second")]
    for path, row in zip(drawn, rows, strict=True):
        write_table(path, [row], ROWS)
    examples = [tmp_path / f"{recipe}.parquet" for recipe in ("as_written", "repaired")]
    for path in examples:
        run = (results / "runs").resolve() / path.stem / "exp1_natural/seed1"
        answers = read_rows(run / "predictions.parquet", PREDICTIONS)
        met = {("test", 100), ("val", 0), ("val", 1), ("val", 2)}
        write_table(path, [each for each in answers if (each.split, each.idx) in met], PREDICTIONS)
    given = [[path] * 2 for path in drawn]
    text = sections.examples(results / "tables", examples, *given, None)
    row = text[text.index("row 0,") : text.index("row 1,")]
    assert row.index("as_written <small>(training row)") < row.index("repaired <small>(training")
    assert text.count("(validation row)") == 2
    assert text.count("(not used in this run)") == 4  # rows 100 and 2, of both recipes
    assert f"<strong>as_written</strong>: {CHOSEN}, seed 1" in text and "next came" in text


def test_what_a_model_writes_cannot_break_out_of_the_page(results):
    path = (results / "runs").resolve() / "answers.parquet"
    best = read_json(results / "tables/best_runs.json")["recipes"]
    collected = collect(read_table(path, ANSWERS), best)
    assert {each["executed"] for each in collected["answers"]} == {"error", None}
    assert collected["splits"] == ["test", "val"]
    assert len(collected["rows"]) == 24 and len(collected["answers"]) == 24 * 24
    assert "SELECT </script> a FROM t" in {each["prediction"] for each in collected["answers"]}
    assert 'class="tag good"' in marked(0.5, 0.25, 0.75) and 'class="tag' not in marked(0.5, -1, 2)
    text = sections.predictions(results / "tables", path)
    assert text.count("</script>") == 1
    data = re.search(r"const DATA = (.*), PAGE = 20", text).group(1)
    assert json.loads(data)["answers"] == collected["answers"]
    assert "&lt;b&gt;" in html.tables({"": pd.DataFrame({"a": ["<b>"]})})


# --- tools.ship_results


@pytest.fixture
def finished(results, tmp_path) -> Path:
    """results/ with the tables that the tool reads."""
    folder = tmp_path / "results"
    folder.mkdir()
    for name in ("tables", "runs"):
        (folder / name).symlink_to((results / name).resolve())
    write_json(folder / "origin.json", {"rows": "twin", "model": "resources/models/standin"})
    return folder


def test_what_ships_is_taken_from_the_tables_of_a_commit_that_is_here(finished, monkeypatch):
    with pytest.raises(EssenceError, match="is not in this repository"):
        ship_results.over_seeds(finished)
    monkeypatch.setattr(ship_results, "_committed", lambda commit: (0, "2026-01-01"))
    seeds = ship_results.over_seeds(finished)
    assert (seeds["seeds"], seeds["measured"]["commit"]) == (2, "f" * 40)
    assert [each["kind"] for each in seeds["claims"]] == ["artefact", "not testable here"]
    scores = pd.DataFrame(seeds["scores"])
    score = scores[(scores.recipe == "repaired") & (scores.metric == "exact_match")].iloc[0]
    assert (score.run, score.split) == (CHOSEN, "test") and score["mean"] == pytest.approx(0.25)
    write_json(finished / "origin.json", {"rows": "path rows.jsonl", "model": "mine"})
    with pytest.raises(EssenceError, match="Only results of the embedded default"):
        ship_results.over_seeds(finished)
