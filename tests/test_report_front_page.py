"""results/report.html: its first screen, what it embeds, and the results that ship."""

import base64
import dataclasses
import json
import re
from pathlib import Path

import pytest
import report_files as made
from report_files import pick

from tools import ship_results
from workflow_scripts.artifacts.claims import COLUMNS, ClaimLine, Claims, Group, Kind, Verdict
from workflow_scripts.artifacts.csv import write_csv
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.report import Effect
from workflow_scripts.artifacts.runs import BestRuns
from workflow_scripts.artifacts.sections import Section, Sections
from workflow_scripts.artifacts.settings import Origin
from workflow_scripts.artifacts.shipped import Shipped
from workflow_scripts.errors import EssenceError
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.report import make_report
from workflow_scripts.report.pages.sections import chapters, embedded
from workflow_scripts.report.tables.best_run import choose_best
from workflow_scripts.report.tables.results import tabulate_results

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "resources/shipped_results.json"
RECIPES = {column: column for column in COLUMNS}
JUDGED = ClaimLine(
    claim="Exact match is 0",
    group=Group.JUDGED,
    published="0",
    measured={},
    verdict=Verdict(kind=Kind.ARTEFACT, artefacts=["A1"]),
)
OPEN = JUDGED.model_copy(
    update={
        "claim": "Batch 8 overfits",
        "group": Group.NOT_TESTABLE,
        "verdict": Verdict(kind=Kind.NOT_TESTABLE, missing=["x"]),
    }
)
EFFECT = Effect("mine+prompt", "mine", "+prompt", "A1", "test", "exact_match", 9, 0.5, 0.2, 0.8,
                None, None, None)  # fmt: skip
LOSS = dataclasses.replace(EFFECT, split="val", metric="loss_per_token", n=3)


def section(file: Path, chapter: str = "1 Data", **more: str) -> Section:
    told = {"title": "A title", "caption": "Shown (A2).\n"}
    return Section(chapter=chapter, file=str(file), **{**told, **more})


def report_of(runs, folder: Path, sections=(), seeds: int = 1, ablation=()) -> str:
    """report.html of some runs, with shipped results over `seeds` seeds."""
    results = folder / "results.csv"
    tabulate_results(runs, results, folder / "over_seeds.csv", folder / "summary.csv")
    choose_best(runs, folder / "best_runs.json")
    audits = [
        FitAudit.read(made.make_fit(folder / f"{name}.json", made.recipe(name))) for name in RECIPES
    ]
    (folder / "fit.svg").write_text("<svg/>")
    shipped = Shipped.read(SHIPPED)
    claim = {"claim": OPEN.claim, "kind": "reproduced", "verdict": "reproduced, as shipped"}
    of_seeds = shipped.seeds.model_dump() | {"seeds": seeds, "claims": [claim]}
    shipped = Shipped.model_validate(shipped.model_dump() | {"seeds": of_seeds})
    page = make_report(
        Sections(sections=list(sections)),
        results,
        Claims(lines=[JUDGED, OPEN]),
        BestRuns.read(folder / "best_runs.json"),
        audits,
        folder / "fit.svg",
        shipped,
        RECIPES,
        list(ablation),
    )
    return html.render(page, "generated & small")


def test_the_first_screen_has_a_number_with_its_interval_and_rows_for_each_recipe(runs, tmp_path):
    one_seed = [run for run in runs if run.seed == 1]
    text = report_of(one_seed, tmp_path)
    cards = re.findall(r'<div class="card">(.*?)\n</div>', text, re.DOTALL)
    assert [re.search("<h2>(.*)</h2>", card)[1] for card in cards] == [
        "As run",
        "As written",
        "Repaired",
    ]
    assert '<div class="big">25%</div>' in cards[2] and "[20%, 30%], 12 test rows" in cards[2]
    assert "12 test rows; no model could exceed 75%" in cards[2]
    assert "the question of 3,375 of 3,375 rows" in cards[2] and 'href="#A1"' in cards[2]
    assert text.index('class="cards"') < text.index("data:image/svg") < text.index("<table")
    assert "Measured on: generated &amp; small." in text
    (tmp_path / "seeds").mkdir()
    assert "2 seeds, each on 12 test rows" in report_of(runs, tmp_path / "seeds")


def test_shipped_results_stand_in_for_seeds_and_ablation_that_a_run_lacks(runs, tmp_path):
    text = report_of(runs, tmp_path)
    assert "2 claims in words. This run judges 1 of them: 1 artefact." in text
    assert OPEN.claim not in text and "as shipped" not in text  # two seeds are more than one
    assert "Shipped with the project: the run exp5_long (seeds: 1), measured" in text
    text = report_of(runs, tmp_path, seeds=5)
    assert OPEN.claim in text and "shipped, 5 seeds" in text and "reproduced, as shipped" in text
    assert "marks controls" in text
    unseen = dataclasses.replace(EFFECT, split="unseen", value=0.1)  # not in this table
    control = dataclasses.replace(EFFECT, recipe="mine~other", change="~other", artefact=None)
    write_csv(tmp_path / "ablation.csv", Effect, [EFFECT, unseen, LOSS])
    assert "marks controls" not in report_of(runs, tmp_path, ablation=[tmp_path / "ablation.csv"])
    write_csv(tmp_path / "ablation.csv", Effect, [EFFECT, unseen, control, LOSS])
    text = report_of(runs, tmp_path, ablation=[tmp_path / "ablation.csv"])
    assert "Measured by this run (seeds: 3)." in text and "0.50 [0.20, 0.80]" in text
    assert "A ~ marks controls" in text and "mine~other" in text
    assert "Shipped with the project" not in text


def test_the_report_is_one_file_and_every_link_in_it_leads_somewhere(runs, tmp_path):
    (tmp_path / "a.png").write_bytes(b"pixels")
    (tmp_path / "a.csv").write_text("a,b\n")
    (tmp_path / "claims.html").write_text("<main><p>artefact of A3</p><pre>A4</pre></main> gone")
    files = [section(tmp_path / name) for name in ("a.png", "a.csv")]
    files.append(section(tmp_path / "claims.html", "7 Claims"))
    text = report_of(runs, tmp_path, files)
    assert base64.b64encode(b"pixels").decode() in text and "gone" not in text
    assert "<pre>A4</pre>" in text  # what a model wrote stays as it is
    assert text.count("Shown (<a") == 2  # told once for neighbours that share it
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert {"top", "claims-html", "A3", "A2"} <= targets
    assert targets <= set(re.findall(r'id="([^"]+)"', text))
    assert re.findall(r'(?:src|href)="(?!#|data:)', text) == []
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_a_page_that_cannot_be_embedded_is_named(tmp_path):
    (tmp_path / "old.html").write_text("<body></body>")
    with pytest.raises(EssenceError, match=r"old\.html has no <main>"):
        embedded(tmp_path / "old.html")


def test_chapters_keep_the_order_of_the_sections(tmp_path):
    (tmp_path / "a.csv").write_text("")
    found = chapters([section(tmp_path / "a.csv", name) for name in ("1 A", "1 A", "2 B")])
    assert [(each.anchor, len(each.sections)) for each in found] == [("1-a", 2), ("2-b", 1)]


# --- tools.ship_results


@pytest.fixture
def finished(runs, tmp_path) -> Path:
    """results/ with the tables that the tool reads."""
    results = tmp_path / "results"
    (results / "tables").mkdir(parents=True)
    (results / "runs").symlink_to(runs[0].folder.parents[2])
    Origin(rows="twin", model="resources/models/standin").write(results / "origin.json")
    tables = results / "tables"
    tabulate_results(runs, tables / "results.csv", tables / "over_seeds.csv", tables / "s.csv")
    Claims(lines=[JUDGED, OPEN]).write(tables / "claims.json")
    ends = [Effect(name, name, None, None, *EFFECT_END) for name in ("as_written", "repaired")]
    write_csv(tables / "ablation.csv", Effect, ends)
    return results


EFFECT_END = ("test", "exact_match", 9, 0.5, 0.2, 0.8, None, None, None)


@pytest.mark.parametrize("newest", ["a", "b"])
def test_of_two_commits_of_a_day_the_later_is_named(newest, tmp_path, monkeypatch):
    monkeypatch.setattr(
        ship_results, "_committed", lambda commit: (int(commit == newest), "2026-01-01")
    )
    for commit in "ab":
        (tmp_path / commit).mkdir()
        (tmp_path / commit / "provenance.json").write_text(f'{{"git": {{"commit": "{commit}"}}}}')
    assert ship_results.measured([tmp_path / "a", tmp_path / "b"]).commit == newest


def test_what_ships_is_taken_from_the_tables(finished, runs, monkeypatch):
    monkeypatch.setattr(ship_results, "_committed", lambda commit: (0, "2026-01-01"))
    seeds = ship_results.over_seeds(finished)
    assert (seeds.seeds, seeds.measured.commit) == (2, "f" * 40)
    assert [(each.claim, each.kind) for each in seeds.claims] == [
        ("Exact match is 0", "artefact"),
        ("Batch 8 overfits", "not testable here"),
    ]
    best = pick(runs, "repaired", "exp3_bs4_lr1e-4")
    [score] = [
        each for each in seeds.scores if (each.recipe, each.metric) == ("repaired", "exact_match")
    ]
    assert (score.run, score.split) == (best.name, "test")
    assert score.mean == pytest.approx(best.score("exact_match", "test"))
    Origin(rows="path rows.jsonl", model="mine").write(finished / "origin.json")
    with pytest.raises(EssenceError, match="Only results of the embedded default"):
        ship_results.over_seeds(finished)


def test_a_commit_that_this_repository_lacks_is_refused(finished):
    with pytest.raises(EssenceError, match="is not in this repository"):
        ship_results.over_seeds(finished)


def test_the_shipped_ablation_is_of_the_report_and_its_own_run():
    shipped = Shipped.read(SHIPPED)
    recipes = {each.recipe for each in shipped.ablation.effects}
    assert {"as_written", "repaired", "as_written+prompt", "repaired-tokenizer"} <= recipes
    assert json.loads(SHIPPED.read_text())["ablation"]["run"] == shipped.ablation.run
