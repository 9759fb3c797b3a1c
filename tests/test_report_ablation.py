"""What repairs are worth, and differences between runs: paired over the same rows."""

import math
from pathlib import Path

import pytest
import report_files as made
from conftest import fresh_clone

from workflow_scripts.artifacts.csv import read_csv
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.report import Difference, Effect
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.claims.ablation import effects_of, tabulate_ablation, variants_of
from workflow_scripts.report.figures.ablation import CONTROLS, PANELS
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import Run
from workflow_scripts.report.tables.differences import differences_of, differences_page

NOTE = "generated twin data"
CHOSEN = "exp3_bs4_lr1e-4"
ENDS = ("as_written", "repaired")


def runs_of(root: Path, exact_match: dict[str, float]) -> list[Run]:
    """A run under each recipe, with its share of right answers."""
    return [
        Run(made.make_run(root, made.recipe(name), "r", exact_match=share))
        for name, share in exact_match.items()
    ]


def test_the_ablation_measures_paired_effects(tmp_path):
    sizes = {"as_written": 0, "as_written+tokenizer": 0.25, "repaired-tokenizer": 0}
    runs = runs_of(tmp_path, sizes | {"repaired": 0.5})
    variants = variants_of((run.recipe for run in runs), *ENDS)
    assert [each.label for each in variants] == [
        "as_written",
        "+ lossless tokenizer (A2)",
        "\N{MINUS SIGN} lossless tokenizer (A2)",
        "repaired",
    ]
    lines = {
        each.recipe: each for each in effects_of(runs, variants) if each.metric == "exact_match"
    }
    assert lines["as_written+tokenizer"].effect == pytest.approx(3 / 12)
    lost = lines["repaired-tokenizer"]
    assert lost.effect == pytest.approx(-0.5) and lost.effect_high < 0
    assert lost.artefact == "A2" and lost.change == "-tokenizer"
    assert lost.at_most == made.CEILINGS["exact_match_at_most"]
    assert lines["repaired"].effect is None
    with pytest.raises(EssenceError, match="no run of the recipe repaired"):
        variants_of(["as_written"], *ENDS)


def test_controls_stand_apart_and_are_compared_with_the_repaired_end(tmp_path):
    sizes = {"as_written": 0, "repaired": 0.5, "repaired-tokenizer": 0}
    runs = runs_of(tmp_path, sizes | {"repaired~input_of_another_row": 0.25})
    figure = tabulate_ablation(runs, *ENDS, tmp_path / "ablation.csv")
    lines = [
        each for each in read_csv(Effect, tmp_path / "ablation.csv") if each.metric == "exact_match"
    ]
    control = lines[-1]
    assert (control.recipe, control.end) == ("repaired~input_of_another_row", "repaired")
    assert control.change == "~input_of_another_row" and control.artefact is None
    assert control.effect == pytest.approx(-0.25) and control.low < 0.25 < control.high
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "as_written",
        "\N{MINUS SIGN} lossless tokenizer (A2)",
        "repaired",
        CONTROLS,
        "input of another row",
    ]
    assert {axes.get_xlabel() for axes in figure.axes} == {
        "n = 12 rows\nhollow: as the\nnotebooks did",  # exact match
        "n = 12 rows",
        "n = 8 rows",
        "n = 1 seed",
    }


def test_the_ablation_is_read_as_it_was_written(tmp_path):
    runs = runs_of(tmp_path, {"as_written": 0, "as_written+prompt": 0.25, "repaired": 0.5})
    table = tmp_path / "ablation.csv"
    figure = tabulate_ablation(runs, *ENDS, table)
    titles = [panel.title for panel in PANELS if panel.split != "unseen"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == titles
    effects = effects_of(runs, variants_of((run.recipe for run in runs), *ENDS))
    for one, other in zip(read_csv(Effect, table), effects, strict=True):
        assert (one.recipe, one.change, one.metric, one.n) == (
            other.recipe,
            other.change,
            other.metric,
            other.n,
        )
        assert one.value == pytest.approx(other.value) and one.effect == pytest.approx(other.effect)


@pytest.mark.parametrize(("share", "said"), [(0.0, "none is longer"), (0.025, "2.5% are longer")])
def test_an_effect_that_is_0_by_construction_says_so(tmp_path, share, said):
    """Where no answer is longer than the limit, a higher one changes nothing."""
    runs = runs_of(tmp_path, {"as_written": 0, "repaired": 0.5, "as_written+prompt": 0})
    longer = made.recipe("as_written+generation").model_copy(update={"generate_tokens": 512})
    runs.append(Run(made.make_run(tmp_path, longer, "r")))
    audit = FitAudit.read(made.make_fit(tmp_path / "fit.json", made.recipe("as_written")))
    counts = audit.all.model_copy(update={"longer_than_generation": share})
    audit = audit.model_copy(update={"all": counts})
    table = tmp_path / "ablation.csv"
    figure = tabulate_ablation(runs, *ENDS, table, [audit])
    reach = {line.recipe: line.reach for line in read_csv(Effect, table)}
    assert reach == dict.fromkeys(reach) | {"as_written+generation": share}
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert [label for label in labels if "longer" in label] == [
        f"+ answers as long as needed (A5):\n{said}, by the fit audit"
    ]


def test_a_table_that_does_not_fit_is_named_with_line_and_column(tmp_path):
    table = tmp_path / "ablation.csv"
    table.write_text("recipe,end\na,b\n")
    with pytest.raises(EssenceError, match=r"ablation\.csv: the column change is missing"):
        read_csv(Effect, table)
    table = tmp_path / "differences.csv"
    table.write_text("first,second,metric,task,n,difference,low,high\na,b,m,t,many,1,1,1\n")
    with pytest.raises(EssenceError, match=r"differences\.csv, line 2: n: "):
        read_csv(Difference, table)


def test_seeds_that_agree_do_not_narrow_an_interval(tmp_path):
    """They answer the same rows, so five seeds are not five times the rows."""

    def all_rows(seeds):
        folders = [
            made.make_run(tmp_path / str(len(seeds)), made.recipe(name), "r", seed=seed, **share)
            for name, share in (("as_written", {}), ("repaired", {"exact_match": 0.5}))
            for seed in seeds
        ]
        return differences_of([Run(folder) for folder in folders], CHOSEN)

    assert all_rows((1, 2, 3, 4, 5)) == all_rows((1,))


def test_where_nothing_was_executed_the_rest_is_compared(tmp_path):
    runs = runs_of(tmp_path, {"as_written": 0, "repaired": 0.5})
    for run in runs:
        (run.folder / "verdicts.parquet").unlink()
    of_text = {"exact_match", "exact_match_decoded", "rouge_l"}
    assert {line.metric for line in differences_of(runs, CHOSEN)} == of_text
    effects = effects_of(runs, variants_of(ENDS, *ENDS))
    assert {each.metric for each in effects} == of_text | {"loss_per_token"}
    assert len(tabulate_ablation(runs, *ENDS, tmp_path / "ablation.csv").axes) == 3
    assert not any(math.isnan(each.value) for each in effects)


def test_differences_are_paired_over_the_same_rows(tmp_path):
    sizes = {("as_written", CHOSEN): 0, ("as_written", "a"): 0.5}
    sizes |= {("repaired", CHOSEN): 0.5, ("repaired", "a"): 0.5}
    folders = [
        made.make_run(tmp_path, made.recipe(recipe), run, exact_match=share, seed=seed)
        for (recipe, run), share in sizes.items()
        for seed in (1, 2)
    ]
    lines = differences_of([Run(folder) for folder in folders], CHOSEN)
    found = {(line.first, line.second, line.metric, line.task): line for line in lines}
    repaired, written = f"repaired {CHOSEN}", f"as_written {CHOSEN}"
    up = found[repaired, written, "exact_match", "all"]
    assert up.difference == 0.5 and up.n == 12 and 0 < up.low < 0.5 < up.high
    assert found["repaired a", "as_written a", "exact_match", "all"].difference == 0
    assert found["as_written a", written, "exact_match", "all"].difference == 0.5
    by_task = [found[repaired, written, "exact_match", task].n for task in ("all", *TASKS)]
    assert by_task == [12, 4, 4, 4]
    executed = {
        task: line.n
        for (first, second, metric, task), line in found.items()
        if (first, second, metric) == ("repaired a", "as_written a", "execution_accuracy")
    }
    assert executed == {"all": 8, "Decomposer": 4, "Refiner": 4}
    page = html.render(differences_page(lines), NOTE)
    assert "+0.50 [" in page and NOTE in page and "as_written a" in page


@pytest.mark.pipeline
def test_the_ablation_is_in_the_report_where_the_configuration_says_so(tmp_path):
    clone = fresh_clone(tmp_path / "essence")
    table = clone.folder / "results/tables/ablation.csv"
    table.parent.mkdir(parents=True)
    table.touch()  # what lies there decides nothing
    without, alone = clone.stale(), clone.stale("ablation")
    clone.edit("config.yaml", "in_report: false", "in_report: true")
    within = clone.stale()
    assert "tabulate_ablation" not in without and within["tabulate_ablation"] == 1
    # a training for each of the four repairs added, for each taken back, and for three controls
    assert within["train"] - without["train"] == 11 and alone["train"] == 13
    assert within["make_random_base"] == 1
    assert "make_claims" in within and "make_claims" not in alone
