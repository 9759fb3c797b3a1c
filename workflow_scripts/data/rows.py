"""From one JSON record, raw or processed, to one row of rows.parquet."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from workflow_scripts.data.lines import RowError
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats import answers, prompts
from workflow_scripts.formats.schema import parse_foreign_keys, parse_schema
from workflow_scripts.tables import Row

END_MARK = "</s>"
INT64 = 2**63


def comparable_text(text: str | None) -> str:
    """A question or SQL as it is compared: case, white space and a last semicolon don't count."""
    return " ".join((text or "").casefold().split()).rstrip("; ")


def row_from(record: dict[str, Any], line: int) -> Row:
    """Build the row of one record; `line` also serves as idx when the record has none.

    A record is raw (`messages`), processed (`source`, `target`), or both.
    Raises RowError with a countable kind when any part can't be read.
    """
    source, target = _texts(record)
    with _refused_as("unknown task"):
        task = prompts.task_of(source)
    with _refused_as("prompt not readable"):
        prompt = prompts.parse_prompt(source)
        _check_schema(prompt.schema, prompt.foreign_keys)
    with _refused_as("answer not readable"):
        gold_sql = _gold_sql(task, target)
    own = dataclasses.asdict(prompt)
    own["db_id"] = _db_id(record, prompt.db_id)
    return Row(
        idx=_idx(record, line),
        line=line,
        gold_sql=gold_sql,
        source=source,
        target=target,
        **own,
    )


@contextlib.contextmanager
def _refused_as(kind: str) -> Iterator[None]:
    try:
        yield
    except EssenceError as error:
        raise RowError(kind, str(error)) from error


def idx_of(record: dict[str, Any]) -> int | None:
    """The record's own number, perhaps written as text; None when it has none that can be used."""
    idx = record.get("idx")
    if isinstance(idx, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", idx):
        idx = int(idx)
    if isinstance(idx, int) and not isinstance(idx, bool) and -INT64 <= idx < INT64:
        return idx
    return None


def _idx(record: dict[str, Any], line: int) -> int:
    idx = idx_of(record)
    if idx is None and isinstance(record.get("idx"), str | None):
        return line  # a name, such as spider_12, is no number to keep
    if idx is None:
        raise RowError("wrong type", f"idx must be a whole number, found {record['idx']!r:.60}")
    return idx


def _db_id(record: dict[str, Any], stated: str | None) -> str | None:
    """The database that the prompt states, or else the record itself."""
    db_id = record.get("db_id") or stated
    if not isinstance(db_id, str | None):
        raise RowError("wrong type", f"db_id must be text, found {db_id!r:.60}")
    if stated and db_id != stated:
        raise RowError("forms disagree", f"the prompt is about {stated!r}, db_id says {db_id!r}")
    return db_id


def _texts(record: dict[str, Any]) -> tuple[str, str]:
    """Source in the processed form, and target without its end mark."""
    if "messages" not in record and "source" not in record:
        keys = ", ".join(sorted(record)[:8]) or "none"
        raise RowError(
            "missing field", f"neither messages nor source is there; the fields are: {keys}"
        )
    raw = _from_messages(record["messages"]) if "messages" in record else None
    processed = _from_processed(record) if "source" in record else None
    if raw and processed and raw != processed:
        which = "source" if raw[0] != processed[0] else "target"
        raise RowError(
            "forms disagree", f"messages and {which} have different texts; drop one of the forms"
        )
    return raw or processed


def _from_messages(messages: Any) -> tuple[str, str]:
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        raise RowError("wrong type", "messages must be a list of objects with role and content")
    roles = [each.get("role") for each in messages]
    if roles not in (["system", "user", "assistant"], ["user", "assistant"]):
        raise RowError(
            "missing field",
            f"messages must be (system,) user, assistant; the roles are: {roles!r:.100}",
        )
    if roles[0] == "system" and messages[0].get("content") is None:
        messages = messages[1:]  # some exports write an empty system message like this
    content = {
        each["role"]: _text(each.get("content"), f"content of the {each['role']} message")
        for each in messages
    }
    source = prompts.to_source(content["user"], content.get("system", ""))
    return source, content["assistant"].removesuffix(END_MARK)


def _from_processed(record: dict[str, Any]) -> tuple[str, str]:
    if "target" not in record:
        raise RowError("missing field", "source is there, but target isn't")
    source = _text(record["source"], "source")
    if not source.lstrip().startswith("###"):
        source = prompts.to_source(source)
    return source, _text(record["target"], "target").removesuffix(END_MARK)


def _text(value: Any, what: str) -> str:
    """The text with Unix line ends, as the section marks of prompts are looked for."""
    if not isinstance(value, str):
        raise RowError("wrong type", f"{what} must be text, found {value!r:.60}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowError(
            "not UTF-8", f"{what} holds half a character (\\u{ord(value[error.start]):04x})"
        ) from error
    return value.replace("\r\n", "\n")


@lru_cache(maxsize=1024)  # many rows show the same database
def _check_schema(schema_text: str, foreign_keys: str) -> None:
    parse_schema(schema_text)
    parse_foreign_keys(foreign_keys)


def _gold_sql(task: str, target: str) -> str | None:
    """The SQL of an answer, None for a Selector's. Raises AnswerError when it can't be read."""
    if task == "Selector":
        answers.parse_selector(target)
        return None
    if sql := answers.plain_sql(target):
        return sql
    if task == "Decomposer":
        answers.parse_decomposer(target)
    sql = answers.extract_sql(target)
    if not sql:
        raise answers.AnswerError(f"{task} answer: no fenced SQL")
    return sql
