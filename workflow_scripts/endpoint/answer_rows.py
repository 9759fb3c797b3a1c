"""Answer rows with a model behind an endpoint; what comes out is that of model/predict.py.

Prompts go whole, with their worked examples, as MAC-SQL sends them: the system message of the row,
if it has one, and the user message.
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.endpoint import STOP, Answered, Endpoint, Message
from workflow_scripts.artifacts.parquet import read_rows, write_rows
from workflow_scripts.artifacts.tables import BoundedPrediction, Row
from workflow_scripts.endpoint.client import Client
from workflow_scripts.endpoint.summary import answering
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import digest_of
from workflow_scripts.formats.prompts import from_source
from workflow_scripts.stage import Input, Output, Setting, run_stage


def messages_of(row: Row) -> list[Message]:
    user, system = from_source(row.source)
    head: list[Message] = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": user}]


def predictions(rows: dict[str, list[Row]], answers: list[Answered]) -> list[BoundedPrediction]:
    """One an answer, in the order of `rows` (split -> rows).

    `cut`: the answer did not end by itself. Its tokenizer can write any text, and how many tokens
    the gold answer takes in it is not known, so every gold answer counts as reachable.
    """
    asked = [(split, row) for split, of_split in rows.items() for row in of_split]
    inputs: dict[str, int] = {}
    return [
        BoundedPrediction(
            split=split,
            idx=row.idx,
            task=row.task,
            db_id=row.db_id,
            question=row.question,
            gold=row.target,
            gold_decoded=row.target,
            prediction=answer.text,
            prediction_tokens=answer.output_tokens or 0,
            cut=answer.finish != STOP,
            input=inputs.setdefault(digest_of(answer.request), len(inputs)),
            reachable=True,
        )
        for (split, row), answer in zip(asked, answers, strict=True)
    ]


def answer_rows(
    endpoint: Annotated[Endpoint, Setting("the endpoint's settings as JSON, or a file with them")],
    answers: Annotated[Path, Setting("folder that keeps every answer of the endpoint")],
    out: Annotated[Path, Output("predictions.parquet")],
    summary: Annotated[Path, Output("answering.json: tokens, cost, seconds")],
    test: Annotated[Path | None, Input("rows of the split test")] = None,
    unseen: Annotated[Path | None, Input("rows of the split unseen")] = None,
    other: Annotated[Path | None, Input("rows of the split other")] = None,
) -> None:
    """Raises EssenceError when no rows are given, or as `Client.answers` does."""
    given = {"test": test, "unseen": unseen, "other": other}
    rows = {split: read_rows(Row, path) for split, path in given.items() if path}
    asked = [messages_of(row) for of_split in rows.values() for row in of_split]
    if not asked:
        raise EssenceError("nothing to answer: give rows with --test, --unseen or --other")
    found = Client(endpoint, answers).answers(asked)
    write_rows(out, BoundedPrediction, predictions(rows, found))
    answering(endpoint, found, len(asked)).write(summary)


if __name__ == "__main__":
    run_stage(answer_rows)
