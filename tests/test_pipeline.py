"""The whole pipeline on the smoke configuration, and what goes stale when something changes."""

import json
import os
import re

import pytest
import sample_rows
from conftest import Project, fresh_clone
from material import ROOT
from report_browser import MISSING, Browser

from workflow_scripts.model.fetch import FILES as MODEL_FILES
from workflow_scripts.tables import PREDICTIONS, read_csv, read_rows

pytestmark = pytest.mark.pipeline
RUN = "results/runs/repaired/exp1_natural/seed42"


def test_everything_promised_is_there(smoke):
    readme, results = (smoke.folder / "README.md").read_text(), smoke.folder / "results"
    named = re.findall(r"^\| `(results/[^`]*)` \|", readme, re.MULTILINE)
    assert len(named) > 5
    made = [name for name in named if not re.search("ablation|export", name)]  # by other targets
    patterns = [re.sub("<[a-z]+>", "*", name) for name in [*made, "results/origin.json"]]
    assert [name for name in patterns if not any(smoke.folder.glob(name))] == []
    drawn = {path.stem for path in (results / "figures").glob("*.svg")}
    assert drawn and drawn == {path.stem for path in (results / "figures").glob("*.png")}
    table = read_csv(results / "tables/results.csv")
    assert set(table.task) == {"all", "Selector", "Decomposer", "Refiner"}
    assert set(table.split) == {"val", "test", "unseen", "train"}
    assert set(read_csv(results / "tables/agents.csv").split) == {"test", "unseen"}
    caption = "Training and evaluation loss over the epochs: "
    assert (results / "report.html").read_text().count(caption) == 1, "of all figures of a kind"


def test_a_change_reruns_what_uses_it_and_a_touch_or_a_comment_nothing(project):
    project.edit("workflow_scripts/files.py", "import hashlib", "import hashlib  # a comment")
    for path in project.folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path)
    assert project.stale() == {}, "the copy is in another place, too"
    training = {"train", "predict", "score_runs", "make_report"}
    before = {"read_rows", "draw_sample", "draw_test", "profile_rows", "audit_fit"}
    run = "exp3_bs4_lr1e-4: {experiment: 3, batch_size: 4, learning_rate: "
    page = {"make_report", "all"}
    for file, old, new, again, kept in (
        ("config.yaml", run + "1.0e-4", run + "2.0e-4", training, before),
        ("config.yaml", "seed: 7", "seed: 8", {"build_twin", *before, *training}, set()),
        ("config.yaml", "format_note: null", "style: {tasks: {font.size: 11}}",
         {"plot_figures", *page}, {"tabulate"}),
        ("resources/figures.yaml", "How many rows each of", "Rows of each", page, {"plot_figures"}),
        ("workflow_scripts/intervals.py", "LEVEL = 0.95", "LEVEL = 0.9", {"score_runs"},
         {"train", "predict", *before}),
    ):  # fmt: skip
        text = (project.folder / file).read_text()
        project.edit(file, old, new)
        stale = project.stale()
        assert again <= set(stale) and not kept & set(stale), (new, stale)
        if file == "config.yaml" and "bs4" in old:
            assert stale["train"] == stale["predict"] == 4, "as_run's next one starts from it"
        (project.folder / file).write_text(text)


def test_rows_of_another_file_are_answered(project):
    lines = (project.folder / "resources/twin/rows.jsonl").read_text().splitlines(keepends=True)
    (project.folder / "few.jsonl").write_text("".join(lines[:3]))
    other = "{rows: few.jsonl, databases: resources/twin/databases}"
    project.edit("configs/smoke.yaml", "test_set:\n", f"test_set:\n  other: {other}\n")
    stale = project.stale()
    assert stale["read_other"] == stale["score_runs"] == 1
    assert stale["predict"] == 10, "as_run has no test rows"
    assert not {"train", "draw_sample"} & set(stale)
    project.snakemake("--cores", "2", f"{RUN}/predictions.parquet")
    answers = read_rows(project.folder / RUN / "predictions.parquet", PREDICTIONS)
    assert sum(answer.split == "other" for answer in answers) == 3


def test_the_best_run_is_exported_when_asked_for(project):
    project.snakemake("--cores", "1", "export")
    folder = project.folder / "results/export/repaired"
    assert {path.name for path in folder.iterdir()} == {"README.md", *MODEL_FILES}


def test_too_many_unreadable_rows_stop_the_run_and_are_kept_to_be_read(tmp_path):
    clone = fresh_clone(tmp_path / "clone")
    rows = list(sample_rows.many(1, 1))
    sample_rows.write(clone.folder / "rows.jsonl", [*rows, '{"idx": 1,', '{"idx": 99}'])
    own = ("--config", "data={source: path, path: rows.jsonl}")
    done = clone.snakemake("--cores", "1", "results/data/rows.parquet", *own, check=False)
    assert done.returncode and "data.max_quarantine" in done.stdout + done.stderr
    lines = (clone.folder / "results/data/quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in lines] == [len(rows) + 1, len(rows) + 2]
    assert not (clone.folder / "results/data/rows.parquet").exists()


def test_recipes_may_have_other_names(tmp_path):
    """The plan is the same: no code and no rule asks for a recipe's name."""
    clone, names = fresh_clone(tmp_path / "clone"), "as_run|as_written|repaired"
    for file in ("config.yaml", "configs/smoke.yaml"):
        path = clone.folder / file
        # All names but the keys of settings that are called alike.
        path.write_text(re.sub(rf"\b({names})\b(?!: ({names}))", r"\1_of_mine", path.read_text()))
    plan = clone.stale("all", "ablation")
    assert plan["train"] == 25 and plan["audit_fit"] == plan["answer_examples"] == 3


def test_a_wrong_value_stops_before_any_job(smoke):
    done = smoke.snakemake("--cores", "1", "-n", "--config", "seeds=7", check=False)
    assert done.returncode and "seeds is 7: it should be a valid list" in done.stdout + done.stderr


def test_the_ablation_is_in_the_report_where_the_configuration_says_so(smoke, tmp_path):
    assert not (smoke.folder / "results/tables/ablation.csv").exists()
    clone = fresh_clone(tmp_path / "essence")
    alone = clone.stale("ablation")
    clone.edit("config.yaml", "in_report: false", "in_report: true")
    within = clone.stale()
    # a training for each of the three repairs added, for each taken back, and for four controls
    assert within["train"] == 15 + 10 and alone["train"] == 2 + 10
    assert within["tabulate_ablation"] == within["make_random_base"] == 1
    assert "judge_claims" in within and "judge_claims" not in alone


@pytest.mark.slow
def test_the_ablation_adds_and_takes_back_each_repair(project):
    project.snakemake("--cores", "2", "ablation")
    results, repairs = project.folder / "results", ("prompt", "tokenizer", "padding")
    controls = ("input_of_another_row", "answers_cut", "own_sections_uncut", "untrained_base")
    wanted = {"as_written", "repaired", *(f"repaired~{name}" for name in controls)}
    wanted |= {f"as_written+{name}" for name in repairs} | {f"repaired-{name}" for name in repairs}
    assert set(read_csv(results / "tables/ablation.csv").recipe) == wanted
    assert (results / "figures/ablation.png").is_file()
    assert project.stale("ablation") == {}


# --- rules/internals.smk: what Snakemake has no documented way for

SNAKEFILE = f"""
include: "{ROOT}/rules/internals.smk"
limit_gpus(1)

rule all:
    input: "1.txt", "2.txt"

rule job:
    output: "{{name}}.txt"
    resources: gpu=1
    shell: "echo start >> log; sleep 1; echo end >> log; touch {{output}}"
"""


@pytest.mark.parametrize(("options", "at_once"), [([], 1), (["--resources", "gpu=2"], 2)])
def test_as_many_jobs_as_there_are_gpus_run_at_once(tmp_path, options, at_once):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    Project(tmp_path, "--cores", "2").snakemake(*options)
    second_event = (tmp_path / "log").read_text().split()[1]
    assert second_event == {1: "end", 2: "start"}[at_once]


# --- the page in a browser

LOADED = """
const images = [...document.images];
return images.length > 10 && images.every(image => image.complete && image.naturalWidth > 100);
"""
# The right end of figures and page, and whether the menu covers the text.
LAYOUT = """
const box = name => document.querySelector(name).getBoundingClientRect();
const ends = [...document.images].map(image => image.getBoundingClientRect().right);
return [Math.max(document.documentElement.scrollWidth, ...ends),
  box('nav').width > 0 && box('nav').right > box('main').left];
"""


@pytest.mark.browser
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_the_report_fits_its_window_and_predictions_are_searched_and_linked_offline(
    smoke, tmp_path
):
    def texts(selector):
        return browser.script(
            f"return [...document.querySelectorAll('{selector}')].map(each => each.innerText)"
        )

    with Browser(tmp_path / "profile") as browser:
        for width in (1400, 420):
            browser.resize(width, 900)
            browser.open(smoke.folder / "results/report.html")
            browser.wait(LOADED)
            end, is_covered = browser.script(LAYOUT)
            assert end <= width and not is_covered, width
        assert [title[0] for title in texts(".chapter > h2")] == list("12345678")
        assert len(texts(".cards .big")) == 3
        _, question, *_ = texts("#p-list .card > p")
        browser.script(
            "const box = document.getElementById('p-search'); box.value = arguments[0];"
            "box.dispatchEvent(new Event('input'));",
            question.upper(),
        )
        assert re.match(r"1 to (\d+) of \1 rows; exact: .*repaired ", *texts("#p-count"))
        first = browser.script("return document.querySelector('#p-list .card').id")
        browser.script("location.hash = arguments[0]", f"#{first}")
        browser.wait("return document.querySelectorAll('#p-list .card').length === 1")
        assert {title.split(":")[0] for title in texts("#p-list h4")} >= {"gold", "repaired"}
        assert browser.errors() == []
