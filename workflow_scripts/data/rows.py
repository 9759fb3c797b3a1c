"""From a line of a file that a person gives, raw or processed, to one row of rows.parquet."""

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import NotJson, check_text_file, parse_json, read_json
from workflow_scripts.formats import answers, prompts
from workflow_scripts.formats.schema import parse_foreign_keys, parse_schema
from workflow_scripts.records import Record, parsed
from workflow_scripts.tables import Row

BOM = b"\xef\xbb\xbf"
END_MARK = "</s>"
INT64 = 2**63
ROLES = (["system", "user", "assistant"], ["user", "assistant"])


class RowError(EssenceError):
    """A line that can't become a row: `kind` for counting, the message for the reader."""

    def __init__(self, kind: str, message: str):
        super().__init__(message.encode("utf-8", "backslashreplace").decode())
        self.kind = kind


class Lines:
    """Iterates over (number from 1, bytes) of the lines that aren't blank, or of array entries.

    `word` says which of them. Raises EssenceError for what is no file, no text, or a broken array.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        check_text_file(path)
        with open(path, "rb") as file:
            start = file.read(1 << 16)
        self.word = "entry" if start.removeprefix(BOM).lstrip()[:1] == b"[" else "line"

    def place(self, number: int) -> str:
        return f"{self.word} {number}"

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        if self.word == "entry":
            yield from enumerate((json.dumps(each).encode() for each in read_json(self.path)), 1)
            return
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                line = line.removeprefix(BOM)
                if line.strip():
                    yield number, line


def record_in(line: bytes) -> dict[str, Any]:
    """The JSON object on one line. Raises RowError with the place and kind of the damage."""
    try:
        record = parse_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RowError("not UTF-8", f"byte {error.start + 1} is not UTF-8") from error
    except NotJson as error:
        place = f" at character {error.character}" if error.character else ""
        raise RowError("broken JSON", f"{error}{place}") from error
    if not isinstance(record, dict):
        raise RowError("not an object", f"not a JSON object: found a {type(record).__name__}")
    return record


# With line ends as in the section marks of prompts; encoding refuses half a character.
Text = Annotated[str, AfterValidator(lambda text: text.encode().decode().replace("\r\n", "\n"))]


class Message(Record):
    model_config = ConfigDict(extra="ignore")

    role: str
    content: Text | None = None  # some exports write an empty system message like this


class GivenRow(Record):
    """A row as a person has it: raw (`messages`), processed (`source`, `target`), or both."""

    model_config = ConfigDict(extra="ignore")

    idx: Annotated[int, Field(ge=-INT64, lt=INT64)] | str | None = None
    db_id: Text | None = None
    messages: list[Message] | None = None
    source: Text | None = None
    target: Text | None = None


def comparable_text(text: str | None) -> str:
    """A question or SQL as it is compared: case, white space and a last semicolon don't count."""
    return " ".join((text or "").casefold().split()).rstrip("; ")


def row_from(record: dict[str, Any], line: int) -> Row:
    """Build the row of one record; `line` also serves as idx when the record has no number.

    Raises RowError with a countable kind when any part can't be read.
    """
    with _refused_as("wrong type"):
        given = parsed(GivenRow, record, "the row")
    source, target = _texts(given)
    with _refused_as("unknown task"):
        task = prompts.task_of(source)
    with _refused_as("prompt not readable"):
        prompt = prompts.parse_prompt(source)
        parse_schema(prompt.schema)
        parse_foreign_keys(prompt.foreign_keys)
    with _refused_as("answer not readable"):
        gold_sql = _gold_sql(task, target)
    db_id = given.db_id or prompt.db_id
    if prompt.db_id and db_id != prompt.db_id:
        raise RowError(
            "forms disagree", f"the prompt is about {prompt.db_id!r}, db_id says {db_id!r}"
        )
    idx = idx_of(record)
    texts = {"db_id": db_id, "gold_sql": gold_sql, "source": source, "target": target}
    return Row(**dataclasses.asdict(prompt) | texts, idx=line if idx is None else idx, line=line)


@contextlib.contextmanager
def _refused_as(kind: str) -> Iterator[None]:
    try:
        yield
    except EssenceError as error:
        raise RowError(kind, str(error)) from error


def idx_of(record: dict[str, Any]) -> int | None:
    """The record's own number, perhaps written as text; None where it has none to keep."""
    idx = record.get("idx")
    if isinstance(idx, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", idx):
        idx = int(idx)
    return idx if type(idx) is int and -INT64 <= idx < INT64 else None


def _texts(row: GivenRow) -> tuple[str, str]:
    """Source in the processed form, and target without its end mark."""
    forms = []
    if row.messages is not None:
        roles = [each.role for each in row.messages]
        if roles not in ROLES:
            raise RowError(
                "missing field",
                f"messages must be (system,) user, assistant; the roles are: {roles!r:.100}",
            )
        text = {each.role: each.content or "" for each in row.messages}
        forms.append((prompts.to_source(text["user"], text.get("system", "")), text["assistant"]))
    if row.source is not None and row.target is not None:
        framed = row.source.lstrip().startswith("###")
        forms.append((row.source if framed else prompts.to_source(row.source), row.target))
    if not forms:
        raise RowError("missing field", "there are neither messages nor source and target")
    forms = [(source, target.removesuffix(END_MARK)) for source, target in forms]
    if forms[0] != forms[-1]:
        raise RowError(
            "forms disagree", "messages have other texts than source and target; drop one form"
        )
    return forms[0]


def _gold_sql(task: str, target: str) -> str | None:
    """The SQL of an answer, None for a Selector's. Raises AnswerError when it can't be read."""
    if task == "Selector":
        answers.parse_selector(target)
        return None
    plain = answers.plain_sql(target)
    if task == "Decomposer" and not plain:
        answers.parse_decomposer(target)
    sql = plain or answers.extract_sql(target)
    if not sql:
        raise answers.AnswerError(f"{task} answer: no fenced SQL")
    return sql
