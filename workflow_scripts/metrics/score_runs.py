"""Score the answers of all runs at once: the tables `answers` and `scores` (tables.py).

Text is compared with the right answer as it is, and as the run's tokenizer can write it
(`*_decoded`), which is what the notebooks compared with. The SQL of the Decomposer and the Refiner
is executed on the database that its row is linked to. `sql_exact_match` compares SQL with SQL where
`exact_match` compares whole answers. Losses are those of the epoch that a run kept.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.data.groups import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import extract_sql, sql_as_asked
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.metrics.decomposer import decomposer_metrics
from workflow_scripts.metrics.execution_verdicts import (
    REPEAT,
    Case,
    execution_accuracies,
    verdicts_on,
)
from workflow_scripts.metrics.failing_golds import failing_golds, warning
from workflow_scripts.metrics.hardness import hardness
from workflow_scripts.metrics.refiner import refiner_metrics
from workflow_scripts.metrics.selector import selector_metrics
from workflow_scripts.runs import Training
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import (
    ANSWERS,
    COUNT,
    RUN,
    SCORES,
    SEEN,
    SQL_METRICS,
    TASK_METRICS,
    TEXT,
    TEXT_METRICS,
    clusters_of,
    read_table,
    write_table,
)
from workflow_scripts.text.similarity import exact_match, rouge_l

SIMILARITIES = {"rouge_l": rouge_l, "exact_match": exact_match}
LOSSES = ("eval_loss", "loss_per_token")
PREDICTED = {  # the columns of predictions.parquet
    name: ANSWERS[name]
    for name in ANSWERS
    if name in ("split", "idx", "task", "db_id", "question", "gold", "gold_decoded", "prediction")
    or name in ("prediction_tokens", "cut", "input", "reachable")
}
SUBJECT = {
    **{"idx": COUNT, "question": TEXT, "schema": TEXT, "gold_sql": TEXT, "old_sql": TEXT},
    **{"database": TEXT, "how": TEXT},
}


def address_of(folder: Path) -> dict[str, Any]:
    """Recipe, run and seed of results/runs/<recipe>/<run>/seed<k>, or of results/models/<name>."""
    if folder.parent.name == "models":
        return {"recipe": "endpoint", "run": folder.name, "seed": 0}
    recipe, run, seed = folder.parts[-3:]
    return {"recipe": recipe, "run": run, "seed": int(seed.removeprefix("seed"))}


def read_answers(folders: list[Path]) -> pd.DataFrame:
    """The predictions of all runs. Raises EssenceError where a run has none."""
    frames = []
    for folder in folders:
        frame = read_table(folder / "predictions.parquet", PREDICTED)
        if frame.empty:
            raise EssenceError(f"{folder}/predictions.parquet: no answers in it. Predict again.")
        frames.append(frame.assign(**address_of(folder)))
    return pd.concat(frames, ignore_index=True)


def add_text_metrics(answers: pd.DataFrame) -> None:
    for metric in TEXT_METRICS:
        similarity = SIMILARITIES[metric.removesuffix("_decoded")]
        reference = "gold_decoded" if metric.endswith("_decoded") else "gold"
        pairs = zip(answers.prediction, answers[reference], strict=True)
        answers[metric] = [similarity(prediction, gold) for prediction, gold in pairs]


def add_seen(answers: pd.DataFrame, training_rows: dict[Path, Path]) -> None:
    """Mark held-out answers that are also, to the letter, the answer to a training row.

    `training_rows`: folder of a run -> its own training rows; rows that a run before it was trained
    on are not counted.
    """
    of_run = {tuple(address_of(folder).values()): file for folder, file in training_rows.items()}
    known = {file: set(read_table(file, {"target": TEXT}).target) for file in of_run.values()}
    for address, rows in answers[answers.split != "train"].groupby(list(RUN)):
        if address in of_run:
            seen = rows.gold.isin(known[of_run[address]])
            answers.loc[rows.index, SEEN] = seen.astype(float)


def read_subjects(rows: Path, databases: Path) -> pd.DataFrame:
    """What each row is about, by idx: its schema, gold SQL and database.

    `asked_sql`: the gold SQL of the question, from any row that has one (a Selector's has none).
    """
    subjects = read_table(rows, SUBJECT)
    files = {name: find_database(databases, name) for name in subjects.database.dropna().unique()}
    subjects["file"] = subjects.database.map(files).astype(object)
    question = subjects.question.map(comparable_text)
    golds = subjects.gold_sql.groupby(question).first()
    subjects["asked_sql"] = question.map(golds)
    return subjects.set_index("idx")


def subjects_of(answers: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """The subject of each answer. Raises EssenceError for a row that is not among them."""
    unknown = answers.idx[~answers.idx.isin(subjects.index)]
    if len(unknown):
        raise EssenceError(
            f"predictions: row idx {unknown.iloc[0]} is not among the rows; predict again from the "
            "same rows.parquet"
        )
    return subjects.loc[answers.idx].set_axis(answers.index)


def judge(answers: pd.DataFrame, sandbox: CachedSandbox, repeat: int) -> pd.DataFrame:
    """Verdict and metrics of each answer, whose subject stands beside it."""
    records = answers.astype(object).where(answers.notna(), None).to_dict("records")
    queries = [each for each in records if each["task"] != "Selector"]
    judged = iter(judge_queries(queries, sandbox, repeat))
    lines = [
        judge_selection(each) if each["task"] == "Selector" else next(judged) for each in records
    ]
    return pd.DataFrame(lines, index=answers.index)


def judge_queries(
    answers: list[dict[str, Any]], sandbox: CachedSandbox, repeat: int
) -> Iterator[dict[str, Any]]:
    """The Decomposer's and the Refiner's answers; a repair is compared with the old SQL too."""

    def cases(statements: list[str | None]) -> list[Case]:
        pairs = zip(answers, statements, strict=True)
        return [Case(each["gold_sql"], sql, each["file"]) for each, sql in pairs]

    strict = [sql_as_asked(each["prediction"], each["gold"]) for each in answers]
    verdicts = verdicts_on(cases(strict), sandbox, repeat)
    lenient = [extract_sql(each["prediction"], lenient=True) for each in answers]
    accuracies = execution_accuracies(cases(lenient), sandbox)
    repairs = [each for each in answers if each["task"] == "Refiner"]
    broken = [Case(each["gold_sql"], each["old_sql"], each["file"]) for each in repairs]
    old_verdicts = iter(verdicts_on(broken, sandbox, repeat=0))
    for answer, verdict, accuracy in zip(answers, verdicts, accuracies, strict=True):
        line = {"linked_rate": float(answer["file"] is not None), **asdict(verdict)}
        line |= verdict.metrics
        line["sql_exact_match"] = line.pop("exact_match")
        line["execution_accuracy_lenient"] = accuracy
        line["predicted_sql"] = line.pop("prediction")
        line["gold_sql"] = line.pop("gold")
        if answer["task"] == "Refiner":
            line |= refiner_metrics(verdict, next(old_verdicts))
        else:
            line |= decomposer_metrics(answer["prediction"], answer["gold"], answer["schema"])
        yield line


def judge_selection(answer: dict[str, Any]) -> dict[str, Any]:
    """The Selector's answer, which is not executed."""
    gold_sql = answer["asked_sql"]
    metrics = selector_metrics(answer["prediction"], answer["gold"], answer["schema"], gold_sql)
    valid, right = metrics["valid_json"] == 1, metrics["column_f1"] == 1
    return {
        "verdict": ("right" if right else "wrong") if valid else "no json",
        "error": None if valid else "the answer holds no JSON object of tables",
        "hardness": hardness(gold_sql) if gold_sql else None,
        "linked_rate": float(answer["file"] is not None),
        **metrics,
    }


def highest_exact_match(answers: pd.DataFrame, reference: str) -> float:
    """The highest exact match, from 0 to 1, that any model could reach on these answers of a run.

    A model gives equal inputs equal answers, so of the rows that share an input it can match those
    with one and the same right answer: at best the most frequent. And an answer that the tokenizer
    cannot write, or that is longer than what is generated, matches nothing. `reference`: the column
    that answers are compared with.
    """
    written = answers.gold_decoded.str.strip()
    within_reach = answers.reachable.astype(bool) & (written == answers[reference].str.strip())
    same = answers[within_reach].groupby(["input", written[within_reach]]).size()
    return float(same.groupby(level="input").max().sum()) / len(answers)


def scores_of(answers: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A line for each run, split, task and metric, in a fixed order."""
    for (*address, split), rows in answers.groupby([*RUN, "split"], sort=False):
        for task in ("all", *TASKS):
            of_task = rows if task == "all" else rows[rows.task == task]
            if of_task.empty:
                continue
            line = dict(zip(RUN, address, strict=True)) | {"split": split, "task": task}
            own = TASK_METRICS.get(task, ())
            for metric in (*TEXT_METRICS, SEEN, *SQL_METRICS, *own):
                known = of_task[of_task[metric].notna()] if metric in of_task else of_task[:0]
                if len(values := known[metric] if len(known) else ()):
                    value, low, high = mean_over_rows(values, clusters_of(known))
                    if metric == SEEN:  # counted, not estimated
                        low = high = None
                    yield line | _number(metric, value, low, high, len(values))
            for suffix in ("", "_decoded"):
                most = highest_exact_match(of_task, f"gold{suffix}")
                metric = f"exact_match{suffix}_at_most"
                yield line | _number(metric, most, None, None, len(of_task))


def losses_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The losses of the epoch that a run kept, on its validation rows; they have no interval."""
    training = Training.read(folder / "training.json")
    line = address_of(folder) | {"split": "val"}
    for task, losses in (("all", training.best), *training.best.tasks.items()):
        for metric in LOSSES:
            value, count = getattr(losses, metric), training.rows["val"][task]
            yield line | {"task": task} | _number(metric, value, None, None, count)


def _number(
    metric: str, value: float, low: float | None, high: float | None, n: int
) -> dict[str, Any]:
    return {"metric": metric, "value": value, "low": low, "high": high, "n": n}


def score_runs(
    runs: Annotated[list[Path], Setting("folders of runs and endpoints")],
    rows: Annotated[Path, Input("rows.parquet")],
    answers: Annotated[Path, Output("answers.parquet")],
    scores: Annotated[Path, Output("scores.parquet")],
    train: Annotated[list[Path], Input("train.parquet of each run, in their order")] = [],  # noqa: B006
    databases: Annotated[
        Path | None, Setting("folder of <db_id>/<db_id>.sqlite, where SQL is to be executed")
    ] = None,
    other_rows: Annotated[Path | None, Input("rows of the split other")] = None,
    other_databases: Annotated[Path | None, Setting("folder of their databases")] = None,
    cache: Annotated[Path | None, Setting("folder that keeps what was executed")] = None,
    seconds: Annotated[float, Setting("longest query")] = Limits.seconds,
    repeat: Annotated[int, Setting("timed runs for VES; 0: none")] = REPEAT,
    threads: Annotated[int, Setting("queries that are executed at a time")] = 1,
) -> None:
    """Raises EssenceError when there is nothing to score or the tables don't fit together."""
    trained = [folder for folder in runs if address_of(folder)["recipe"] != "endpoint"]
    table = read_answers(runs)
    add_text_metrics(table)
    add_seen(table, dict(zip(trained, train, strict=True)))
    if databases:
        of_other = table.split == "other"
        if of_other.any() and not (other_rows and other_databases):
            raise EssenceError(
                "the predictions have the split other: give --other-rows and --other-databases"
            )
        subjects = [subjects_of(table[~of_other], read_subjects(rows, databases))]
        if of_other.any():
            other = read_subjects(other_rows, other_databases)
            subjects.append(subjects_of(table[of_other], other))
        table = table.join(pd.concat(subjects).drop(columns="question"))
        with Sandbox(Limits(seconds=seconds), threads) as sandbox:
            judged = judge(table, CachedSandbox(sandbox, cache), repeat)
        table = judged.combine_first(table)
        queries = table[table.task != "Selector"]
        if text := warning(failing_golds(queries.itertuples()), len(queries)):
            print(text)
    write_table(answers, table, ANSWERS)
    lines = [*scores_of(table), *(line for folder in trained for line in losses_of(folder))]
    write_table(scores, pd.DataFrame(lines), SCORES)


if __name__ == "__main__":
    run_stage(score_runs)
