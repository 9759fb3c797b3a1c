"""The tables of the report on runs with known numbers."""

from itertools import product
from pathlib import Path
from statistics import fmean

import pandas as pd
import pytest
import report_files as made
from matplotlib.figure import Figure

from tools.results_tables import TABLES, filled, results_tables
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import wilson
from workflow_scripts.metrics.score_runs import COLUMNS
from workflow_scripts.report.ablation import CONTROLS, draw_ablation, tabulate_ablation, variants_of
from workflow_scripts.report.frames import BEST, EQUAL_EPOCHS, EQUAL_STEPS
from workflow_scripts.report.frames import select as rows_of
from workflow_scripts.report.means import mean_of_answers, means_over_seeds
from workflow_scripts.report.models import agent_scores, tabulate_models
from workflow_scripts.report.tabulate import differences, equal_steps, quality
from workflow_scripts.tables import (
    OUTCOMES,
    SCORES,
    SEEN,
    read_csv,
    read_table,
    write_csv,
    write_table,
)

CHOSEN = made.CHOSEN


def test_tables_hold_every_number_means_over_seeds_and_what_each_run_was_made_from(tables, runs):
    scores = read_table(runs[0].parents[2] / "scores.parquet", SCORES)
    assert len(read_csv(tables / "results.csv")) == len(scores) > 1000
    of_loss = {"recipe": "as_written", "run": CHOSEN, "metric": "eval_loss", "task": "all"}
    [mean] = rows_of(read_csv(tables / "over_seeds.csv"), **of_loss).itertuples()
    assert mean.seeds == 2 and mean.mean == pytest.approx(fmean(rows_of(scores, **of_loss).value))
    assert mean.low <= mean.mean <= mean.high and mean.over == "seeds"
    summary = read_csv(tables / "summary.csv")
    assert len(summary) == 24 and set(summary.seeds) == {2}
    assert {"eval_loss", "eval_loss_low", "execution_accuracy_test"} <= set(summary)
    table = read_csv(tables / "runs.csv")
    assert len(table) == len(runs) and set(table.epochs) == {"4 of 20"}
    assert set(table.versions) == {"torch 2.13.0 transformers 5.23.0"}
    assert set(table.seconds) == {"load 1, train 12"}


def test_a_mean_of_answers_says_what_it_is_over():
    def mean_of(seeds: list[list[float]], split: str = "test"):
        lines = [
            {"seed": seed, "idx": idx, "exact_match": value, "db_id": f"db{idx % 3}"}
            for seed, values in enumerate(seeds)
            for idx, value in enumerate(values)
        ]
        columns = ["seed", "idx", "exact_match", "db_id"]
        return mean_of_answers(pd.DataFrame(lines, columns=columns).assign(split=split), columns[2])

    one, other = [1.0, 1.0, 0.0, 0.0] * 5, [1.0, 0.0, 0.0, 0.0] * 5
    mean = mean_of([one, other])
    assert (mean.value, mean.over, mean.rows) == (0.375, "rows and seeds", 20)
    lonely = mean_of([one])
    assert (lonely.low, lonely.high) == wilson(10, 20) and lonely.over == "rows"
    unseen = mean_of([one], split="unseen")
    assert unseen.over == "3 databases" and unseen.high - unseen.low > lonely.high - lonely.low
    assert mean_of([one] * 5).low == lonely.low, "seeds that agree tell as much as one"
    assert mean_of([]) is None


def test_a_csv_file_that_does_not_fit_is_named_with_its_column(tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "short.csv").write_text("recipe,end\na,b\n")
    for name, message in (
        ("gone", "no such file"),
        ("empty", "not a CSV file that can be read"),
        ("short", "the column change is missing"),
    ):
        with pytest.raises(EssenceError, match=rf"{name}\.csv: {message}"):
            read_csv(tmp_path / f"{name}.csv", ["recipe", "change"])


def test_runs_are_compared_row_by_row():
    right = {("as_written", CHOSEN): 0, ("as_written", "r"): 0, ("repaired", CHOSEN): 6}
    answers = pd.DataFrame({"idx": range(12), "task": TASKS * 4, "seed": 1, "split": "test"})
    answers = pd.concat(
        answers.assign(recipe=recipe, run=run, exact_match=[1.0] * ones + [0.0] * (12 - ones))
        for (recipe, run), ones in right.items()
    )
    table = differences(answers, CHOSEN)
    assert set(table.metric) == {"exact_match"}, "what was measured"
    assert set(zip(table["first"], table.second, strict=True)) == {
        (f"repaired {CHOSEN}", f"as_written {CHOSEN}"),
        ("as_written r", f"as_written {CHOSEN}"),
    }
    exact = rows_of(table, first=f"repaired {CHOSEN}")
    assert exact.task.tolist() == ["all", *TASKS] and exact.n.iloc[0] == 12
    assert exact.difference.iloc[0] == 0.5 and exact.low.iloc[0] > 0


def test_no_mean_over_seeds_has_an_interval_below_zero_and_facts_of_the_rows_have_none():
    seeds = {"recipe": "r", "run": "r", "split": "val", "task": "all", "seed": [1, 2], "n": 12}
    values = {"eval_loss": [0.1, 0.9], SEEN: [0.0, 0.1], "exact_match_at_most": [0.2, 0.3]}
    scores = pd.concat(pd.DataFrame(seeds | {"metric": metric, "value": value})
                       for metric, value in values.items())  # fmt: skip
    means = means_over_seeds(scores).set_index("metric")
    assert means.low.eval_loss == 0 < means.high.eval_loss and means.over.eval_loss == "seeds"
    assert means.loc[[SEEN, "exact_match_at_most"], ["low", "high"]].isna().all(axis=None)


# --- batch sizes at equal epochs and steps

SMALL = [0.9, 0.5, 0.4, 0.6]


def grid(
    small: list[float], large: list[float], stopped: bool = True, rows: int = 12
) -> dict[str, pd.DataFrame]:
    """Runs and their epochs, of 120 rows each: two seeds of batch 4 and 8, the second worse."""
    runs, epochs = [], []
    for seed, (batch, losses) in product((1, 2), ((4, small), (8, large))):
        run = {"recipe": "repaired", "run": f"exp3_bs{batch}_lr5e-5", "seed": seed}
        for number, loss in enumerate(losses, start=1):
            place = {"task": "all", "epoch": number, "step": number * 120 // batch}
            place |= {"kept": loss == min(losses), "train_loss": 0.2}
            epochs.append(run | place | {"eval_loss": loss * (1 + seed / 100)})
        run |= {"experiment": 3, "batch_size": batch, "learning_rate": 5e-5}
        runs.append(run | {"patience": 2, "stopped_early": stopped, "val_all": rows})
    return {"runs": pd.DataFrame(runs), "epochs": pd.DataFrame(epochs)}


def test_batch_sizes_are_compared_at_equal_epochs_and_at_equal_steps():
    """Batch 4 makes 30 steps an epoch, batch 8 makes 15; both reached epoch 3 and step 45."""
    frames = grid(SMALL, [1.0, 0.8, 0.7])
    frames["runs"].loc[0, "stopped_early"] = False
    table = equal_steps(**frames)
    assert list(zip(table.learning_rate, table.compared, strict=True)) == [
        (rate, place) for rate in ("5e-5", "all") for place in (EQUAL_EPOCHS, EQUAL_STEPS, BEST)
    ]
    # by step 45 batch 4 has ended its first epoch: 0.7 - 0.9; a mean of the seeds is 1.5 % higher
    wanted = {EQUAL_EPOCHS: (0.3, 90), EQUAL_STEPS: (-0.2, 30), BEST: (0.3, 90)}
    for line in table[table.learning_rate == "all"].itertuples():
        difference, steps = wanted[line.compared]
        assert line.difference == pytest.approx(1.015 * difference)
        assert line.low < line.difference < line.high
        assert (line.smaller_steps, line.larger_steps) == (steps, 45)
        assert line.larger_loss - line.smaller_loss == pytest.approx(line.difference)
        assert (line.stopped_early, line.runs, line.seeds) == (3, 4, 2)


# --- single answers, other models, the agents


def test_an_answer_is_exact_exact_as_decoded_cut_off_or_different():
    given = {"exact": (1, 1, 0), "exact as decoded": (0, 1, 1), "cut off": (0, 0, 1)}
    given |= {"different": (0, 0, 0)}
    columns = ["exact_match", "exact_match_decoded", "cut"]
    assert quality(pd.DataFrame(given.values(), columns=columns)).tolist() == list(given)


def test_models_stand_beside_one_another(tmp_path, runs):
    """The agents answer four questions: one rightly with the own run, three with the endpoint."""
    remote = tmp_path / "models/gpt"
    known = {"seconds": 24.0, "input_tokens": 2000, "output_tokens": 300, "cost": 1.25}
    made.answering(12, **known).write(remote / "answering.json")
    made.answering(4, **known).write(remote / "agents/answering.json")
    questions = {"idx": range(4), "setup": "all agents", "split": "test", "selected": False}
    for folder, right in ((tmp_path, [1.0, 0, 0, 0]), (remote / "agents", [1.0, 1, 1, 0])):
        frame = pd.DataFrame(questions | {"repairs": 0, "right": right})
        write_table(folder / "outcomes.parquet", frame, OUTCOMES)
    files = {}
    for name, columns in (("scores", SCORES), ("answers", COLUMNS)):
        files[name] = [tmp_path / f"{kind}_{name}.parquet" for kind in ("best", "endpoint")]
        best = rows_of(read_table(runs[0].parents[2] / f"{name}.parquet", columns), run=CHOSEN)
        write_table(files[name][0], best, columns)
        own = rows_of(best, recipe="repaired", seed=1)
        write_table(files[name][1], own.assign(recipe="endpoint", run="gpt", seed=0), columns)
    runs = [run for run in runs if run.parts[-2] == CHOSEN]
    tabulate_models(
        runs, files["scores"], files["answers"], "standin", "repaired", tmp_path / "models.csv",
        tmp_path / "outcomes.parquet", {str(remote): None}, tmp_path / "agents.csv",
    )  # fmt: skip
    table = read_csv(tmp_path / "models.csv").set_index("feature")
    best = f"repaired: {CHOSEN}"
    assert list(table) == [*(f"{name}: {CHOSEN}" for name in made.RECIPES), "gpt"]
    for feature, of_best, of_gpt in (
        ("Cost of the answers", "none: it runs here",
         "2.50: 16 answers, 4,000 tokens read and 600 written"),
        ("Answers cut, empty or refused", "2 length of 24", "2 length of 16"),
        ("Parameters", "2,700,000", "not known here"),
        ("Selector, F1 of columns (test rows)", *["not measured: no database"] * 2),
        ("End to end, execution accuracy (test rows)", "0.250 [0.046, 0.699], n = 4",
         "0.750 [0.301, 0.954], n = 4"),
        ("All tasks, exact match (test rows)", *["0.250 [0.089, 0.532], n = 12"] * 2),
    ):  # fmt: skip
        assert table.loc[feature, [best, "gpt"]].tolist() == [of_best, of_gpt]
    end_to_end = table.loc["End to end, execution accuracy (test rows)"]
    assert end_to_end[f"as_run: {CHOSEN}"] == "asked of the best run of repaired alone"
    agents = read_csv(tmp_path / "agents.csv")
    assert agents.setup.tolist() == ["all agents"] and agents.value.tolist() == [0.25]


def test_the_agents_are_compared_over_databases_that_were_drawn_whole():
    """Each setup answers 12 questions about 3 databases; on one of them leaving one out costs."""
    asked = pd.DataFrame({"idx": list(range(12)), "db_id": ["db0"] * 4 + ["db1"] * 4 + ["db2"] * 4})
    asked = asked.assign(selected=True, repairs=0)
    whole = pd.concat(
        asked.assign(setup=setup, right=[1.0] * 8 + [last] * 4)
        for setup, last in (("all agents", 1.0), ("without Refiner", 0.0))
    )
    unseen, test = (
        agent_scores(whole.assign(split=split)).set_index("setup").loc["without Refiner"]
        for split in ("unseen", "test")
    )
    assert unseen.difference == test.difference == pytest.approx(-1 / 3)
    assert test.difference_high < 0 < unseen.difference_high  # three databases tell little
    assert unseen.low < test.low and unseen.high > test.high


# --- what repairs are worth

ENDS = ("as_written", "repaired")


def ablated(root: Path, shares: dict[str, float]) -> tuple[pd.DataFrame, Figure]:
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


def test_the_ablation_measures_paired_effects_and_compares_controls_with_the_repaired_end(tmp_path):
    shares = {"as_written": 0, "as_written+tokenizer": 0.25, "repaired-tokenizer": 0}
    shares |= {"repaired": 0.5, "repaired~input_of_another_row": 0.25}
    table, figure = ablated(tmp_path, shares)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "as_written",
        "+ lossless tokenizer (A2)",
        "\N{MINUS SIGN} lossless tokenizer (A2)",
        "repaired",
        CONTROLS,
        "input of another row",
    ]
    exact = rows_of(table, metric="exact_match").set_index("recipe")
    assert exact.effect["as_written+tokenizer"] == pytest.approx(3 / 12)
    lost = exact.loc["repaired-tokenizer"]
    assert lost.effect == pytest.approx(-0.5) and lost.effect_high < 0
    assert lost.artefact == "A2" and lost.change == "-tokenizer"
    # a loss has an effect where both recipes count the same tokens
    losses = rows_of(table, metric="loss_per_token").set_index("recipe").effect
    assert pd.notna(losses["as_written+tokenizer"]) and pd.isna(losses["repaired-tokenizer"])
    assert lost.at_most == 0  # its tokenizer cannot write an answer
    assert exact.at_most["repaired"] == 0.75 and pd.isna(exact.effect["repaired"])
    control = exact.loc["repaired~input_of_another_row"]
    assert control.end == "repaired" and control.change == "~input_of_another_row"
    assert pd.isna(control.artefact) and control.low < 0.25 < control.high
    assert control.effect == pytest.approx(-0.25)
    with pytest.raises(EssenceError, match="no run of the recipe repaired"):
        variants_of({"as_written": {}}, *ENDS)


# --- the tables of docs/results.md


def test_tables_of_the_documents_are_made_again_where_the_run_has_them(tmp_path, tables):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/over_seeds.csv").symlink_to(tables / "over_seeds.csv")
    score = {"setup": "all agents", "split": "test", "n": 30, "value": 0.53, "low": 0.36}
    score |= {"high": 0.7, "difference": None, "difference_low": None, "difference_high": None}
    write_csv(tmp_path / "tables/agents.csv", pd.DataFrame([score]))
    page, names = tmp_path / "page.md", ("runs", "agents", "claims")
    page.write_text(
        "".join(f"<!-- table: {name} -->\nold {name}\n<!-- end -->\n" for name in names)
    )
    results_tables(tmp_path, ["runs", "claims"], page)
    text = page.read_text()
    assert "| repaired | exp3_bs4_lr1e-4 | 0." in text and "| 0.25 [0." in text
    assert "old runs" not in text and "old agents" in text and "old claims" in text
    text = filled(text, tmp_path, TABLES)
    assert "| all agents | test | 30 | 0.53 [0.36, 0.70] | - |" in text and "old claims" in text
