"""Recognise, parse and write the prompts of MAC-SQL's three agents.

No other module knows their form. Section marks, their order, and the first and last sentences are
those of the Agent-Instruct rows; the constant text between them is in `constants.py`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats import constants

TASKS = ("Selector", "Decomposer", "Refiner")

_OPENINGS = {
    "Selector": "As an experienced and professional database administrator",
    "Decomposer": "Given a 【Database schema】 description",
    "Refiner": "【Instruction】\nWhen executing SQL below, some errors occurred",
}
# A row's own sections in their order; "end" starts what follows the last of them.
_MARKS = {
    "Selector": {
        "db_id": "【DB_ID】",
        "schema": "【Schema】",
        "foreign_keys": "【Foreign keys】",
        "question": "【Question】",
        "evidence": "【Evidence】",
        "end": "【Answer】",
    },
    "Decomposer": {
        "schema": "【Database schema】",
        "foreign_keys": "【Foreign keys】",
        "question": "【Question】",
        "evidence": "【Evidence】",
        "end": "Decompose the question into sub questions",
    },
    "Refiner": {
        "question": "【Query】",
        "evidence": "【Evidence】",
        "schema": "【Database info】",
        "foreign_keys": "【Foreign keys】",
        "old_sql": "【old SQL】",
        "error": "【SQLite error】",
        "exception_class": "【Exception class】",
        "end": "【correct SQL】",
    },
}
_REQUIRED = {"question", "schema", "old_sql", "error"}
_SEPARATOR = "\n=========="  # stands between the few-shot examples and the row's own text
# What the prompts for Spider end with in place of the closing sentence.
_SPIDER_END = re.compile(r"\n(?=(?:SQL|【SQL】|【Answer】)\s*\Z)")
_FRAME = re.compile(r"\s*(?:### Instruction:\n.*?)?### Input:\s*", re.DOTALL)
_RESPONSE = "### Response:"


class PromptError(EssenceError):
    """A text that is not one of the three prompts, or lacks a section that its task needs."""


@dataclass(frozen=True)
class Prompt:
    """The sections of a prompt that differ from row to row; white space around them is stripped.

    `db_id` is None where the prompt doesn't state it (Decomposer, Refiner); `old_sql`, `error`
    and `exception_class` are None for all tasks but the Refiner's.
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
    """Recognise the task of a user message or a processed source by its opening words.

    Raises PromptError when they are those of none of the three.
    """
    start = _find_start(text)
    for task, opening in _OPENINGS.items():
        if text.startswith(opening, start):
            return task
    begins = " ".join(text[start : start + 80].split())[:60]
    raise PromptError(
        f"unknown task: the prompt starts with {begins!r}; a Selector, Decomposer or Refiner "
        "prompt starts with " + ", ".join(repr(o[:30] + "...") for o in _OPENINGS.values())
    )


def sections(text: str) -> dict[str, tuple[int, int]]:
    """Locate the row's own sections in `text`: name -> (start, end) in characters.

    The names are those of `Prompt`'s fields, plus "own": everything after the constant part.
    A mark counts at the start of a line and after the last example; its last occurrence is the
    row's own. Raises PromptError for an unknown task or a missing section.
    """
    task = task_of(text)
    own = max(text.rfind(_SEPARATOR), 0)
    places = {}
    for name, mark in _MARKS[task].items():
        position = text.rfind("\n" + mark, own)
        if position >= 0:
            places[name] = (position + 1, position + 1 + len(mark))
        elif name in _REQUIRED:
            raise PromptError(f"{task} prompt without its {mark} section after the examples")
    if "end" not in places and (bare := _SPIDER_END.search(text, own, _find_end(text))):
        places["end"] = (bare.end(), len(text))
    order = sorted(places.values())
    if order != list(places.values()):
        raise PromptError(f"{task} prompt whose sections are not in the order of the format")
    ends = [begin for begin, _ in order[1:]] + [_find_end(text)]
    spans = {"own": (order[0][0], len(text))}
    for (name, (_, start)), end in zip(places.items(), ends, strict=True):
        if name == "exception_class":  # one line, perhaps empty; the closing sentence follows
            end = start + len("\n".join(text[start:end].split("\n", 2)[:2]))
        spans[name] = _trim_span(text, start, end)
    spans.pop("end", None)
    return spans


def parse_prompt(text: str) -> Prompt:
    """Parse the row's own sections of a user message or a processed source.

    Evidence, foreign keys and database id may be missing. Raises PromptError (see `sections`).
    """
    task, spans = task_of(text), sections(text)
    part = {name: text[start:end] for name, (start, end) in spans.items()}
    refiner = task == "Refiner"
    return Prompt(
        task=task,
        db_id=part.get("db_id") or None,
        question=part["question"].removeprefix("--").strip() if refiner else part["question"],
        evidence=part.get("evidence", ""),
        schema=part["schema"],
        foreign_keys=part.get("foreign_keys", ""),
        old_sql=_strip_fence(part["old_sql"]) if refiner else None,
        error=part["error"] if refiner else None,
        exception_class=part.get("exception_class", "") if refiner else None,
    )


def render_prompt(prompt: Prompt) -> str:
    """Write the user message in the real format: the constant part, then the row's own.

    `parse_prompt(render_prompt(p)) == p` where the fields carry no section marks.
    """
    constant, own, closing = _LAYOUT[prompt.task]
    return constant + own(prompt) + closing


def render_own(prompt: Prompt) -> str:
    """Write the row's own sections alone, in the layout of the original prompts."""
    return _LAYOUT[prompt.task][1](prompt)


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


def _find_start(text: str) -> int:
    """Find the start of the user message: after the frame of the processed form, if any."""
    frame = _FRAME.match(text)
    return frame.end() if frame else len(text) - len(text.lstrip())


def _find_end(text: str) -> int:
    position = text.rfind(_RESPONSE)
    return (
        position if position >= 0 and not text[position + len(_RESPONSE) :].strip() else len(text)
    )


def _trim_span(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _strip_fence(text: str) -> str:
    return text.removeprefix("```sql").removeprefix("```").removesuffix("```").strip()


def _render_selector(p: Prompt) -> str:
    return (
        f"【DB_ID】 {p.db_id or ''}\n【Schema】\n{p.schema}\n【Foreign keys】\n{p.foreign_keys}\n"
        f"【Question】\n{p.question}\n【Evidence】\n{p.evidence}\n"
    )


def _render_decomposer(p: Prompt) -> str:
    return (
        f"【Database schema】\n{p.schema}\n【Foreign keys】\n{p.foreign_keys}\n"
        f"【Question】\n{p.question}\n【Evidence】\n{p.evidence}\n"
    )


def _render_refiner(p: Prompt) -> str:
    return (
        f"【Query】\n-- {p.question}\n【Evidence】\n{p.evidence}\n"
        f"【Database info】\n{p.schema}\n【Foreign keys】\n{p.foreign_keys}\n"
        f"【old SQL】\n```sql\n{p.old_sql}\n```\n【SQLite error】 \n{p.error}\n"
        f"【Exception class】\n{p.exception_class}\n"
    )


# Task -> constant part, the row's own sections, closing.
_LAYOUT: dict[str, tuple[str, Callable[[Prompt], str], str]] = {
    "Selector": (constants.SELECTOR, _render_selector, "【Answer】\n"),
    "Decomposer": (constants.DECOMPOSER, _render_decomposer, f"\n{constants.DECOMPOSER_CLOSING}\n"),
    "Refiner": (
        constants.REFINER,
        _render_refiner,
        f"\n{constants.REFINER_CLOSING}\n【correct SQL】\n",
    ),
}
