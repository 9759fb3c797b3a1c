"""Score the answers of all runs at once: the tables `answers` and `scores` (tables.py).

Text is compared with the right answer as it is, and as the run's tokenizer can write it
(`*_decoded`), which is what the notebooks compared with. The SQL of the Decomposer and the Refiner
is executed on the database that its row is linked to. `sql_exact_match` compares SQL with SQL where
`exact_match` compares whole answers. Losses are those of the epoch that a run kept.
"""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import yaml

from workflow_scripts import tables
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import extract_sql, sql_as_asked
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.metrics.agents import decomposer_metrics, refiner_metrics, selector_metrics
from workflow_scripts.metrics.execution import REPEAT, Case, failing_gold, judge, warning
from workflow_scripts.metrics.hardness import hardness
from workflow_scripts.runs import Training
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.text.similarity import exact_match, rouge_l

USES_FILES = ["metrics.yaml"]
METRICS: dict[str, list[str]] = yaml.safe_load(
    Path(__file__).with_name("metrics.yaml").read_text(encoding="utf-8")
)
NAMES = [name for names in METRICS.values() for name in names]
# The columns of answers.parquet, metrics included.
COLUMNS = {name: kind for name, kind in tables.ANSWERS.items() if name != tables.MORE}
COLUMNS |= dict.fromkeys(NAMES, tables.NUMBER)
LOSSES = ("eval_loss", "loss_per_token")
SUBJECT = {"idx": tables.COUNT} | dict.fromkeys(
    ("question", "schema", "gold_sql", "old_sql", "database", "how"), tables.TEXT
)


def text_metrics(prediction: str, gold: str, gold_decoded: str) -> dict[str, float]:
    """Compare an answer with gold as it is, and as the run's tokenizer can write it."""
    return {
        "rouge_l": rouge_l(prediction, gold),
        "exact_match": exact_match(prediction, gold),
        "rouge_l_decoded": rouge_l(prediction, gold_decoded),
        "exact_match_decoded": exact_match(prediction, gold_decoded),
    }


# Task -> what computes its metrics; its parameters name the columns that it takes.
COMPUTED: dict[str, Callable[..., dict[str, float]]] = {
    "any": text_metrics,
    "Selector": selector_metrics,
    "Decomposer": decomposer_metrics,
    "Refiner": refiner_metrics,
}


def address_of(folder: Path) -> dict[str, Any]:
    """Recipe, run and seed of results/runs/<recipe>/<run>/seed<k>, or of results/models/<name>."""
    if folder.parent.name == "models":
        return {"recipe": "endpoint", "run": folder.name, "seed": 0}
    recipe, run, seed = folder.parts[-3:]
    return {"recipe": recipe, "run": run, "seed": int(seed.removeprefix("seed"))}


def read_answers(folders: list[Path], training_rows: dict[Path, Path]) -> pd.DataFrame:
    """The predictions of all runs. Raises EssenceError where a run has none.

    Held-out answers that are also, to the letter, the answer to a row that this run (no run before
    it) was trained on are marked.
    """
    frames = []
    for folder in folders:
        frame = tables.read_table(folder / "predictions.parquet", tables.PREDICTIONS)
        if frame.empty:
            raise EssenceError(f"{folder}/predictions.parquet: no answers in it. Predict again.")
        if folder in training_rows:
            known = tables.read_table(training_rows[folder], {"target": tables.TEXT}).target
            frame[tables.SEEN] = frame.gold.isin(known).astype(float).where(frame.split != "train")
        frames.append(frame.assign(**address_of(folder)))
    return pd.concat(frames, ignore_index=True)


def read_subjects(rows: Path, databases: Path) -> pd.DataFrame:
    """What each row is about, by idx: its schema, gold SQL and database.

    `asked_sql`: the gold SQL of the question, from any row that has one (a Selector's has none).
    """
    subjects = tables.read_table(rows, SUBJECT)
    files = {name: find_database(databases, name) for name in subjects.database.dropna().unique()}
    subjects["file"] = subjects.database.map(files).astype(object)
    question = subjects.pop("question").map(comparable_text)
    subjects["asked_sql"] = question.map(subjects.gold_sql.groupby(question).first())
    return subjects.set_index("idx")


def find_subjects(
    answers: pd.DataFrame, sources: dict[bool, tuple[Path | None, Path | None]]
) -> pd.DataFrame:
    """The subject of each answer, from (rows, databases): whether of the split other -> its source.

    Raises EssenceError where the split other has none, and for a row that is not among them.
    """
    parts = []
    for is_other, asked in answers.groupby(answers.split == "other"):
        if not all(sources[is_other]):
            raise EssenceError(
                "the predictions have the split other: give --other-rows and --other-databases"
            )
        subjects = read_subjects(*sources[is_other])
        if len(unknown := asked.idx[~asked.idx.isin(subjects.index)]):
            raise EssenceError(
                f"predictions: row idx {unknown.iloc[0]} is not among the rows; predict again from "
                "the same rows.parquet"
            )
        parts.append(subjects.loc[asked.idx].set_axis(asked.index))
    return pd.concat(parts)


def judge_queries(answers: pd.DataFrame, sandbox: Sandbox, repeat: int) -> pd.DataFrame:
    """Verdict and metrics of SQL; `old_accuracy`: of the SQL that a Refiner was asked to repair."""
    cases = []
    for answer in answers.astype(object).where(answers.notna(), None).itertuples():
        also = {"execution_accuracy_lenient": extract_sql(answer.prediction, lenient=True)}
        if answer.task == "Refiner":
            also["old_accuracy"] = answer.old_sql
        sql = sql_as_asked(answer.prediction, answer.gold)
        cases.append(Case(answer.gold_sql, sql, answer.file, also))
    judged = pd.DataFrame(judge(cases, sandbox, repeat), answers.index)
    names = {"prediction": "predicted_sql", "exact_match": "sql_exact_match"}
    return judged.drop(columns="gold").rename(columns=names)


def add_metrics(answers: pd.DataFrame) -> pd.DataFrame:
    """Add the metrics that are computed from other columns, where the table has these."""
    for task, compute in COMPUTED.items():
        inputs = list(inspect.signature(compute).parameters)
        if set(inputs) <= set(answers):
            asked = answers if task == "any" else answers[answers.task == task]
            asked = asked[inputs].astype(object).where(asked[inputs].notna(), None)
            lines = [compute(*line) for line in asked.itertuples(index=False)]
            answers = answers.join(pd.DataFrame(lines, asked.index).filter(METRICS[task]))
    return answers.reindex(columns=list(dict.fromkeys([*answers, *NAMES])))


def judge_selections(answers: pd.DataFrame) -> None:
    """Fill in what became of the Selector's answers, which are not executed."""
    selectors = answers[answers.task == "Selector"]
    valid, right = selectors.valid_json == 1, selectors.column_f1 == 1
    verdicts = right.map({True: "right", False: "wrong"}).where(valid, "no json")
    answers.loc[selectors.index, "verdict"] = verdicts
    answers.loc[selectors.index[~valid], "error"] = "the answer holds no JSON object of tables"
    levels = selectors.asked_sql.map(hardness, na_action="ignore")
    answers.loc[selectors.index, "hardness"] = levels


def highest_exact_match(answers: pd.DataFrame, reference: str) -> float:
    """The highest exact match with the column `reference` that any model could reach, from 0 to 1.

    Equal inputs get equal answers, so of the rows that share one only those with the most frequent
    right answer match, and none that the tokenizer cannot write or that is too long.
    """
    written = answers.gold_decoded.str.strip()
    within_reach = answers.reachable.astype(bool) & (written == answers[reference].str.strip())
    same = answers[within_reach].groupby(["input", written[within_reach]]).size()
    return float(same.groupby(level="input").max().sum()) / len(answers)


def scores_of(answers: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A line for each run, split, task and metric, in a fixed order."""
    for (*address, split), rows in answers.groupby([*tables.RUN, "split"], sort=False):
        for task in ("all", *TASKS):
            of_task = rows if task == "all" else rows[rows.task == task]
            if of_task.empty:
                continue
            line = dict(zip(tables.RUN, address, strict=True)) | {"split": split, "task": task}
            clusters = tables.clusters_of(of_task)
            for metric in METRICS["any"] + METRICS.get(task, []):
                values = of_task[metric].dropna()
                if len(values):
                    of_values = None if clusters is None else clusters[values.index]
                    value, low, high = mean_over_rows(values, of_values)
                    interval = (
                        {} if metric == tables.SEEN else {"low": low, "high": high}
                    )  # it is counted
                    yield line | {"metric": metric, "value": value, "n": len(values)} | interval
            for suffix in ("", "_decoded"):
                most = highest_exact_match(of_task, f"gold{suffix}")
                metric = f"exact_match{suffix}_at_most"
                yield line | {"metric": metric, "value": most, "n": len(of_task)}


def losses_of(folder: Path) -> Iterator[dict[str, Any]]:
    """The losses of the epoch that a run kept, on its validation rows; they have no interval."""
    training = Training.read(folder / "training.json")
    for task, losses in (("all", training.best), *training.best.tasks.items()):
        line = address_of(folder) | {"split": "val", "task": task, "n": training.rows["val"][task]}
        for metric in LOSSES:
            yield line | {"metric": metric, "value": getattr(losses, metric)}


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
    seconds: Annotated[float, Setting("longest query")] = Limits.seconds,
    repeat: Annotated[int, Setting("timed runs for VES; 0: none")] = REPEAT,
    threads: Annotated[int, Setting("queries that are executed at a time")] = 1,
) -> None:
    """Raises EssenceError when there is nothing to score or the tables don't fit together."""
    trained = [folder for folder in runs if address_of(folder)["recipe"] != "endpoint"]
    table = read_answers(runs, dict(zip(trained, train, strict=True)))
    if databases:
        sources = {False: (rows, databases), True: (other_rows, other_databases)}
        table = table.join(find_subjects(table, sources))
        table["linked_rate"] = table.file.notna().astype(float)
        queries = table[table.task != "Selector"]
        if len(queries):
            judged = judge_queries(queries, Sandbox(Limits(seconds=seconds), threads), repeat)
            table = table.join(judged)
            if text := warning(failing_gold(judged), len(judged)):
                print(text)
    table = add_metrics(table)
    if databases:
        judge_selections(table)
    tables.write_table(answers, table, COLUMNS)
    losses = (line for folder in trained for line in losses_of(folder))
    tables.write_table(scores, [*scores_of(table), *losses], tables.SCORES)


if __name__ == "__main__":
    run_stage(score_runs)
