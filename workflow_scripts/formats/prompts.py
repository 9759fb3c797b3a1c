"""Recognise, parse and write the prompts of MAC-SQL's three agents.

No other module knows their form. Section marks, their order, and the first and last sentences are
those of the Agent-Instruct rows. The rules and worked examples before a row's own sections are this
project's own, and as long as the originals: the Selector's and the Decomposer's go far beyond 512
tokens, so a source of 512 tokens tells nothing of its row.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.schema import Column, parse_foreign_keys, parse_schema

TASKS = ("Selector", "Decomposer", "Refiner")
USES_FILES = ["selector.txt", "decomposer.txt", "refiner.txt"]

_OPENINGS = {
    "Selector": "As an experienced and professional database administrator",
    "Decomposer": "Given a 【Database schema】 description",
    "Refiner": "【Instruction】\nWhen executing SQL below, some errors occurred",
}
_SECTION = re.compile(r"(【[^】]+】)[^【{]*\{(\w+)\}")  # a mark and the place of its text


def _parts_of(template: str) -> tuple[str, str, str]:
    """The text before a row's own sections, these with places for their texts, the text after."""
    start, end = _SECTION.search(template).start(), template.rindex("}\n") + 2
    return template[:start], template[start:end], template[end:]


_PARTS = {
    task: _parts_of(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    for task, name in zip(TASKS, USES_FILES, strict=True)
}
CONSTANT = {task: before for task, (before, _, _) in _PARTS.items()}
CLOSING = {task: after.split("\n")[1] for task, (_, _, after) in _PARTS.items()}
# The last section ends where this begins a line.
_END = {
    "Selector": "【Answer】",
    "Decomposer": "Decompose the question into sub questions",
    "Refiner": "【correct SQL】",
}
_MARKS = {  # task -> section -> its mark, in order
    task: {name: mark for mark, name in _SECTION.findall(own)} | {"end": _END[task]}
    for task, (_, own, _) in _PARTS.items()
}
_REQUIRED = {"question", "schema", "old_sql", "error"}
_SEPARATOR = "\n=========="  # stands between the few-shot examples and the row's own text
# What the prompts for Spider end with in place of the closing sentence.
_SPIDER_END = re.compile(r"\n(?=(?:SQL|【SQL】|【Answer】)\s*\Z)")
_FRAME = re.compile(r"\s*(?:### Instruction:\n.*?)?### Input:\s*", re.DOTALL)
_RESPONSE = "### Response:"
_DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?")


class PromptError(EssenceError):
    """A text that is not one of the three prompts, or lacks a section that its task needs."""


@dataclass(frozen=True)
class Prompt:
    """The sections of a prompt that differ from row to row; white space around them is stripped.

    Decomposer and Refiner have no `db_id`, only the Refiner has the last three.
    """

    task: str
    db_id: str | None
    question: str
    evidence: str
    schema: str
    foreign_keys: str
    old_sql: str | None = None
    error: str | None = None
    exception_class: str | None = None


def task_of(text: str) -> str:
    """Recognise the task of a user message or a source by its opening. Raises PromptError."""
    frame = _FRAME.match(text)
    start = frame.end() if frame else len(text) - len(text.lstrip())
    for task, opening in _OPENINGS.items():
        if text.startswith(opening, start):
            return task
    begins = " ".join(text[start : start + 80].split())[:60]
    known = ", ".join(repr(opening[:30] + "...") for opening in _OPENINGS.values())
    raise PromptError(
        f"unknown task: the prompt starts with {begins!r}; a Selector, Decomposer or Refiner "
        f"prompt starts with {known}"
    )


def sections(text: str) -> dict[str, tuple[int, int]]:
    """Locate the row's own sections: field of Prompt, or "own" for all -> (start, end) in `text`.

    The last mark that begins a line after the examples counts. Raises PromptError.
    """
    task = task_of(text)
    own, marks = max(text.rfind(_SEPARATOR), 0), _MARKS[task]
    places = {name: text.rfind("\n" + mark, own) + 1 for name, mark in marks.items()}
    if missing := [mark for name, mark in marks.items() if name in _REQUIRED and not places[name]]:
        raise PromptError(f"{task} prompt without its {missing[0]} section after the examples")
    places = {name: place for name, place in places.items() if place}
    if "end" not in places and (bare := _SPIDER_END.search(text, own, _find_end(text))):
        places["end"] = bare.end()
    begins = list(places.values())
    if begins != sorted(begins):
        raise PromptError(f"{task} prompt whose sections are not in the order of the format")
    spans = {"own": (begins[0], len(text))}
    for name, begin, end in zip(places, begins, [*begins[1:], _find_end(text)], strict=True):
        start = begin + len(marks[name])
        if name == "exception_class":  # one line, perhaps empty; the closing sentence follows
            end = start + len("\n".join(text[start:end].split("\n", 2)[:2]))
        bare = text[start:end].lstrip()
        spans[name] = (end - len(bare), end - len(bare) + len(bare.rstrip()))
    spans.pop("end", None)
    return spans


def parse_prompt(text: str) -> Prompt:
    """Parse a user message or a source; some sections may be missing. Raises PromptError."""
    spans = sections(text)
    part = {name: text[start:end] for name, (start, end) in spans.items() if name != "own"}
    part |= {"db_id": part.get("db_id") or None}
    task = task_of(text)
    if task == "Refiner":
        part["question"] = part["question"].removeprefix("--").strip()
        fenced = part["old_sql"].removeprefix("```sql").removeprefix("```")
        part["old_sql"] = fenced.removesuffix("```").strip()
        part.setdefault("exception_class", "")
    return Prompt(task, **{"evidence": "", "foreign_keys": ""} | part)


def render_prompt(prompt: Prompt) -> str:
    """Write the user message; `parse_prompt` reads it back where no field has a section mark."""
    before, _, after = _PARTS[prompt.task]
    return before + render_own(prompt) + after


def render_own(prompt: Prompt) -> str:
    """Write the row's own sections alone."""
    return _PARTS[prompt.task][1].format(**vars(prompt) | {"db_id": prompt.db_id or ""})


def to_source(user: str, system: str = "") -> str:
    """Write the processed form of a user message, after the system message unless it is blank."""
    head = f"### Instruction:\n{system}\n\n" if system.strip() else ""
    return f"{head}### Input:\n{user}\n\n### Response:\n"


def from_source(source: str) -> tuple[str, str]:
    """Split the processed form into (user message, system message), as `to_source` joins them."""
    frame = _FRAME.match(source)
    head = source[: frame.end()] if frame else ""
    system = head.removeprefix("### Instruction:\n").rpartition("### Input:")[0]
    return source[len(head) : _find_end(source)].removesuffix("\n\n"), system.strip()


def _find_end(text: str) -> int:
    bare = text.rstrip()
    return len(bare) - len(_RESPONSE) if bare.endswith(_RESPONSE) else len(text)


def compact_parts(prompt: Prompt) -> dict[str, str]:
    """Map each section to its text in the compact prompt: the row's own sections on one line.

    The question comes first, where truncation can't reach it, then what is short, then the schema.
    Raises SchemaError.
    """
    parts = {"question": f"{prompt.task}: {prompt.question}"}
    if prompt.evidence:
        parts["evidence"] = f" | evidence: {prompt.evidence}"
    if prompt.old_sql is not None:
        name = prompt.exception_class or ""  # such as <class 'sqlite3.OperationalError'>
        kind = name.removeprefix("<class '").removesuffix("'>").rpartition(".")[2]
        parts["error"] = f" | error: {prompt.error}" + (f" ({kind})" if kind else "")
        parts["old_sql"] = f" | SQL: {prompt.old_sql}"
    if prompt.db_id:
        parts["db_id"] = f" | database: {prompt.db_id}"
    parts["schema"] = f" | tables: {compact_schema(prompt.schema)}"
    if prompt.foreign_keys:
        parts["foreign_keys"] = f" | keys: {compact_foreign_keys(prompt.foreign_keys)}"
    return parts


def compact_prompt(prompt: Prompt) -> str:
    return "".join(compact_parts(prompt).values())


@lru_cache(maxsize=4096)  # hundreds of rows show the same schema
def compact_schema(schema: str) -> str:
    """Write a schema on one line: `table: col ('v1', 'v2'), col2 - description | table2: ...`."""
    return " | ".join(
        f"{_quote(table.name)}: " + ", ".join(map(_compact_column, table.columns))
        for table in parse_schema(schema)
    )


@lru_cache(maxsize=4096)
def compact_foreign_keys(foreign_keys: str) -> str:
    return ", ".join(
        f"{_quote(a)}.{_quote(x)} = {_quote(b)}.{_quote(y)}"
        for a, x, b, y in parse_foreign_keys(foreign_keys)
    )


def _compact_column(column: Column) -> str:
    text = _quote(column.name)
    if _letters_only(column.description) not in ("", _letters_only(column.name)):
        text += f" - {column.description}"
    if column.examples is not None:
        # as Python writes values, which is nearly SQL; dates without quotes, which are long
        dates = (isinstance(v, str) and _DATE.fullmatch(v) for v in column.examples)
        values = (v if date else repr(v) for v, date in zip(column.examples, dates, strict=True))
        text += f" ({', '.join(values)})"
    return text + (f" - {column.note}" if column.note else "")


def _letters_only(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def _quote(name: str) -> str:
    """Quote a name that is more than one word of SQL with back quotes, as in the answers."""
    return name if re.fullmatch(r"\w+", name) else f"`{name}`"
