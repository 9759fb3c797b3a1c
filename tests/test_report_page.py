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
from conftest import merged, overlaid
from material import ROOT

from tools import ship_results
from workflow_scripts.config import scale_of
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report import html, sections
from workflow_scripts.report.choose_best import choose_best
from workflow_scripts.report.claims import COLUMNS
from workflow_scripts.report.draw_examples import draw
from workflow_scripts.report.frames import select
from workflow_scripts.report.html import marked
from workflow_scripts.report.judge import JUDGED, UNTESTED
from workflow_scripts.report.page import claim_rows, write_report
from workflow_scripts.report.sections import collect
from workflow_scripts.tables import ANSWERS, read_csv, read_rows, read_table, write_csv

RECIPES = {column: column for column in COLUMNS}
CHOSEN = made.CHOSEN
CLAIMS = pd.DataFrame(
    {
        "group": [JUDGED, UNTESTED],
        "claim": ["Exact match is 0", "Batch 8 overfits"],
        "kind": ["artefact", "not testable here"],
        "verdict": ["artefact of A1: gone", "not testable here: needs x"],
    }
).assign(published="0", scale="toy", **dict.fromkeys(COLUMNS, ""))
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
    (results / "fit.svg").write_text("<svg/>")
    (results / "runs").symlink_to(root)
    return results


def report_of(
    results: Path, out: Path, shown: Sequence[dict] = (), seeds: int = 1, ablation: Sequence = ()
) -> str:
    """report.html on one line, with shipped results over `seeds` seeds."""
    shipped = read_json(ROOT / "resources/shipped_results.json")
    claim = {"claim": "Batch 8 overfits", "kind": "reproduced", "verdict": "reproduced, shipped"}
    shipped["seeds"] |= {"seeds": seeds, "claims": [claim]}
    write_csv(out / "ablation.csv", pd.DataFrame(list(ablation)))
    write_report(
        {"sections": list(shown)}, results / "tables", results / "runs/answers.parquet",
        made.PUBLISHED, made.fits(), results / "fit.svg", shipped, RECIPES, out / "report.html",
        ablation=[out / "ablation.csv"] * bool(ablation), note="generated & small",
    )  # fmt: skip
    return " ".join((out / "report.html").read_text().split())


def test_the_first_screen_has_a_number_with_its_interval_and_rows_for_each_recipe(
    results, tmp_path
):
    for recipe, best in sections.read_best(results / "tables").items():
        assert (best["recipe"], best["run"], best["seed"]) == (recipe, CHOSEN, 1)
        values = [each["value"] for each in best["ranking"]]
        assert values == sorted(values) and len(values) == 8
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
    assert scale in text and "the shipped results in bf16" in text, "of the ablation"
    assert "2 claims in words. This run judges 1 of them: 1 artefact." in text
    assert "Batch 8 overfits" not in text, "two seeds are more than one"
    assert "Shipped with the project: the run exp5_long (seeds: 1), measured" in text


def test_shipped_results_stand_in_for_seeds_and_ablation_that_a_run_lacks(results, tmp_path):
    """This run has two seeds; effects on databases never seen are not in this table."""
    text = report_of(results, tmp_path, seeds=5)
    assert "This run was trained in fp32, the shipped results in bf16" in text
    assert "shipped, 5 seeds" in text and "reproduced, shipped" in text
    control = EFFECT | {"recipe": "mine~other", "change": "~other", "artefact": None}
    effects = [EFFECT, EFFECT | {"split": "unseen", "value": 0.1}, control, LOSS]
    text = report_of(results, tmp_path, ablation=effects)
    assert "the shipped results in" not in text, "none is shown"
    assert "Measured by this run (seeds: 3)." in text and "0.50 [0.20, 0.80]" in text
    assert "A ~ marks controls" in text and "mine~other" in text and "0.10" not in text
    assert "Shipped with the project" not in text


def test_the_report_is_one_file_and_every_link_in_it_leads_somewhere(results, tmp_path):
    (tmp_path / "a.png").write_bytes(b"pixels")
    (tmp_path / "a.csv").write_text("a,b\n")
    names = ("summary", "differences", "equal_steps", "runs", "predictions", "claims")
    shown = [{"chapter": "1 Data", "file": str(tmp_path / name)} for name in ("a.png", "a.csv")]
    shown += [{"chapter": "7 Tables", "file": f"{name}.csv", "table": name} for name in names]
    words = {"title": "A title", "caption": "Shown (A2).\n"}
    text = report_of(results, tmp_path, [each | words for each in shown])
    assert base64.b64encode(b"pixels").decode() in text
    assert text.count("Shown (<a") == 1  # sections that share a caption say it once
    assert '<span class="tag bad">artefact' in text and "&lt;span" not in text
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert {"top", "claims", "A1", "A2", "1-data", "7-tables"} <= targets
    ids = re.findall(r' id="([^"]+)"', text)
    assert targets <= set(ids) and len(ids) == len(set(ids))
    assert re.findall(r'(?:src|href)="(?!#|data:)', text) == []
    means = read_csv(results / "tables/over_seeds.csv")
    of_loss = {"recipe": "repaired", "run": CHOSEN, "task": "all", "metric": "eval_loss"}
    [loss] = select(means, **of_loss).itertuples()
    assert f"{loss.mean:.3f} [{loss.low:.3f}, {loss.high:.3f}]" in text
    assert "exact match Selector" in text and "answer also in training" not in text
    assert f"repaired {CHOSEN}" in text and '<td class="number">2 of 4<' in text  # stopped early
    assert text.count("torch 2.13.0") == 1  # what all runs share is said once
    assert "1e-4</td>" in text and "0.0001" not in text


def test_the_front_page_shows_what_shipped_results_say_of_a_claim_that_is_not_testable():
    claim, untestable = CLAIMS[CLAIMS.group == UNTESTED], {"kind": "not testable here"}
    for verdict, shown in (("needs its base model; on ours open", 1), ("needs seeds", 0)):
        shipped = untestable | {"claim": "Batch 8 overfits", "verdict": verdict}
        assert len(claim_rows(claim, [shipped])) == shown


def test_a_configuration_has_a_scale():
    for name, scale in (("full", "toy"), ("rehearsal", "rehearsal"), ("report", "real")):
        assert scale_of(overlaid(f"{name}.yaml")) == scale
    config = merged(overlaid("full.yaml"), {"data": {"source": "path", "path": "mine.jsonl"}})
    assert scale_of(config) == "toy", "with the stand-in"
    assert scale_of(merged(config, {"model": {"base": "mine"}})) == "own"


# --- sections


def test_rows_of_experiment_4_are_drawn_by_seed(tmp_path):
    rows = read_rows(made.make_rows(tmp_path / "rows.parquet", dict.fromkeys(TASKS, 9)))
    drawn = draw(rows, 2, seed=4)
    assert [row.task for row in drawn] == [task for task in TASKS for _ in range(2)]
    assert drawn == draw(rows, 2, seed=4) != draw(rows, 2, seed=5)
    with pytest.raises(EssenceError, match="10 rows of each task"):
        draw(rows, 10, seed=4)


def test_examples_stand_side_by_side_and_say_where_each_run_met_the_row(results, tmp_path):
    """Rows 0 and 1 are validation rows; that row 0 is a training row too matters more."""
    train, val = (
        made.make_rows(tmp_path / f"{rows}.parquet", {"Selector": rows}) for rows in (1, 2)
    )
    examples = [tmp_path / f"{recipe}.parquet" for recipe in ("as_written", "repaired")]
    for path in examples:
        run = (results / "runs").resolve() / path.stem / "exp1_natural/seed1"
        path.symlink_to(run / "predictions.parquet")
    text = sections.examples(results / "tables", examples, [train] * 2, [val] * 2, None)
    row = text[text.index("row 0,") : text.index("row 1,")]
    assert row.index("as_written <small>(training row)") < row.index("repaired <small>(training")
    assert text.count("(validation row)") == 2
    assert text.count("(not used in this run)") == 44  # 12 test and 10 validation rows, each twice
    assert f"<strong>as_written</strong>: {CHOSEN}, seed 1" in text and "next came" in text


def test_what_a_model_writes_cannot_break_out_of_the_page(results):
    path = results / "runs/answers.parquet"
    collected = collect(read_table(path, ANSWERS), sections.read_best(results / "tables"))
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


def test_what_ships_is_taken_from_the_tables_of_a_commit_that_is_here(
    results, tmp_path, monkeypatch
):
    for name in ("tables", "runs"):
        (tmp_path / name).symlink_to((results / name).resolve())
    write_json(tmp_path / "origin.json", {"rows": "twin", "model": "resources/models/standin"})
    with pytest.raises(EssenceError, match="is not in this repository"):
        ship_results.over_seeds(tmp_path)
    monkeypatch.setattr(ship_results, "_committed", lambda commit: (0, "2026-01-01"))
    seeds = ship_results.over_seeds(tmp_path)
    assert (seeds["seeds"], seeds["measured"]["commit"]) == (2, "f" * 40)
    assert [each["kind"] for each in seeds["claims"]] == ["artefact", "not testable here"]
    scores = pd.DataFrame(seeds["scores"])
    score = select(scores, recipe="repaired", metric="exact_match").iloc[0]
    assert (score.run, score.split) == (CHOSEN, "test") and score["mean"] == pytest.approx(0.25)
    write_json(tmp_path / "origin.json", {"rows": "path rows.jsonl", "model": "mine"})
    with pytest.raises(EssenceError, match="Only results of the embedded default"):
        ship_results.over_seeds(tmp_path)
