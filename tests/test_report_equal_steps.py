"""Trainings side by side: batch sizes at equal epochs and steps, and when a claim is judged."""

import csv
import re
from pathlib import Path

import pytest
import report_files as made

from workflow_scripts.artifacts.claims import Doubt, Doubtful, Finding
from workflow_scripts.artifacts.runs import Training
from workflow_scripts.report.claims.comparison import compare, compare_batches
from workflow_scripts.report.claims.outcome import LEAST_ROWS, Outcome
from workflow_scripts.report.equal_steps import At, mean_by_seed, pairs_by
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import Run, over_seeds
from workflow_scripts.report.tables.equal_steps import tabulate_equal_steps

SMALL = [0.9, 0.5, 0.4, 0.6]


def trained(
    root: Path, seed: int, batch: int, losses: list[float], converged=True, rows=LEAST_ROWS
) -> Run:
    """A run with these evaluation losses, 120 rows an epoch, and a training loss of 0.2."""
    name = f"exp3_bs{batch}_lr5e-5"
    folder = made.make_run(
        root, made.recipe("repaired"), name, seed=seed, batch_size=batch, epochs=len(losses)
    )
    training = Training.read(folder / "training.json")
    epochs = [
        epoch.model_copy(
            update={"step": epoch.epoch * 120 // batch, "eval_loss": loss, "train_loss": 0.2}
        )
        for epoch, loss in zip(training.epochs, losses, strict=True)
    ]
    best = min(epochs, key=lambda epoch: epoch.eval_loss).step
    counts = {"val": {"all": rows}, "train": {"all": 60}}
    changed = {"epochs": epochs, "best_step": best, "stopped_early": converged, "rows": counts}
    training.model_copy(update=changed).write(folder / "training.json")
    return Run(folder)


def batch_claim(runs: list[Run]) -> Outcome:
    pairs = pairs_by(runs, "batch_size", 8, 4)
    return compare_batches("loss", pairs, lambda epoch: epoch.eval_loss, At.BEST)


def grids(root: Path, small: list[float], large: list[float], **more) -> list[Run]:
    """Two seeds of batch 4 and of batch 8, the second a little worse."""
    return [
        trained(root, seed, batch, [loss * (1 + seed / 100) for loss in losses], **more)
        for seed in (1, 2)
        for batch, losses in ((4, small), (8, large))
    ]


def test_batch_sizes_are_compared_at_equal_epochs_and_at_equal_steps(tmp_path):
    """Batch 4 makes 30 steps an epoch, batch 8 makes 15; both reached epoch 3 and step 45."""
    outcome = batch_claim(grids(tmp_path, SMALL, [1.0, 0.8, 0.7]))
    assert outcome.finding == Finding.OPEN and outcome.doubt.reason == Doubtful.OPPOSED
    shown = re.findall(r"(-?\d\.\d+) \[[^]]*\] \(([a-z ]+)\)", outcome.text)
    # by step 45 batch 4 has ended its first epoch: 0.7 - 0.9; a mean of the seeds is 1.5 % higher
    wanted = {"best epochs": 0.3, "equal epochs": 0.3, "equal steps": -0.2}
    assert {at: float(number) for number, at in shown} == pytest.approx(
        {at: 1.015 * number for at, number in wanted.items()}, abs=1e-3
    )


@pytest.mark.parametrize(
    ("large", "converged", "rows", "finding", "doubt"),
    [
        ([1.2, 1.1, 1.0], True, LEAST_ROWS, Finding.HOLDS, ""),
        ([0.3, 0.2, 0.1], True, LEAST_ROWS, Finding.FAILS, ""),
        ([1.2, 1.1, 1.0], False, LEAST_ROWS, Finding.OPEN, "4 of 4 runs had not converged"),
        ([1.2, 1.1, 1.0], True, LEAST_ROWS - 1, Finding.OPEN, "too few rows (11)"),
        # at the end 0.8 - 0.4, at equal steps 0.8 - 0.9
        ([0.9, 0.85, 0.8], True, LEAST_ROWS, Finding.OPEN, str(Doubt(reason=Doubtful.OPPOSED))),
    ],
)
def test_a_claim_on_batch_sizes_is_judged_where_both_had_converged(
    tmp_path, large, converged, rows, finding, doubt
):
    outcome = batch_claim(grids(tmp_path, SMALL, large, converged=converged, rows=rows))
    assert outcome.finding == finding and str(outcome.doubt or "") == doubt


def test_one_run_of_one_seed_that_was_still_learning_leaves_a_claim_open(tmp_path):
    runs = grids(tmp_path, [0.5, 0.4], [1.0, 0.9])
    pairs = pairs_by(runs, "batch_size", 8, 4)

    def loss(run: Run) -> float:
        return run.training.best.eval_loss

    assert compare("", pairs, loss).finding == Finding.HOLDS
    other = trained(tmp_path / "other", 1, 4, [0.5, 0.4], converged=False)
    assert compare("", pairs, loss, among=runs).finding == Finding.HOLDS
    assert "1 of 5 runs" in str(compare("", pairs, loss, among=[*runs, other]).doubt)
    late = trained(tmp_path, 2, 4, [0.5, 0.4], converged=False)
    still = pairs_by([*runs[:2], late, runs[3]], "batch_size", 8, 4)
    assert str(compare("", still, loss).doubt) == "1 of 4 runs had not converged"
    few = compare("", pairs, loss, rows=lambda run: 1 if run.seed == 2 else LEAST_ROWS)
    assert str(few.doubt) == "too few rows (1)"


def test_pairs_of_one_seed_count_once_and_one_seed_decides_nothing(tmp_path):
    values = [(1, 0.25), (1, 0.75), (2, 0.5), (2, 1.0)]
    assert mean_by_seed(values) == over_seeds([0.5, 0.75])
    alone = batch_claim(grids(tmp_path, SMALL, [1.2, 1.1])[:2])
    assert alone.text.endswith("(no interval)") and alone.finding == Finding.NOT_MEASURED


def test_equal_steps_before_the_first_evaluation_are_not_compared(tmp_path):
    """Batch 8 stops at step 15, before batch 4 has ended its first epoch."""
    outcome = batch_claim(grids(tmp_path, [0.9, 0.5], [1.0]))
    assert "equal epochs" in outcome.text and "equal steps" not in outcome.text
    assert outcome.finding == Finding.HOLDS


def test_the_table_shows_what_the_claim_is_judged_by(tmp_path):
    table = tmp_path / "equal_steps.csv"
    runs = grids(tmp_path, SMALL, [1.0, 0.8, 0.7])
    runs[0] = trained(tmp_path, 1, 4, [loss * 1.01 for loss in SMALL], converged=False)
    page = html.render(tabulate_equal_steps(runs, table), "")
    with open(table, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["learning_rate"], line["compared"]) for line in lines] == [
        (rate, at)
        for rate in ("5e-5", "all")
        for at in ("equal epochs", "equal steps", "best epochs")
    ]
    by_place = {line["compared"]: line for line in lines}
    claimed = batch_claim(runs).text
    for at, steps in (("equal epochs", 90), ("equal steps", 30), ("best epochs", 90)):
        line = by_place[at]
        limits = [float(line[name]) for name in ("difference", "low", "high")]
        assert "{:.3f} [{:.3f}, {:.3f}] ({})".format(*limits, at) in claimed
        assert (float(line["smaller_steps"]), float(line["larger_steps"])) == (steps, 45)
        apart = float(line["larger_loss"]) - float(line["smaller_loss"])
        assert apart == pytest.approx(limits[0])
        assert (line["converged"], line["runs"], line["seeds"]) == ("3", "4", "2")
    assert "3 of 4" in page and "equal steps" in page


def test_a_grid_of_one_batch_size_has_an_empty_table(tmp_path):
    table = tmp_path / "equal_steps.csv"
    tabulate_equal_steps([trained(tmp_path, 1, 4, SMALL)], table)
    assert len(table.read_text().splitlines()) == 1
