"""What repairs are worth: paired over the same rows."""

from pathlib import Path

import pandas as pd
import pytest
import report_files as made
from matplotlib.figure import Figure

from workflow_scripts.errors import EssenceError
from workflow_scripts.report.ablation import CONTROLS, draw_ablation, tabulate_ablation, variants_of
from workflow_scripts.report.models import agent_scores
from workflow_scripts.tables import read_csv

ENDS = ("as_written", "repaired")


def tabulated(root: Path, shares: dict[str, float]) -> tuple[pd.DataFrame, Figure]:
    """ablation.csv and the figure of a run under each recipe, with its share of right answers."""
    runs = [
        made.make_run(root, made.recipe(name), "r", exact_match=share)
        for name, share in shares.items()
    ]
    made.make_tables(root, runs)
    parquet = [root / f"{name}.parquet" for name in ("answers", "scores")]
    files = [root / f"ablation.{kind}" for kind in ("csv", "svg", "png")]
    tabulate_ablation(runs, *parquet, *ENDS, *files)
    table, variants = read_csv(files[0]), variants_of(shares, *ENDS)
    return table, draw_ablation(table, dict(zip(variants.recipe, variants.label, strict=True)))


def of(table: pd.DataFrame, recipe: str, metric: str = "exact_match") -> pd.Series:
    [line] = [
        line for _, line in table[(table.recipe == recipe) & (table.metric == metric)].iterrows()
    ]
    return line


def test_the_ablation_measures_paired_effects_and_compares_controls_with_the_repaired_end(tmp_path):
    shares = {"as_written": 0, "as_written+tokenizer": 0.25, "repaired-tokenizer": 0}
    shares |= {"repaired": 0.5, "repaired~input_of_another_row": 0.25}
    table, figure = tabulated(tmp_path, shares)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "as_written",
        "+ lossless tokenizer (A2)",
        "\N{MINUS SIGN} lossless tokenizer (A2)",
        "repaired",
        CONTROLS,
        "input of another row",
    ]
    assert of(table, "as_written+tokenizer").effect == pytest.approx(3 / 12)
    lost = of(table, "repaired-tokenizer")
    assert lost.effect == pytest.approx(-0.5) and lost.effect_high < 0
    assert lost.artefact == "A2" and lost.change == "-tokenizer"
    # a loss has an effect where both recipes count the same tokens
    assert pd.notna(of(table, "as_written+tokenizer", "loss_per_token").effect)
    assert pd.isna(of(table, "repaired-tokenizer", "loss_per_token").effect)
    assert lost.at_most == 0  # its tokenizer cannot write an answer
    assert of(table, "repaired").at_most == 0.75 and pd.isna(of(table, "repaired").effect)
    control = of(table, "repaired~input_of_another_row")
    assert control.end == "repaired" and control.change == "~input_of_another_row"
    assert pd.isna(control.artefact) and control.low < 0.25 < control.high
    assert control.effect == pytest.approx(-0.25)
    with pytest.raises(EssenceError, match="no run of the recipe repaired"):
        variants_of({"as_written": {}}, *ENDS)


def test_the_agents_are_compared_over_databases_that_were_drawn_whole():
    """Each setup answers 12 questions about 3 databases; on one of them leaving one out costs."""
    outcomes = pd.DataFrame(
        {
            **{"idx": list(range(12)), "db_id": [f"db{place // 4}" for place in range(12)]},
            **{"split": "unseen", "selected": True, "repairs": 0, "right": 1.0},
        }
    )
    fewer = outcomes.assign(right=[1.0] * 8 + [0.0] * 4)
    frames = {"all agents": outcomes, "without Refiner": fewer}
    whole = pd.concat(each.assign(setup=name) for name, each in frames.items())
    unseen, test = (
        agent_scores(whole.assign(split=split)).set_index("setup").loc["without Refiner"]
        for split in ("unseen", "test")
    )
    assert unseen.difference == test.difference == pytest.approx(-1 / 3)
    assert test.difference_high < 0 < unseen.difference_high  # three databases tell little
    assert unseen.low < test.low and unseen.high > test.high
