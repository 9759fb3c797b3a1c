"""The tables of the report on runs with known numbers."""

from pathlib import Path
from statistics import fmean

import pandas as pd
import pytest
import report_files as made

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import wilson
from workflow_scripts.metrics.score_runs import COLUMNS
from workflow_scripts.report.choose_best import choose_best
from workflow_scripts.report.frames import (
    BEST,
    EQUAL_EPOCHS,
    EQUAL_STEPS,
    read_epochs,
    read_runs,
    select,
)
from workflow_scripts.report.means import mean_of_answers
from workflow_scripts.report.models import tabulate_models
from workflow_scripts.report.tabulate import differences, equal_steps, quality
from workflow_scripts.runs import Training
from workflow_scripts.tables import (
    ANSWERS,
    OUTCOMES,
    PREDICTIONS,
    SCORES,
    read_csv,
    read_rows,
    read_table,
    write_table,
)

CHOSEN = "exp3_bs4_lr1e-4"


def made_tables(folder: Path, runs: list[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    made.make_tables(folder, runs)
    return read_table(folder / "answers.parquet", ANSWERS), read_table(
        folder / "scores.parquet", SCORES
    )


def test_results_hold_every_number_and_means_over_seeds(tables, runs):
    scores = read_table(runs[0].parents[2] / "scores.parquet", SCORES)
    assert len(read_csv(tables / "results.csv")) == len(scores) > 1000
    losses = select(scores, recipe="as_written", run=CHOSEN, metric="eval_loss", task="all").value
    means = read_csv(tables / "over_seeds.csv")
    of_loss = {"metric": "eval_loss", "task": "all"}
    [mean] = select(means, recipe="as_written", run=CHOSEN, **of_loss).itertuples()
    assert mean.seeds == 2 and mean.mean == pytest.approx(fmean(losses))
    assert mean.low <= mean.mean <= mean.high and mean.over == "seeds"
    summary = read_csv(tables / "summary.csv")
    assert len(summary) == 24 and set(summary.seeds) == {2}
    assert {"eval_loss", "eval_loss_low", "execution_accuracy_test"} <= set(summary)


def answers_of(values: list[list[float]], split: str = "test", **more) -> pd.DataFrame:
    """Answers of one run: a list of values per seed."""
    lines = [
        {"seed": seed, "idx": idx, "exact_match": value, "db_id": f"db{idx % 3}"}
        for seed, own in enumerate(values)
        for idx, value in enumerate(own)
    ]
    return pd.DataFrame(lines).assign(split=split, **more)


def test_a_mean_of_answers_says_what_it_is_over():
    seeds = [[1.0, 1.0, 0.0, 0.0] * 5, [1.0, 0.0, 0.0, 0.0] * 5]
    one, several = answers_of(seeds[:1]), answers_of(seeds)
    mean = mean_of_answers(several, "exact_match")
    assert (mean.value, mean.over, mean.rows) == (0.375, "rows and seeds", 20)
    lonely = mean_of_answers(one, "exact_match")
    assert (lonely.low, lonely.high) == wilson(10, 20) and lonely.over == "rows"
    unseen = mean_of_answers(one.assign(split="unseen"), "exact_match")
    assert unseen.over == "3 databases" and unseen.high - unseen.low > lonely.high - lonely.low
    # seeds that agree tell as much as one
    assert mean_of_answers(answers_of(seeds[:1] * 5), "exact_match").low == lonely.low
    assert mean_of_answers(one[:0], "exact_match") is None


def test_the_table_of_runs_says_what_each_was_made_from(tables, runs):
    table = read_csv(tables / "runs.csv")
    assert len(table) == len(runs) and set(table.epochs) == {"4 of 20"}
    assert set(table.versions) == {"torch 2.13.0 transformers 5.23.0"}
    assert set(table.seconds) == {"load 1, train 12"}


def test_a_csv_file_that_does_not_fit_is_named_with_its_column(tmp_path):
    file = tmp_path / "ablation.csv"
    for text, message in (
        (None, r"ablation\.csv: no such file"),
        ("", r"ablation\.csv: not a CSV file that can be read"),
        ("recipe,end\na,b\n", r"ablation\.csv: the column change is missing"),
    ):
        if text is not None:
            file.write_text(text)
        with pytest.raises(EssenceError, match=message):
            read_csv(file, ["recipe", "change"])


# --- runs, best runs


def test_the_best_run_has_the_lowest_mean_loss_on_its_validation_rows(runs, tmp_path):
    choose_best(runs, tmp_path / "best_runs.json")
    best = read_json(tmp_path / "best_runs.json")["recipes"]
    assert list(best) == ["as_run", "as_written", "repaired"]
    for recipe, each in best.items():
        assert (each["recipe"], each["run"], each["seed"]) == (recipe, CHOSEN, 1)
        values = [one["value"] for one in each["ranking"]]
        assert values == sorted(values) and len(values) == 8


# --- differences


def test_runs_are_compared_row_by_row(tmp_path):
    runs = [
        made.make_run(tmp_path, made.recipe(name), run, exact_match=share)
        for name, run, share in (
            ("as_written", CHOSEN, 0),
            ("as_written", "r", 0),
            ("repaired", CHOSEN, 0.5),
        )
    ]
    table = differences(made_tables(tmp_path, runs)[0], CHOSEN)
    measured = {"exact_match", "exact_match_decoded", "rouge_l", "execution_accuracy"}
    assert set(table.metric) == measured
    assert set(zip(table["first"], table.second, strict=True)) == {
        (f"repaired {CHOSEN}", f"as_written {CHOSEN}"),
        ("as_written r", f"as_written {CHOSEN}"),
    }
    exact = table[(table.metric == "exact_match") & (table["first"] == f"repaired {CHOSEN}")]
    assert exact.task.tolist() == ["all", *TASKS]
    assert exact.difference.iloc[0] == 0.5 and exact.low.iloc[0] > 0 and exact.n.iloc[0] == 12


# --- batch sizes at equal epochs and steps

SMALL = [0.9, 0.5, 0.4, 0.6]


def trained(
    root: Path, seed: int, batch: int, losses: list[float], converged: bool = True, rows: int = 12
) -> Path:
    """A run with these evaluation losses, 120 rows an epoch, and a training loss of 0.2."""
    name = f"exp3_bs{batch}_lr5e-5"
    settings = {"seed": seed, "batch_size": batch, "epochs": len(losses), "test_rows": 1}
    folder = made.make_run(root, made.recipe("repaired"), name, **settings)
    training = Training.read(folder / "training.json")
    epochs = [
        epoch.model_copy(
            update={"step": epoch.epoch * 120 // batch, "eval_loss": loss, "train_loss": 0.2}
        )
        for epoch, loss in zip(training.epochs, losses, strict=True)
    ]
    best = min(epochs, key=lambda epoch: epoch.eval_loss).step
    counts = dict.fromkeys(("val", "train"), dict.fromkeys(("all", *TASKS), rows))
    changed = {"epochs": epochs, "best_step": best, "stopped_early": converged, "rows": counts}
    training.model_copy(update=changed).write(folder / "training.json")
    return folder


def grid(root: Path, small: list[float], large: list[float], **more) -> list[Path]:
    """Two seeds of batch 4 and of batch 8, the second a little worse."""
    return [
        trained(root, seed, batch, [loss * (1 + seed / 100) for loss in losses], **more)
        for seed in (1, 2)
        for batch, losses in ((4, small), (8, large))
    ]


def test_batch_sizes_are_compared_at_equal_epochs_and_at_equal_steps(tmp_path):
    """Batch 4 makes 30 steps an epoch, batch 8 makes 15; both reached epoch 3 and step 45."""
    runs = grid(tmp_path, SMALL, [1.0, 0.8, 0.7])
    runs[0] = trained(tmp_path, 1, 4, [loss * 1.01 for loss in SMALL], converged=False)
    table = equal_steps(read_runs(runs), read_epochs(runs))
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
        assert (line.converged, line.runs, line.seeds) == (3, 4, 2)


# --- single answers, other models


def test_an_answer_is_exact_exact_as_decoded_cut_off_or_different(tmp_path):
    folder = made.make_run(tmp_path, made.recipe("repaired"), "r")
    answer = read_rows(folder / "predictions.parquet", PREDICTIONS)[0]
    answer = answer._replace(gold="```a <b```", gold_decoded="a b")
    given = [(" ```a <b```\n", False), ("a b", False), ("a", True), ("a", False)]
    answers = [
        answer._replace(idx=place, prediction=text, cut=cut)
        for place, (text, cut) in enumerate(given)
    ]
    write_table(folder / "predictions.parquet", answers, PREDICTIONS)
    words = ["exact", "exact as decoded", "cut off", "different"]
    assert quality(made_tables(tmp_path, [folder])[0]).tolist() == words


def outcomes(path: Path, right: int) -> Path:
    """outcomes.parquet of questions of which so many were answered rightly, by all agents."""
    frame = pd.DataFrame({"idx": range(4), "right": [1.0] * right + [0.0] * (4 - right)})
    frame = frame.assign(setup="all agents", split="test", selected=False, repairs=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, frame, OUTCOMES)
    return path


def test_models_stand_beside_one_another(tmp_path, runs):
    remote = tmp_path / "models/gpt"
    outcomes(remote / "agents/outcomes.parquet", right=3)
    known = {"seconds": 24.0, "input_tokens": 2000, "output_tokens": 300, "cost": 1.25}
    made.answering(12, **known).write(remote / "answering.json")
    made.answering(4, **known).write(remote / "agents/answering.json")
    root = runs[0].parents[2]
    for name, columns in (("scores", SCORES), ("answers", COLUMNS)):
        own = read_table(root / f"{name}.parquet", columns)
        own = select(own, recipe="repaired", run="exp1_natural", seed=1)
        own = own.assign(recipe="endpoint", run="gpt", seed=0)
        write_table(tmp_path / f"{name}.parquet", own, columns)
    tabulate_models(
        runs, [root / "scores.parquet", tmp_path / "scores.parquet"],
        [root / "answers.parquet", tmp_path / "answers.parquet"],
        "standin", "repaired", tmp_path / "models.csv",
        outcomes(tmp_path / "outcomes.parquet", right=1),
        {str(remote): None}, tmp_path / "agents.csv",
    )  # fmt: skip
    table = read_csv(tmp_path / "models.csv").set_index("feature")
    assert list(table) == [*(f"{name}: {CHOSEN}" for name in made.RECIPES), "gpt"]
    end_to_end = table.loc["End to end, execution accuracy (test rows)"]
    assert end_to_end[f"repaired: {CHOSEN}"].startswith("0.250 [")
    assert end_to_end["gpt"].startswith("0.750 [") and end_to_end["gpt"].endswith("n = 4")
    assert end_to_end[f"as_run: {CHOSEN}"] == "asked of the best run of repaired alone"
    exact = table.loc["All tasks, exact match (test rows)"][f"repaired: {CHOSEN}"]
    assert exact.startswith("0.250 [") and exact.endswith("n = 12")
    cost = table.loc["Cost of the answers"]
    assert cost["gpt"] == "2.50: 16 answers, 4,000 tokens read and 600 written"
    assert cost[f"repaired: {CHOSEN}"] == "none: it runs here"
    ended = table.loc["Answers cut, empty or refused"]
    assert (ended["gpt"], ended[f"repaired: {CHOSEN}"]) == ("2 length of 16", "2 length of 24")
    assert table.loc["Parameters"]["gpt"] == "not known here"
    selector = table.loc["Selector, F1 of columns (test rows)"]
    assert selector[f"repaired: {CHOSEN}"] == "not measured: no database"
    agents = read_csv(tmp_path / "agents.csv")
    assert agents.setup.tolist() == ["all agents"] and agents.value.tolist() == [0.25]
