"""The tables of the report: what runs scored, how they differ, and what they were made from.

Everything in results/tables/ but the claims, the agents and the comparison of models is written
here, from the tables of scores and answers and from what each run left in its folder.
"""

from itertools import combinations, product
from pathlib import Path
from typing import Annotated

import pandas as pd

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import difference_over_rows
from workflow_scripts.report.frames import (
    BEST,
    EQUAL_EPOCHS,
    EQUAL_STEPS,
    at_place,
    pairs_of,
    read_epochs,
    read_runs,
)
from workflow_scripts.report.means import (
    ADDRESS,
    LOWER_IS_BETTER,
    TEST_SPLITS,
    by_row_and_seed,
    means_over_seeds,
    over_seeds,
    rate,
)
from workflow_scripts.runs import Provenance
from workflow_scripts.stage import Input, Setting, run_stage
from workflow_scripts.tables import ANSWERS, SCORES, read_table, write_csv

DIGITS = 12  # of a checksum, enough to tell files apart by eye
METRICS = {  # in words
    "eval_loss": "eval loss",
    "loss_per_token": "loss per token",
    "rouge_l": "ROUGE-L",
    "exact_match": "exact match",
    "exact_match_decoded": "exact match with what the tokenizer can write",
    "exact_match_at_most": "highest exact match possible",
    "execution_accuracy": "execution accuracy",
    "execution_accuracy_lenient": "execution accuracy, SQL in any form",
    "answer_in_training": "answer also in training rows",
}
# Metrics that are compared row by row.
COMPARED = ("exact_match", "exact_match_decoded", "rouge_l")
COMPARED += ("execution_accuracy", "execution_accuracy_lenient")
# (metric, split) of the columns of summary.csv.
SUMMARISED = [("eval_loss", "val"), ("loss_per_token", "val")]
SUMMARISED += product(("rouge_l", "exact_match", "exact_match_at_most"), ("val", *TEST_SPLITS))
SUMMARISED += product(("execution_accuracy",), TEST_SPLITS)
HELD_OUT = (*TEST_SPLITS, "val")  # the splits that predictions.csv shows


def summarise(runs: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """summary.csv: one row per run, epochs and scores means over seeds.

    One seed has no intervals here. Columns without a value are left out.
    """
    of_run = runs.groupby(ADDRESS, sort=False)
    summary = of_run[["sampling", "rows", "batch_size", "learning_rate"]].first()
    summary["seeds"] = of_run.size()
    summary[["epochs_done", "best_epoch"]] = of_run[["epochs_done", "best_epoch"]].mean()
    overall = means[means.task == "all"].set_index(ADDRESS)
    for metric, split in SUMMARISED:
        own = overall[(overall.metric == metric) & (overall.split == split)]
        own = own.assign(**own[["low", "high"]].where(own.seeds > 1))
        name = metric if metric in LOWER_IS_BETTER else f"{metric}_{split}"
        summary[[name, f"{name}_low", f"{name}_high"]] = own[["mean", "low", "high"]]
    return summary.dropna(axis=1, how="all").reset_index()


def differences(answers: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """differences.csv: first minus second on the same test rows and seeds, with paired intervals.

    Compared are a run under one recipe with the same run under another, and under each recipe every
    run with the report's choice. Runs without test rows are left out.
    """
    lines, test = [], answers[answers.split == "test"]
    of_run = dict(list(test.groupby(ADDRESS, sort=False)))
    tasks = test.groupby("idx").task.first()
    for metric in COMPARED:
        tables = {address: by_row_and_seed(own, metric) for address, own in of_run.items()}
        measured = [address for address, table in tables.items() if len(table)]
        for first, second in _pairs(measured, chosen):
            one, other = tables[first].align(tables[second], join="inner")
            for task in ("all", *TASKS):
                rows = one.index[(task == "all") | (tasks[one.index] == task)]
                if len(rows) and one.shape[1]:
                    difference = difference_over_rows(one.loc[rows], other.loc[rows])
                    names = (" ".join(first), " ".join(second))
                    lines.append((*names, metric, task, len(rows), *difference))
    columns = ["first", "second", "metric", "task", "n", "difference", "low", "high"]
    return pd.DataFrame(lines, columns=columns)


def _pairs(
    addresses: list[tuple[str, str]], chosen: str
) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """(first, second): the later recipe and the earlier one, a run and the report's choice."""
    recipes = list(dict.fromkeys(recipe for recipe, _ in addresses))
    runs = list(dict.fromkeys(run for _, run in addresses))
    pairs = [
        ((late, run), (early, run)) for run in runs for early, late in combinations(recipes, 2)
    ]
    pairs += [((recipe, run), (recipe, chosen)) for recipe in recipes for run in runs]
    known = set(addresses)
    return [(one, other) for one, other in pairs if one != other and {one, other} <= known]


def equal_steps(runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """equal_steps.csv: evaluation loss of two batch sizes where they can be compared.

    `converged` of the `runs` were stopped by patience; steps are means over pairs of runs.
    Intervals are over seeds: pairs of one seed share their rows, so each seed counts once.
    """
    lines = []
    whole = epochs[epochs.task == "all"]
    for recipe, grid in runs[runs.experiment == 3].groupby("recipe", sort=False):
        for smaller, larger in combinations(sorted(grid.batch_size.unique()), 2):
            pairs = pairs_of(grid, "batch_size", smaller, larger)
            by_rate = {rate(value): of for value, of in pairs.groupby("learning_rate")}
            by_rate["all"] = pairs
            for name, place in product(by_rate, (EQUAL_EPOCHS, EQUAL_STEPS, BEST)):
                names = {*by_rate[name].run_first, *by_rate[name].run_second}
                ended = grid[grid.run.isin(names)].stopped_early
                at = at_place(by_rate[name], whole, place)
                if len(at):
                    line = {"recipe": recipe, "learning_rate": name, "compared": place}
                    line |= {"seeds": at.seed.nunique(), "runs": len(ended)}
                    line |= {"converged": ended.sum()}
                    lines.append(line | _losses_at(at, smaller, larger))
    return pd.DataFrame(lines)


def _losses_at(at: pd.DataFrame, smaller: int, larger: int) -> dict[str, float]:
    """Steps and losses of both sides, and the larger batch minus the smaller."""
    losses = at.groupby("seed")[["eval_loss_first", "eval_loss_second"]].mean()
    line: dict[str, float] = {}
    for side, batch, place in (("smaller", smaller, "first"), ("larger", larger, "second")):
        names = (f"{side}_{name}" for name in ("loss", "low", "high"))
        line |= {side: batch, f"{side}_steps": at[f"step_{place}"].mean()}
        line |= zip(names, over_seeds(losses[f"eval_loss_{place}"].tolist())[:3], strict=True)
    difference = over_seeds((losses.eval_loss_second - losses.eval_loss_first).tolist())
    return line | dict(zip(("difference", "low", "high"), difference[:3], strict=True))


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
    """What each answer is worth, in words.

    "exact": equal to the raw answer but for outer white space. "exact as decoded": equal to what
    the tokenizer can write of it, as the notebooks compared. "cut off": the limit of generated
    tokens was reached.
    """
    words = pd.Series("different", answers.index)
    words[answers.cut.astype(bool)] = "cut off"
    words[answers.exact_match_decoded == 1] = "exact as decoded"
    words[answers.exact_match == 1] = "exact"
    return words


def list_predictions(answers: pd.DataFrame) -> pd.DataFrame:
    """predictions.csv: every answer on rows that its run was not trained on, beside the right one.

    `executed`: the verdict on its SQL; a Selector's answer has none, it writes no SQL.
    """
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
    frame, epochs = read_runs(runs), read_epochs(runs)
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
