"""The tables of the report: what runs scored, how they differ, and what they were made from."""

from itertools import combinations, product
from pathlib import Path
from typing import Annotated

import pandas as pd

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import difference_over_rows
from workflow_scripts.report import frames
from workflow_scripts.report.frames import BEST, EQUAL_EPOCHS, EQUAL_STEPS, select
from workflow_scripts.report.means import (
    ADDRESS,
    LOWER_IS_BETTER,
    by_row_and_seed,
    means_over_seeds,
    over_seeds,
    rate,
)
from workflow_scripts.runs import Provenance
from workflow_scripts.settings import TEST_SPLITS
from workflow_scripts.stage import Input, Setting, run_stage
from workflow_scripts.tables import ANSWERS, SCORES, read_table, write_csv

DIGITS = 12  # of a checksum, enough to tell files apart by eye
# Metrics that are compared row by row.
COMPARED = ("exact_match", "exact_match_decoded", "rouge_l", "execution_accuracy",
            "execution_accuracy_lenient")  # fmt: skip
# (metric, split) of the columns of summary.csv.
SUMMARISED = [("eval_loss", "val"), ("loss_per_token", "val")]
SUMMARISED += product(("rouge_l", "exact_match", "exact_match_at_most"), ("val", *TEST_SPLITS))
SUMMARISED += product(("execution_accuracy",), TEST_SPLITS)
HELD_OUT = (*TEST_SPLITS, "val")  # the splits that predictions.csv shows


def summarise(runs: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """summary.csv: one row per run; one seed has no intervals, no column is without a value."""
    of_run = runs.groupby(ADDRESS, sort=False)
    summary = of_run[["sampling", "rows", "batch_size", "learning_rate"]].first()
    summary["seeds"] = of_run.size()
    summary[["epochs_done", "best_epoch"]] = of_run[["epochs_done", "best_epoch"]].mean()
    for metric, split in SUMMARISED:
        own = select(means, task="all", metric=metric, split=split).set_index(ADDRESS)
        own = own.assign(**own[["low", "high"]].where(own.seeds > 1))
        name = metric if metric in LOWER_IS_BETTER else f"{metric}_{split}"
        summary[[name, f"{name}_low", f"{name}_high"]] = own[["mean", "low", "high"]]
    return summary.dropna(axis=1, how="all").reset_index()


def differences(answers: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """differences.csv: first minus second on the same test rows and seeds, with paired intervals.

    Compared are a run under one recipe with the same run under another, and under each recipe every
    run with the report's choice.
    """
    lines, test = [], select(answers, split="test")
    of_run = dict(list(test.groupby(ADDRESS, sort=False)))
    tasks = test.groupby("idx").task.first()
    recipes, runs = (list(test[name].unique()) for name in ADDRESS)
    pairs = [((b, run), (a, run)) for run in runs for a, b in combinations(recipes, 2)]
    pairs += [((recipe, run), (recipe, chosen)) for recipe in recipes for run in runs]
    of_run = {address: by_row_and_seed(own, COMPARED) for address, own in of_run.items()}
    for metric in COMPARED:
        tables = {address: of_metric[metric] for address, of_metric in of_run.items()}
        known = {address for address, table in tables.items() if len(table)}
        for first, second in pairs:
            if first == second or not {first, second} <= known:
                continue
            one, other = tables[first].align(tables[second], join="inner")
            for task in ("all", *TASKS):
                rows = one.index[(task == "all") | (tasks[one.index] == task)]
                if len(rows) and one.shape[1]:
                    difference = difference_over_rows(one.loc[rows], other.loc[rows])
                    names = (" ".join(first), " ".join(second))
                    lines.append((*names, metric, task, len(rows), *difference))
    columns = ["first", "second", "metric", "task", "n", "difference", "low", "high"]
    return pd.DataFrame(lines, columns=columns)


def equal_steps(runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """equal_steps.csv: losses of two batch sizes, over seeds: pairs of one share their rows."""
    lines, whole = [], select(epochs, task="all")
    for recipe, grid in select(runs, experiment=3).groupby("recipe", sort=False):
        for smaller, larger in combinations(sorted(grid.batch_size.unique()), 2):
            pairs = frames.pairs_of(grid, "batch_size", smaller, larger)
            by_rate = {rate(value): of for value, of in pairs.groupby("learning_rate")}
            by_rate["all"] = pairs
            for name, place in product(by_rate, (EQUAL_EPOCHS, EQUAL_STEPS, BEST)):
                of_rate = by_rate[name]
                ended = grid[grid.run.isin([*of_rate.run_first, *of_rate.run_second])].stopped_early
                at = frames.at_place(of_rate, whole, place)
                if at.empty:
                    continue
                losses = at.groupby("seed")[["eval_loss_first", "eval_loss_second"]].mean()
                one, other = losses.eval_loss_first, losses.eval_loss_second
                lines.append(
                    (recipe, name, place, len(losses), len(ended), ended.sum(),
                     smaller, at.step_first.mean(), *over_seeds(one.tolist())[:3],
                     larger, at.step_second.mean(), *over_seeds(other.tolist())[:3],
                     *over_seeds((other - one).tolist())[:3])
                )  # fmt: skip
    columns = "recipe learning_rate compared seeds runs stopped_early smaller smaller_steps "
    columns += "smaller_loss smaller_low smaller_high larger larger_steps larger_loss larger_low "
    columns += "larger_high difference low high"
    return pd.DataFrame(lines, columns=columns.split())


def list_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """runs.csv: what each number was made from, and what it cost; the only table with times."""
    lines = []
    for run in runs.itertuples():
        facts = Provenance.read(Path(run.folder) / "provenance.json")
        drawn = run.train_all + run.val_all  # fewer than wanted where there are no more
        source = facts.base.source
        changed = " + changes" * bool(facts.git.dirty)
        line = {
            **{"recipe": run.recipe, "run": run.run, "seed": run.seed},
            **{"fingerprint": facts.fingerprint, "sampling": run.sampling},
            "rows": run.rows if drawn == run.rows else f"{drawn} of {run.rows}",
            **{"batch_size": run.batch_size, "learning_rate": rate(run.learning_rate)},
            "epochs": f"{run.epochs_done} of {run.epochs}",
            **{"stopped_early": "yes" if run.stopped_early else "no", "steps": run.steps_done},
            **{"base": facts.base.folder, "base_digest": facts.base.digest[:DIGITS]},
            "base_commit": source.commit[:DIGITS] if source else "none",
            **{f"{part}_sha256": facts.data[part][:DIGITS] for part in ("train", "val")},
            **{"model_sha256": facts.model.sha256[:DIGITS], "code": facts.code[:DIGITS]},
            "lock": (facts.lock or "none")[:DIGITS],
            "commit": (facts.git.commit or "unknown")[:DIGITS] + changed,
            "versions": " ".join(f"{name} {value}" for name, value in facts.versions.items()),
            "device": f"{facts.device.kind}, {facts.device.precision}",
            "seconds": ", ".join(f"{part} {took:.0f}" for part, took in facts.seconds.items()),
            "peak_memory_mib": facts.peak_memory_mib,
        }
        lines.append(line)
    return pd.DataFrame(lines)


def quality(answers: pd.DataFrame) -> pd.Series:
    """What each answer is worth, in words; "exact as decoded": as the notebooks compared."""
    words = pd.Series("different", answers.index)
    words[answers.cut.astype(bool)] = "cut off"
    words[answers.exact_match_decoded == 1] = "exact as decoded"
    words[answers.exact_match == 1] = "exact"
    return words


def list_predictions(answers: pd.DataFrame) -> pd.DataFrame:
    """predictions.csv: every answer on held-out rows; a Selector writes no SQL to execute."""
    shown = answers[answers.split.isin(HELD_OUT)]
    columns = ["recipe", "run", "seed", "split", "idx", "task", "db_id", "question", "gold"]
    table = shown[[*columns, "prediction"]].assign(quality=quality(shown))
    writes_sql = shown.task != "Selector"
    return table.assign(
        executed=shown.verdict.where(writes_sql), error=shown.error.where(writes_sql)
    )


def tabulate(
    runs: Annotated[list[Path], Setting("folders of all runs")],
    answers: Annotated[Path, Input("answers.parquet")],
    scores: Annotated[Path, Input("scores.parquet")],
    published: Annotated[dict, Input("resources/published.json: the report's choice")],
    folder: Annotated[Path, Setting("where the tables go")],
) -> None:
    frame, epochs = frames.read_runs(runs), frames.read_epochs(runs)
    of_answers, numbers = read_table(answers, ANSWERS), read_table(scores, SCORES)
    means = means_over_seeds(numbers, of_answers)
    tables = {
        "results": numbers,
        "over_seeds": means,
        "summary": summarise(frame, means),
        "differences": differences(of_answers, published["text"]["chosen_run"]),
        "equal_steps": equal_steps(frame, epochs),
        "runs": list_runs(frame),
        "predictions": list_predictions(of_answers),
    }
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table)


if __name__ == "__main__":
    run_stage(tabulate)
