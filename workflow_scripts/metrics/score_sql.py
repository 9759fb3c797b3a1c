"""Score the saved answers of one run by what their SQL does, and each agent by its own metrics.

Decomposer and Refiner rows are executed on the database they are linked to, and every one of them
also on databases rebuilt from its prompt (EX-synthetic). `sql_exact_match` compares SQL with SQL,
where `exact_match` of scores.json compares whole answers.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.artifacts.parquet import read_rows, write_rows
from workflow_scripts.artifacts.runs import HardnessScore, Score, SqlScores
from workflow_scripts.artifacts.tables import Judged, Link, Prediction, Row
from workflow_scripts.data.groups import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import extract_sql, sql_as_asked
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.metrics.decomposer import decomposer_metrics
from workflow_scripts.metrics.estimates import columns, estimate
from workflow_scripts.metrics.execution_verdicts import (
    METRICS,
    REPEAT,
    Case,
    Verdict,
    execution_accuracies,
    verdicts_on,
)
from workflow_scripts.metrics.failing_golds import failing_golds, warning
from workflow_scripts.metrics.hardness import LEVELS, hardness
from workflow_scripts.metrics.refiner import refiner_metrics
from workflow_scripts.metrics.selector import selector_metrics
from workflow_scripts.metrics.synthetic import SyntheticCase, ex_synthetic
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Output, Setting, run_stage

# Metrics that several agents have, so that a mean over all rows says something.
OVER_TASKS = (
    *METRICS,
    *("sql_exact_match", "linked_rate", "ex_synthetic", "execution_accuracy_lenient"),
    *("execution_accuracy_empty_gold", "execution_accuracy_nonempty_gold"),
)
BY_HARDNESS = {
    *("execution_accuracy", "execution_match", "exact_match_normalised", "ex_synthetic"),
    *("executable_rate", "parse_rate"),
}


@dataclass(frozen=True)
class Answer:
    """An answer with the row it was given for and the database of that row, if it is known."""

    prediction: Prediction
    row: Row
    link: Link
    database: Path | None
    asked_sql: str | None  # the gold SQL of the question, from any row that has one

    @property
    def sql(self) -> str | None:
        """The SQL in the form that was asked for (strict)."""
        return sql_as_asked(self.prediction.prediction, self.row.target)

    @property
    def lenient_sql(self) -> str | None:
        return extract_sql(self.prediction.prediction, lenient=True)

    def case(self, sql: str | None) -> Case:
        return Case(self.row.gold_sql, sql, self.database)

    def judged(self, **found: Any) -> Judged:
        return Judged(
            split=self.prediction.split,
            idx=self.prediction.idx,
            task=self.prediction.task,
            db_id=self.link.db_id,
            how=self.link.how,
            question=self.row.question,
            schema=self.row.schema,
            answer=self.prediction.prediction,
            **found,
        )


@dataclass(frozen=True)
class Scored:
    """A line of verdicts.parquet, and the metrics of its answer that are averaged."""

    judged: Judged
    metrics: dict[str, float]


def score_answers(
    answers: list[Answer], sandbox: CachedSandbox, synthetic: Path, repeat: int = REPEAT
) -> list[Scored]:
    """One a line; `synthetic` is the folder to rebuild databases in."""
    queries = [answer for answer in answers if answer.prediction.task != "Selector"]
    scored = iter(_score_queries(queries, sandbox, synthetic, repeat))
    return [
        _score_selection(answer) if answer.prediction.task == "Selector" else next(scored)
        for answer in answers
    ]


def join(predictions: list[Prediction], rows: Path, links: Path, databases: Path) -> list[Answer]:
    """Raises EssenceError for a prediction whose row, link or database is missing."""
    row_of = {row.idx: row for row in read_rows(Row, rows)}
    link_of = {link.idx: link for link in read_rows(Link, links)}
    gold_of = gold_by_question(row_of.values())
    answers = []
    for prediction in predictions:
        row, link = row_of.get(prediction.idx), link_of.get(prediction.idx)
        if row is None or link is None:
            raise EssenceError(
                f"predictions: row idx {prediction.idx} is not among the rows and links; predict "
                "and link again from the same rows.parquet"
            )
        database = find_database(databases, link.db_id) if link.db_id else None
        asked_sql = gold_of.get(comparable_text(row.question))
        answers.append(Answer(prediction, row, link, database, asked_sql))
    return answers


def gold_by_question(rows: Iterable[Row]) -> dict[str, str]:
    """The gold SQL of a Selector's question stands in another row with the same question."""
    golds: dict[str, str] = {}
    for row in rows:
        if row.gold_sql:
            golds.setdefault(comparable_text(row.question), row.gold_sql)
    return golds


def _score_queries(
    answers: list[Answer], sandbox: CachedSandbox, synthetic: Path, repeat: int
) -> Iterator[Scored]:
    """The Decomposer's and the Refiner's answers; a repair is compared with the old SQL too."""
    statements = [answer.sql for answer in answers]
    lenient = [answer.case(answer.lenient_sql) for answer in answers]
    cases = [answer.case(sql) for answer, sql in zip(answers, statements, strict=True)]
    verdicts = verdicts_on(cases, sandbox, repeat)
    repairs = [answer for answer in answers if answer.prediction.task == "Refiner"]
    old_cases = [answer.case(answer.row.old_sql) for answer in repairs]
    old_verdicts = iter(verdicts_on(old_cases, sandbox, repeat=0))
    synthetic_cases = [
        SyntheticCase(answer.row.schema, answer.row.foreign_keys or "", answer.row.gold_sql, sql)
        for answer, sql in zip(answers, statements, strict=True)
    ]
    rebuilt = ex_synthetic(synthetic_cases, sandbox, synthetic)
    accuracies = execution_accuracies(lenient, sandbox)
    for answer, verdict, *more in zip(answers, verdicts, rebuilt, accuracies, strict=True):
        repair = answer.prediction.task == "Refiner"
        yield _scored_query(answer, verdict, next(old_verdicts) if repair else None, *more)


def _scored_query(
    answer: Answer,
    verdict: Verdict,
    old: Verdict | None,
    synthetic: float | None,
    lenient: float | None,
) -> Scored:
    metrics = {"linked_rate": float(answer.database is not None), **verdict.metrics}
    metrics["sql_exact_match"] = metrics.pop("exact_match")
    if synthetic is not None:
        metrics["ex_synthetic"] = synthetic
    if lenient is not None:
        metrics["execution_accuracy_lenient"] = lenient
    if old:
        metrics |= refiner_metrics(verdict, old)
    else:
        text, gold = answer.prediction.prediction, answer.prediction.gold
        metrics |= decomposer_metrics(text, gold, answer.row.schema)
    found = dataclasses.asdict(verdict)
    found |= {"ex_synthetic": synthetic, "execution_accuracy_lenient": lenient}
    return Scored(answer.judged(**found), metrics)


def _score_selection(answer: Answer) -> Scored:
    """The Selector's answer; it is not executed."""
    gold_sql = answer.asked_sql
    text, gold = answer.prediction.prediction, answer.prediction.gold
    metrics = selector_metrics(text, gold, answer.row.schema, gold_sql)
    valid, right = metrics["valid_json"] == 1, metrics["column_f1"] == 1
    judged = answer.judged(
        gold=gold.strip(),
        prediction=text,
        verdict=("right" if right else "wrong") if valid else "no json",
        error=None if valid else "the answer holds no JSON object of tables",
        hardness=hardness(gold_sql) if gold_sql else None,
        gold_rows=None,
    )
    return Scored(judged, {"linked_rate": float(answer.database is not None), **metrics})


def scores_by_task(scored: list[Scored]) -> Iterator[Score]:
    """A score a split, task and metric, in a fixed order; "all" where tasks share the metric."""
    for split in dict.fromkeys(each.judged.split for each in scored):
        for task in ("all", *TASKS):
            metrics = columns(
                each.metrics
                for each in scored
                if each.judged.split == split and task in ("all", each.judged.task)
            )
            for metric, values in sorted(metrics.items()):
                if task != "all" or metric in OVER_TASKS:
                    yield Score(split=split, task=task, metric=metric, **dict(estimate(values)))


def scores_by_hardness(scored: list[Scored]) -> Iterator[HardnessScore]:
    """As `scores_by_task`, for a few metrics and the rows of each hardness of the gold SQL."""
    for level in LEVELS:
        of_level = [each for each in scored if each.judged.hardness == level]
        for score in scores_by_task(of_level):
            if score.metric in BY_HARDNESS:
                yield HardnessScore(hardness=level, **dict(score))


def score_sql(
    predictions: Annotated[Path, Input("predictions.parquet of the run")],
    rows: Annotated[Path, Input("rows.parquet")],
    links: Annotated[Path, Input("links.parquet")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    cache: Annotated[Path, Setting("folder that keeps what was executed")],
    recipe: Annotated[str, Setting("recipe of the run")],
    run: Annotated[str, Setting("name of the run")],
    seed: Annotated[int, Setting("seed of the run")],
    scores: Annotated[Path, Output("sql_scores.json")],
    verdicts: Annotated[Path, Output("verdicts.parquet")],
    other_rows: Annotated[Path | None, Input("rows of the split other")] = None,
    other_links: Annotated[Path | None, Input("their links")] = None,
    other_databases: Annotated[Path | None, Setting("folder of their databases")] = None,
    seconds: Annotated[float, Setting("longest query")] = Limits.seconds,
    repeat: Annotated[int, Setting("timed runs for VES; 0: none")] = REPEAT,
    threads: Annotated[int, Setting("queries that are executed at a time")] = 1,
) -> None:
    """Raises EssenceError when there is nothing to score or the tables don't fit together."""
    answered = read_rows(Prediction, predictions)
    if not answered:
        raise EssenceError(f"{predictions}: no answers in it. Predict again.")
    answers = join([each for each in answered if each.split != "other"], rows, links, databases)
    if other := [each for each in answered if each.split == "other"]:
        if not (other_rows and other_links and other_databases):
            raise EssenceError(
                f"{predictions} has the split other: give --other-rows, --other-links "
                "and --other-databases"
            )
        answers += join(other, other_rows, other_links, other_databases)
    with Sandbox(Limits(seconds=seconds), threads) as sandbox:
        scored = score_answers(
            answers, CachedSandbox(sandbox, cache / "results"), cache / "synthetic", repeat
        )
    write_rows(verdicts, Judged, [each.judged for each in scored])
    queries = [each.judged for each in scored if each.judged.task != "Selector"]
    if said := warning(failing_golds(queries), len(queries)):
        print(said)
    SqlScores(
        recipe=recipe,
        run=run,
        seed=seed,
        scores=list(scores_by_task(scored)),
        by_hardness=list(scores_by_hardness(scored)),
    ).write(scores)


if __name__ == "__main__":
    run_stage(score_sql)
